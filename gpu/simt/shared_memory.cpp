#include "gpu/simt/shared_memory.h"

#include <cstring>

#include "gpu/simt/pages.h"
#include "gpu/simt/sanitizer.h"
#include "simt/device.h"

namespace simt {

namespace detail {
unsigned char* shared_memory = nullptr;
}

namespace {

std::size_t current_bytes = 0;

unsigned char* buffer_end() {
  static unsigned char* const end = [] {
    const std::size_t bytes = round_up(shared_bytes_most, page_size());
    unsigned char* begin = reserve(bytes + page_size(), PROT_READ | PROT_WRITE);
    mprotect(begin + bytes, page_size(), PROT_NONE);
    return begin + bytes;
  }();
  return end;
}

}  // namespace

void prepare_shared_memory(std::size_t bytes) {
  unsigned char* const end = buffer_end();
  poison(end - shared_bytes_most, shared_bytes_most);
  detail::shared_memory = end - round_up(bytes, 16);
  current_bytes = bytes;
  unpoison(detail::shared_memory, bytes);
  std::memset(detail::shared_memory, 0xff, bytes);
}

std::ptrdiff_t shared_offset(const void* address) {
  const auto* byte = static_cast<const unsigned char*>(address);
  const bool near = byte >= detail::shared_memory && byte < buffer_end() + page_size();
  return near ? byte - detail::shared_memory : -1;
}

std::size_t shared_size() {
  return current_bytes;
}

}  // namespace simt
