// Handles the signal of an access to closed memory. On a kernel's thread it becomes a finding, and the host
// goes on; on the host the report is printed, and the program dies as it would have.
#include <signal.h>
#include <ucontext.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "gpu/simt/block.h"
#include "gpu/simt/memory_operand.h"
#include "gpu/simt/runtime.h"
#include "gpu/simt/sanitizer.h"
#include "gpu/simt/source_line.h"

namespace simt {

namespace {

struct sigaction previous;
const void* fault_address;
const void* fault_instruction;
bool fault_without_address;  // an access that the processor refused before it looked the address up

std::string at(const void* instruction) {
  const SourceLine line = source_line(instruction);
  return line.place.empty() ? "" : " at " + line.place;
}

/// Runs on the stack of the thread that failed, instead of the kernel.
[[noreturn]] void report_on_device() {
  in_kernel = false;
  const Thread& thread = *block().current;
  if (thread.fiber.overflowed_at(fault_address)) {
    std::string message = "the thread's local memory is too large" + at(fault_instruction);
    fail(cudaErrorIllegalAddress, "stack overflow", std::move(message));
  }
  if (fault_without_address && is_canonical(fault_address)) {
    std::string message = "vector access to " +
                          (fault_address == nullptr ? "an address that is not a multiple of its size"
                                                    : describe_address(fault_address)) +
                          at(fault_instruction);
    fail(cudaErrorMisalignedAddress, "misaligned", std::move(message));
  }
  std::string message = "access to " + describe_address(fault_address) + at(fault_instruction);
  fail(cudaErrorIllegalAddress, "out of bounds", std::move(message));
}

void continue_with(ucontext_t& context, void (*function)(), unsigned char* stack_top) {
  // As after a call: the stack is aligned to 16 before the return address is pushed.
#if defined(__x86_64__)
  context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(function);
  context.uc_mcontext.gregs[REG_RSP] = reinterpret_cast<greg_t>(stack_top - 64 - 8);
#elif defined(__aarch64__)
  context.uc_mcontext.pc = reinterpret_cast<std::uintptr_t>(function);
  context.uc_mcontext.sp = reinterpret_cast<std::uintptr_t>(stack_top - 64);
#else
#error "simt: the fault handler knows x86-64 and aarch64"
#endif
}

const void* instruction_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.gregs[REG_RIP]);
#else
  return reinterpret_cast<const void*>(context.uc_mcontext.pc);
#endif
}

const void* stack_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.gregs[REG_RSP]);
#else
  return reinterpret_cast<const void*>(context.uc_mcontext.sp);
#endif
}

void on_fault(int, siginfo_t* info, void* raw_context) {
  auto& context = *static_cast<ucontext_t*>(raw_context);
  fault_address = info->si_addr;
  fault_instruction = instruction_of(context);
  // x86-64 reports no address for two faults: a misaligned vector access, and a non-canonical address.
  fault_without_address = info->si_code == SI_KERNEL;
  if (fault_without_address) fault_address = memory_operand(context);
  // Another host thread may fault while a kernel runs.
  if (on_device() && block().current->fiber.owns(stack_of(context))) {
    Fiber& fiber = block().current->fiber;
    fiber.forget_frames();
    continue_with(context, reinterpret_cast<void (*)()>(&report_on_device), fiber.top());
    return;
  }
  if (device().arena.contains(fault_address)) {
    const std::string report = "simt: the host touched device memory: " + describe_address(fault_address) +
                               at(fault_instruction) + "\n";
    std::fputs(report.c_str(), stderr);
  }
  sigaction(SIGSEGV, &previous, nullptr);  // the instruction is retried, and the program dies
}

#if defined(__SANITIZE_ADDRESS__)
void on_sanitizer_report() {
  if (on_device()) {
    std::fputs(("simt: in " + full_name_of(*block().current) + "\n").c_str(), stderr);
  }
}
#endif

}  // namespace

void install_fault_handler() {
  // A fiber that ran out of stack cannot handle a signal: the handler has its own stack.
  stack_t existing{};
  sigaltstack(nullptr, &existing);
  if ((existing.ss_flags & SS_DISABLE) != 0) {
    static std::vector<char> memory(std::size_t{64} << 10);
    const stack_t stack{memory.data(), 0, memory.size()};
    sigaltstack(&stack, nullptr);
  }
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(on_sanitizer_report);
#endif
}

}  // namespace simt
