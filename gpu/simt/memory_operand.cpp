#include "gpu/simt/memory_operand.h"

#include <cstring>

namespace simt {

#if defined(__x86_64__)

namespace {

/// A register by its number in an instruction, in the order of the processor's manual.
std::uint64_t value_of(const ucontext_t& context, unsigned number) {
  constexpr int places[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<std::uint64_t>(context.uc_mcontext.gregs[places[number]]);
}

template <class T>
std::uint64_t signed_number(const unsigned char* bytes) {
  T number;
  std::memcpy(&number, bytes, sizeof number);
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(number));
}

/// The prefixes that an SSE instruction without a segment can have.
bool is_prefix(unsigned char byte) {
  return byte == 0x66 || byte == 0xf2 || byte == 0xf3;
}

}  // namespace

// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2: prefixes, REX, 0F,
// opcode, ModRM, SIB, displacement.
const void* memory_operand(const ucontext_t& context) {
  const auto* next = reinterpret_cast<const unsigned char*>(context.uc_mcontext.gregs[REG_RIP]);
  while (is_prefix(*next)) ++next;
  const unsigned rex = (*next & 0xf0) == 0x40 ? *next++ : 0;
  if (*next++ != 0x0f) return nullptr;
  if (*next == 0x38 || *next == 0x3a) ++next;
  ++next;
  const unsigned char modrm = *next++;
  const unsigned mode = modrm >> 6, low = modrm & 7;
  if (mode == 3 || (mode == 0 && low == 5)) return nullptr;  // a register, or relative to the instruction
  std::uint64_t address = 0;
  bool has_base = true;
  if (low == 4) {
    const unsigned char sib = *next++;
    const unsigned index = (sib >> 3 & 7) | (rex & 2) << 2;
    if (index != 4) address += value_of(context, index) << (sib >> 6);  // 4, the stack pointer, means none
    has_base = mode != 0 || (sib & 7) != 5;
    if (has_base) address += value_of(context, (sib & 7U) | (rex & 1) << 3);
  } else {
    address += value_of(context, low | (rex & 1) << 3);
  }
  if (mode == 1) address += signed_number<std::int8_t>(next);
  if (mode == 2 || !has_base) address += signed_number<std::int32_t>(next);
  return reinterpret_cast<const void*>(address);
}

#else

const void* memory_operand(const ucontext_t&) {
  return nullptr;
}

#endif

}  // namespace simt
