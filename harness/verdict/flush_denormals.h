// Arithmetic without denormals, as GPUs with -ftz=true, tensor cores and code built with -ffast-math have it.
#pragma once

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace forgecheck {

/// While it lives, numbers below the smallest normal one count as zero, as operands and as results, in this thread. On a machine
/// without SSE it does nothing.
class FlushDenormals {
 public:
#ifdef __SSE2__
  FlushDenormals() : before_(_mm_getcsr()) {
    constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
    _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
  }
  ~FlushDenormals() {
    _mm_setcsr(before_);
  }

 private:
  unsigned before_;
#else
  FlushDenormals() = default;
#endif

 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace forgecheck
