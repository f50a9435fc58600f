// What a kernel may use: its place in the grid, barriers, warp collectives, atomics. A call that stops a
// thread takes its source location as a hidden last argument, so that errors can name it without debug
// information.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

namespace simt {

/// A source location. (std::source_location, in a form that clang-tidy 14 also accepts.)
struct Where {
  const char* file = "";
  int line = 0;
  static constexpr Where current(const char* file_ = __builtin_FILE(), int line_ = __builtin_LINE()) {
    return {file_, line_};
  }
};

namespace detail {

extern unsigned char* shared_memory;

enum class Barrier { plain, logical_and, logical_or, count };
enum class Collective { syncwarp, ballot, shfl, shfl_up, shfl_down, shfl_xor };

/// Waits for every thread of the block, and combines their predicates.
int barrier(Barrier kind, int predicate, const Where& where);

/// Waits for the lanes of `mask`; `argument` is the source lane, delta or lane mask of a shuffle.
std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, unsigned argument, int width,
                         const Where& where);

/// Waits until nothing else can run; returns the lanes that wait here together with this one.
unsigned active_mask(const Where& where);

/// Other threads may run here.
void interleave(const Where& where);

[[noreturn]] void trap(const Where& where);

template <class T>
inline constexpr bool is_shuffled = std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8);
template <class T>
concept Shuffled = is_shuffled<T>;

template <Shuffled T>
T shuffle(Collective kind, unsigned mask, T value, unsigned argument, int width, const Where& where) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = collective(kind, mask, bits, argument, width, where);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
concept AtomicInteger =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;

/// Stores f(old) and returns the old value, by the same compare-and-swap loop as on a device.
template <class T, class Function>
T update(T* address, const Where& where, Function f) {
  interleave(where);
  T old;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  T next = f(old);
  while (!__atomic_compare_exchange(address, &old, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    next = f(old);
  }
  return old;
}

}  // namespace detail

/// The block's dynamic shared memory, aligned to 16 bytes; what `extern __shared__ T name[]` is in nvcc.
template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(detail::shared_memory);
}

}  // namespace simt

// The running thread. Not const: they change under a kernel whenever it calls into the emulator.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

inline void __syncthreads(const simt::Where& where = simt::Where::current()) {
  simt::detail::barrier(simt::detail::Barrier::plain, 0, where);
}
inline int __syncthreads_and(int predicate, const simt::Where& where = simt::Where::current()) {
  return simt::detail::barrier(simt::detail::Barrier::logical_and, predicate, where);
}
inline int __syncthreads_or(int predicate, const simt::Where& where = simt::Where::current()) {
  return simt::detail::barrier(simt::detail::Barrier::logical_or, predicate, where);
}
inline int __syncthreads_count(int predicate, const simt::Where& where = simt::Where::current()) {
  return simt::detail::barrier(simt::detail::Barrier::count, predicate, where);
}

inline void __syncwarp(unsigned mask = 0xffffffffu, const simt::Where& where = simt::Where::current()) {
  simt::detail::collective(simt::detail::Collective::syncwarp, mask, 0, 0, warpSize, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              const simt::Where& where = simt::Where::current()) {
  return static_cast<unsigned>(
      simt::detail::collective(simt::detail::Collective::ballot, mask, predicate != 0, 0, warpSize, where));
}
inline int __any_sync(unsigned mask, int predicate, const simt::Where& where = simt::Where::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, const simt::Where& where = simt::Where::current()) {
  return __ballot_sync(mask, !predicate, where) == 0;
}
inline unsigned __activemask(const simt::Where& where = simt::Where::current()) {
  return simt::detail::active_mask(where);
}

template <simt::detail::Shuffled T>
T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize,
              const simt::Where& where = simt::Where::current()) {
  return simt::detail::shuffle(simt::detail::Collective::shfl, mask, value, static_cast<unsigned>(lane),
                               width, where);
}
template <simt::detail::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 const simt::Where& where = simt::Where::current()) {
  return simt::detail::shuffle(simt::detail::Collective::shfl_up, mask, value, delta, width, where);
}
template <simt::detail::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   const simt::Where& where = simt::Where::current()) {
  return simt::detail::shuffle(simt::detail::Collective::shfl_down, mask, value, delta, width, where);
}
template <simt::detail::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  const simt::Where& where = simt::Where::current()) {
  return simt::detail::shuffle(simt::detail::Collective::shfl_xor, mask, value,
                               static_cast<unsigned>(lane_mask), width, where);
}

// Atomics return the old value. Each is a place where other threads may run first.
template <simt::detail::AtomicInteger T>
T atomicAdd(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  simt::detail::interleave(where);
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
/// The sum depends on the order of the threads: not repeatable, neither here nor on a device.
inline float atomicAdd(float* address, float value, const simt::Where& where = simt::Where::current()) {
  return simt::detail::update(address, where, [value](float old) { return old + value; });
}
inline double atomicAdd(double* address, double value, const simt::Where& where = simt::Where::current()) {
  return simt::detail::update(address, where, [value](double old) { return old + value; });
}
template <class T>
requires std::is_same_v<T, int> || std::is_same_v<T, unsigned> T
atomicSub(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  simt::detail::interleave(where);
  return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}
template <simt::detail::AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  return simt::detail::update(address, where, [value](T old) { return old < value ? value : old; });
}
template <simt::detail::AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  return simt::detail::update(address, where, [value](T old) { return value < old ? value : old; });
}
template <simt::detail::AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  simt::detail::interleave(where);
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}
template <simt::detail::AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  simt::detail::interleave(where);
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <class T>
requires simt::detail::AtomicInteger<T> || std::is_same_v<T, float> T
atomicExch(T* address, std::type_identity_t<T> value, const simt::Where& where = simt::Where::current()) {
  return simt::detail::update(address, where, [value](T) { return value; });
}
template <simt::detail::AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
            const simt::Where& where = simt::Where::current()) {
  simt::detail::interleave(where);
  __atomic_compare_exchange(address, &expected, &value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}

// One thread runs at a time, so memory is always in order here; the race check does not count a fence as
// order.
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
T __ldg(const T* address) {
  return *address;
}

[[noreturn]] inline void __trap(const simt::Where& where = simt::Where::current()) {
  simt::detail::trap(where);
}

// Bits and numbers.
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline float rsqrtf(float x) {
  return 1.0F / std::sqrt(x);
}
// Rounded once each, never contracted into a fused multiply-add.
inline float __fmul_rn(float x, float y) {
  return x * y;
}
inline float __fadd_rn(float x, float y) {
  return x + y;
}
inline float __fsub_rn(float x, float y) {
  return x - y;
}
inline float __fdiv_rn(float x, float y) {
  return x / y;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
