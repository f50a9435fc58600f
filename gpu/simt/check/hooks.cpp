// What g++ calls in code compiled with -fsanitize=thread. ThreadSanitizer's runtime is not linked: these are
// its functions, under its names, and they lead to the checker.
#include <cstddef>
#include <cstdint>

#include "gpu/simt/check/checker.h"

namespace {

using simt::check::Kind;

constinit simt::check::Checker* checker = nullptr;

/// Only the code of kernels is checked; what the host may not access is closed to it.
inline void see(const void* address, std::size_t bytes, Kind kind, bool aligned, const void* pc) {
  if (simt::in_kernel) {
    const simt::EmulatorSection section;
    checker->access(address, bytes, kind, aligned, pc);
  }
}

}  // namespace

#define SIMT_PLAIN(n)                                                \
  void __tsan_read##n(void* address) {                               \
    see(address, n, Kind::read, true, __builtin_return_address(0));  \
  }                                                                  \
  void __tsan_write##n(void* address) {                              \
    see(address, n, Kind::write, true, __builtin_return_address(0)); \
  }

#define SIMT_UNALIGNED(n)                                             \
  void __tsan_unaligned_read##n(void* address) {                      \
    see(address, n, Kind::read, false, __builtin_return_address(0));  \
  }                                                                   \
  void __tsan_unaligned_write##n(void* address) {                     \
    see(address, n, Kind::write, false, __builtin_return_address(0)); \
  }

// One thread runs at a time, so the operation itself may be done in the strictest order.
#define SIMT_ATOMIC_UPDATE(bits, name)                                                                       \
  std::uint##bits##_t __tsan_atomic##bits##_##name(volatile void* address, std::uint##bits##_t value, int) { \
    see(const_cast<void*>(address), bits / 8, Kind::atomic, true, __builtin_return_address(0));              \
    return __atomic_##name(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST);    \
  }

#define SIMT_ATOMIC_EXCHANGE(bits, strength, weak)                                               \
  int __tsan_atomic##bits##_compare_exchange_##strength(volatile void* address, void* expected,  \
                                                        std::uint##bits##_t value, int, int) {   \
    see(const_cast<void*>(address), bits / 8, Kind::atomic, true, __builtin_return_address(0));  \
    return __atomic_compare_exchange_n(static_cast<volatile std::uint##bits##_t*>(address),      \
                                       static_cast<std::uint##bits##_t*>(expected), value, weak, \
                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                      \
  }

#define SIMT_ATOMIC(bits)                                                                                \
  SIMT_ATOMIC_UPDATE(bits, fetch_add)                                                                    \
  SIMT_ATOMIC_UPDATE(bits, fetch_sub)                                                                    \
  SIMT_ATOMIC_UPDATE(bits, fetch_and)                                                                    \
  SIMT_ATOMIC_UPDATE(bits, fetch_or)                                                                     \
  SIMT_ATOMIC_UPDATE(bits, fetch_xor)                                                                    \
  SIMT_ATOMIC_UPDATE(bits, fetch_nand)                                                                   \
  SIMT_ATOMIC_EXCHANGE(bits, strong, false)                                                              \
  SIMT_ATOMIC_EXCHANGE(bits, weak, true)                                                                 \
  std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile void* address, std::uint##bits##_t value,  \
                                                     int) {                                              \
    see(const_cast<void*>(address), bits / 8, Kind::atomic, true, __builtin_return_address(0));          \
    return __atomic_exchange_n(static_cast<volatile std::uint##bits##_t*>(address), value,               \
                               __ATOMIC_SEQ_CST);                                                        \
  }                                                                                                      \
  std::uint##bits##_t __tsan_atomic##bits##_load(const volatile void* address, int) {                    \
    see(const_cast<const void*>(address), bits / 8, Kind::atomic, true, __builtin_return_address(0));    \
    return __atomic_load_n(static_cast<const volatile std::uint##bits##_t*>(address), __ATOMIC_SEQ_CST); \
  }                                                                                                      \
  void __tsan_atomic##bits##_store(volatile void* address, std::uint##bits##_t value, int) {             \
    see(const_cast<void*>(address), bits / 8, Kind::atomic, true, __builtin_return_address(0));          \
    __atomic_store_n(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST);      \
  }

extern "C" {

/// Called before main by every file that was compiled for the checking mode.
void __tsan_init() {
  if (checker == nullptr) {
    simt::observer = checker = new simt::check::Checker;
  }
}

void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

void __tsan_read_range(void* address, std::size_t bytes) {
  see(address, bytes, Kind::read, false, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t bytes) {
  see(address, bytes, Kind::write, false, __builtin_return_address(0));
}

SIMT_PLAIN(1)
SIMT_PLAIN(2)
SIMT_PLAIN(4)
SIMT_PLAIN(8)
SIMT_PLAIN(16)
SIMT_UNALIGNED(2)
SIMT_UNALIGNED(4)
SIMT_UNALIGNED(8)
SIMT_UNALIGNED(16)
SIMT_ATOMIC(8)
SIMT_ATOMIC(16)
SIMT_ATOMIC(32)
SIMT_ATOMIC(64)
}
