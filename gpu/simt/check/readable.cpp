#include "gpu/simt/check/readable.h"

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace simt::check {

namespace {

/// A loaded segment without write access, or the part that is closed after relocation.
bool constant(const ElfW(Phdr) & header) {
  return (header.p_type == PT_LOAD && (header.p_flags & PF_W) == 0) || header.p_type == PT_GNU_RELRO;
}

int look(dl_phdr_info* module, std::size_t, void* address) {
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const auto& header = module->dlpi_phdr[i];
    const std::uintptr_t begin = module->dlpi_addr + header.p_vaddr;
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    if (constant(header) && value >= begin && value < begin + header.p_memsz) {
      return 1;
    }
  }
  return 0;
}

}  // namespace

bool in_constants(const void* address) {
  return dl_iterate_phdr(look, const_cast<void*>(address)) != 0;
}

}  // namespace simt::check
