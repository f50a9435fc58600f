#include "gpu/simt/fiber.h"

#include "gpu/simt/pages.h"
#include "gpu/simt/sanitizer.h"

namespace simt {

namespace context = boost::context::detail;

constexpr std::size_t guard_bytes = std::size_t{64} << 10;  // a large array could step over a smaller one
constexpr std::size_t stack_bytes = guard_bytes + (std::size_t{256} << 10);

// Stacks begin at different offsets within a page; otherwise all would compete for the same few cache lines.
Fiber::Fiber(unsigned number)
    : memory_(reserve(stack_bytes, PROT_READ | PROT_WRITE)),
      bytes_(stack_bytes),
      top_(memory_ + bytes_ - number % 64 * 448) {
  mprotect(memory_, guard_bytes, PROT_NONE);
}

Fiber::~Fiber() {
  unpoison(memory_, bytes_);
  munmap(memory_, bytes_);
}

void Fiber::start(void (*function)(void*), void* argument) {
  forget_frames();
  function_ = function;
  argument_ = argument;
  saved_ = nullptr;
  own_ = context::make_fcontext(top_, static_cast<std::size_t>(top_ - memory_), &Fiber::enter);
}

void Fiber::resume() {
  void* saved = nullptr;
  announce_switch(&saved, memory_, bytes_);
  own_ = context::jump_fcontext(own_, this).fctx;
  finish_switch(saved, nullptr, nullptr);
}

void Fiber::suspend() {
  leave(&saved_);
}

void Fiber::leave(void** saved) {
  announce_switch(saved, caller_bottom_, caller_bytes_);
  caller_ = context::jump_fcontext(caller_, nullptr).fctx;
  finish_switch(saved_, &caller_bottom_, &caller_bytes_);
}

void Fiber::enter(context::transfer_t from) {
  auto* self = static_cast<Fiber*>(from.data);
  self->caller_ = from.fctx;
  finish_switch(nullptr, &self->caller_bottom_, &self->caller_bytes_);
  self->function_(self->argument_);
  self->leave(nullptr);
}

void Fiber::forget_frames() {
  unpoison(memory_, bytes_);
}

bool Fiber::owns(const void* address) const {
  return address >= memory_ && address < memory_ + bytes_;
}

bool Fiber::overflowed_at(const void* address) const {
  return address >= memory_ && address < memory_ + guard_bytes;
}

}  // namespace simt
