// Launching a kernel. In an nvcc build `launch` is one line: kernel<<<grid, block, shared_bytes,
// stream>>>(args...).
#pragma once

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>

#include "simt/host.h"

namespace simt {

namespace detail {

/// A kernel with its arguments, ready to be run by every thread.
struct Launch {
  const void* kernel;
  dim3 grid, block;
  std::size_t shared_bytes;
  std::function<void()> body;
};

cudaError_t enqueue(Launch launch, cudaStream_t stream);

void enter_kernel();
void leave_kernel();

/// The call itself; the arguments have been copied to the thread's own stack.
template <class... Parameters, class Tuple, std::size_t... I>
void invoke(void (*kernel)(Parameters...), [[maybe_unused]] Tuple arguments, std::index_sequence<I...>) {
  enter_kernel();
  kernel(std::get<I>(arguments)...);
  leave_kernel();
}

}  // namespace detail

/// Launches `kernel` on `stream` with copies of its arguments, as CUDA does. The error also becomes the
/// last error.
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                   cudaStream_t stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "the kernel takes a different number of arguments");
  static_assert((std::is_trivially_copyable_v<std::remove_cvref_t<Parameters>> && ...),
                "a kernel's parameters are copied byte by byte");
  static_assert((!std::is_reference_v<Parameters> && ...), "a kernel's parameters are values");
  using Tuple = std::tuple<std::remove_cvref_t<Parameters>...>;
  auto copies = std::make_shared<const Tuple>(std::forward<Arguments>(arguments)...);
  detail::Launch work;
  work.kernel = reinterpret_cast<const void*>(kernel);
  work.grid = grid;
  work.block = block;
  work.shared_bytes = shared_bytes;
  work.body = [kernel, copies] { detail::invoke(kernel, *copies, std::index_sequence_for<Parameters...>()); };
  return detail::enqueue(std::move(work), stream);
}

}  // namespace simt
