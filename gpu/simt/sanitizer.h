// AddressSanitizer's manual controls, which do nothing in a build without it.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SIMT_NO_ADDRESS_SANITIZER __attribute__((no_sanitize("address")))
#else
#define SIMT_NO_ADDRESS_SANITIZER
#endif

namespace simt {

/// Every access by instrumented code is an error from now on.
inline void poison([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(begin, bytes);
#endif
}

inline void unpoison([[maybe_unused]] const void* begin, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(begin, bytes);
#endif
}

/// To be called before a switch to the stack [bottom, bottom + bytes); `saved` is null when the stack that is
/// left is not used again.
inline void announce_switch([[maybe_unused]] void** saved, [[maybe_unused]] const void* bottom,
                            [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(saved, bottom, bytes);
#endif
}

/// To be called right after the switch, on the new stack; tells the bounds of the stack that was left.
inline void finish_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** bottom,
                          [[maybe_unused]] std::size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(saved, bottom, bytes);
#endif
}

}  // namespace simt
