// The address that a faulting vector instruction meant, from the instruction's bytes and the registers.
#include "gpu/simt/memory_operand.h"

#include <gtest/gtest.h>

#include <vector>

#if defined(__x86_64__)

namespace {

/// The operand of an instruction where each register holds a value of its own: the n-th 0x1000 (n + 1).
std::uintptr_t operand(const std::vector<unsigned char>& instruction) {
  ucontext_t context{};
  constexpr int registers[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int n = 0; n < 16; ++n) context.uc_mcontext.gregs[registers[n]] = 0x1000 * (n + 1);
  context.uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(instruction.data());
  return reinterpret_cast<std::uintptr_t>(simt::memory_operand(context));
}

// As an assembler writes them.
TEST(MemoryOperand, IsTheSumOfItsParts) {
  EXPECT_EQ(operand({0x0f, 0x29, 0x00}), 0x1000U);                          // movaps %xmm0,(%rax)
  EXPECT_EQ(operand({0x0f, 0x28, 0x0a}), 0x3000U);                          // movaps (%rdx),%xmm1
  EXPECT_EQ(operand({0x0f, 0x29, 0x40, 0x10}), 0x1010U);                    // movaps %xmm0,0x10(%rax)
  EXPECT_EQ(operand({0x0f, 0x29, 0x47, 0xf0}), 0x7ff0U);                    // movaps %xmm0,-0x10(%rdi)
  EXPECT_EQ(operand({0x0f, 0x29, 0x45, 0x00}), 0x6000U);                    // movaps %xmm0,0x0(%rbp)
  EXPECT_EQ(operand({0x0f, 0x29, 0x80, 0x00, 0x02, 0x00, 0x00}), 0x1200U);  // movaps %xmm0,0x200(%rax)
  EXPECT_EQ(operand({0x0f, 0x29, 0x80, 0x00, 0xfe, 0xff, 0xff}), 0x0e00U);  // movaps %xmm0,-0x200(%rax)
}

TEST(MemoryOperand, MayHaveAnIndexWithAScale) {
  EXPECT_EQ(operand({0x0f, 0x29, 0x04, 0x08}), 0x3000U);        // movaps %xmm0,(%rax,%rcx,1)
  EXPECT_EQ(operand({0x0f, 0x29, 0x04, 0xc8}), 0x11000U);       // movaps %xmm0,(%rax,%rcx,8)
  EXPECT_EQ(operand({0x0f, 0x29, 0x44, 0x88, 0x20}), 0x9020U);  // movaps %xmm0,0x20(%rax,%rcx,4)
  EXPECT_EQ(operand({0x0f, 0x29, 0x04, 0x24}), 0x5000U);        // movaps %xmm0,(%rsp): index 4 is none
  EXPECT_EQ(operand({0x0f, 0x29, 0x04, 0xcd, 0x40, 0x00, 0x00, 0x00}), 0x10040U);  // 0x40(,%rcx,8)
  EXPECT_EQ(operand({0x0f, 0x29, 0x44, 0x4d, 0x08}), 0xa008U);  // movaps %xmm0,0x8(%rbp,%rcx,2)
}

TEST(MemoryOperand, MayUseTheHigherRegisters) {
  EXPECT_EQ(operand({0x41, 0x0f, 0x29, 0x00}), 0x9000U);               // movaps %xmm0,(%r8)
  EXPECT_EQ(operand({0x41, 0x0f, 0x29, 0x04, 0x24}), 0xd000U);         // movaps %xmm0,(%r12)
  EXPECT_EQ(operand({0x42, 0x0f, 0x29, 0x04, 0x20}), 0xe000U);         // movaps %xmm0,(%rax,%r12,1)
  EXPECT_EQ(operand({0x43, 0x0f, 0x29, 0x44, 0x48, 0x10}), 0x1d010U);  // movaps %xmm0,0x10(%r8,%r9,2)
  EXPECT_EQ(operand({0x44, 0x0f, 0x29, 0x00}), 0x1000U);               // movaps %xmm8,(%rax)
}

TEST(MemoryOperand, FollowsPrefixesAndLongOpcodes) {
  EXPECT_EQ(operand({0x66, 0x0f, 0x7f, 0x40, 0x10}), 0x1010U);        // movdqa %xmm0,0x10(%rax)
  EXPECT_EQ(operand({0x66, 0x41, 0x0f, 0x6f, 0x02}), 0xb000U);        // movdqa (%r10),%xmm0
  EXPECT_EQ(operand({0x66, 0x0f, 0x38, 0x2a, 0x01}), 0x2000U);        // movntdqa (%rcx),%xmm0
  EXPECT_EQ(operand({0x66, 0x0f, 0x3a, 0x0f, 0x01, 0x08}), 0x2000U);  // palignr $8,(%rcx),%xmm0
  EXPECT_EQ(operand({0xf3, 0x0f, 0x7e, 0x42, 0x08}), 0x3008U);        // movq 0x8(%rdx),%xmm0
  EXPECT_EQ(operand({0xf2, 0x0f, 0x10, 0x42, 0x08}), 0x3008U);        // movsd 0x8(%rdx),%xmm0
}

TEST(MemoryOperand, IsUnknownForOtherInstructions) {
  EXPECT_EQ(operand({0x0f, 0x28, 0xc1}), 0U);                          // movaps %xmm1,%xmm0
  EXPECT_EQ(operand({0x0f, 0x29, 0x05, 0x00, 0x00, 0x00, 0x00}), 0U);  // movaps %xmm0,0x0(%rip)
  EXPECT_EQ(operand({0x48, 0x89, 0x00}), 0U);                          // mov %rax,(%rax)
}

}  // namespace

#endif
