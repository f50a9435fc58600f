// A thread of a kernel: its own stack, entered and left in user space.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace simt {

/// Boost.Context's lowest level is used, because a fiber whose kernel failed is dropped where it is: kernel
/// code need not support unwinding.
class Fiber {
 public:
  explicit Fiber(unsigned number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() calls function(argument) on this stack. Whatever ran here before is forgotten.
  void start(void (*function)(void*), void* argument);

  /// Runs the fiber until it suspends or its function returns.
  void resume();

  /// Returns to the caller of resume(); to be called on this fiber.
  void suspend();

  /// Whether the address is in the stack, and whether it is in the inaccessible guard at its end.
  bool owns(const void* address) const;
  bool overflowed_at(const void* address) const;

  /// Where a stack starts whose frames are given up.
  unsigned char* top() const { return top_; }
  void forget_frames();

 private:
  static void enter(boost::context::detail::transfer_t from);
  void leave(void** saved);

  unsigned char* memory_;
  std::size_t bytes_;
  unsigned char* top_;
  boost::context::detail::fcontext_t own_ = nullptr;     // where the fiber continues
  boost::context::detail::fcontext_t caller_ = nullptr;  // where resume() continues
  void (*function_)(void*) = nullptr;
  void* argument_ = nullptr;
  const void* caller_bottom_ = nullptr;  // the stack of the caller of resume(), for AddressSanitizer
  std::size_t caller_bytes_ = 0;
  void* saved_ = nullptr;
};

}  // namespace simt
