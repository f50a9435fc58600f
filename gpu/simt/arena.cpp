#include "gpu/simt/arena.h"

#include <algorithm>
#include <cstring>

#include "gpu/simt/observer.h"
#include "gpu/simt/pages.h"
#include "gpu/simt/sanitizer.h"

namespace simt {

namespace {

constexpr std::size_t alignment = 256;
constexpr unsigned char guard_byte = 0xCB;
constexpr std::size_t front_guard = 64;  // bytes before an allocation that are checked

// [begin of pages][guard bytes][allocation][guard bytes][end of pages]: the allocation is as near to the end
// as its alignment allows, so that an overrun hits the closed page or the few guard bytes before it.
struct Pages {
  explicit Pages(const Allocation& a)
      : end(a.pointer + round_up(a.bytes, alignment)),
        begin(end - round_up(round_up(a.bytes, alignment) + front_guard, page_size())) {}
  std::size_t bytes() const { return static_cast<std::size_t>(end - begin); }
  unsigned char* end;
  unsigned char* begin;
};

SIMT_NO_ADDRESS_SANITIZER bool all_guard_bytes(const unsigned char* begin, const unsigned char* end) {
  for (const unsigned char* byte = begin; byte < end; ++byte) {
    if (*byte != guard_byte) {
      return false;
    }
  }
  return true;
}

}  // namespace

Arena::Arena(std::size_t address_space)
    : bytes_(address_space), begin_(reserve(bytes_, PROT_NONE)), next_(begin_ + page_size()) {}

Arena::~Arena() {
  unpoison(begin_, bytes_);
  munmap(begin_, bytes_);
}

/// Space for so many bytes of pages with a closed page on either side, or null.
unsigned char* Arena::gap(std::size_t bytes) {
  for (int round = 0; round < 2; ++round) {
    while (next_ + bytes + page_size() <= begin_ + bytes_) {
      auto after = live_.upper_bound(next_);
      // next_ is never inside an allocation, so only the next one can be in the way.
      if (after == live_.end() || Pages(after->second).begin >= next_ + bytes + page_size()) {
        return next_;
      }
      next_ = Pages(after->second).end + page_size();
    }
    next_ = begin_ + page_size();
  }
  return nullptr;
}

unsigned char* Arena::allocate(std::size_t bytes) {
  if (bytes > limit_ - std::min(used_, limit_)) {
    return nullptr;
  }
  const std::size_t rounded = round_up(bytes, alignment);
  const std::size_t pages = round_up(rounded + front_guard, page_size());
  unsigned char* first = gap(pages);
  if (first == nullptr) {
    return nullptr;
  }
  next_ = first + pages + page_size();
  const Allocation made{first + pages - rounded, bytes, ++count_};
  mprotect(first, pages, PROT_READ | PROT_WRITE);
  unpoison(first, pages);
  std::memset(made.pointer - front_guard, guard_byte, front_guard);
  std::memset(made.pointer, 0xff, bytes);
  std::memset(made.pointer + bytes, guard_byte, rounded - bytes);
  poison(first, static_cast<std::size_t>(made.pointer - first));
  poison(made.pointer + bytes, rounded - bytes);
  if (!open_) {
    mprotect(first, pages, PROT_NONE);
  }
  live_.emplace(made.pointer, made);
  used_ += bytes;
  if (observer != nullptr) {
    observer->allocated(made.pointer, bytes);
  }
  return made.pointer;
}

bool Arena::free(const void* pointer) {
  const auto found = live_.find(static_cast<const unsigned char*>(pointer));
  if (found == live_.end()) {
    return false;
  }
  const Allocation allocation = found->second;
  const Pages pages(allocation);
  mprotect(pages.begin, pages.bytes(), PROT_NONE);
  madvise(pages.begin, pages.bytes(), MADV_DONTNEED);
  poison(pages.begin, pages.bytes());
  used_ -= allocation.bytes;
  freed_.push_front(allocation);
  if (freed_.size() > 4096) {
    freed_.pop_back();
  }
  live_.erase(found);
  if (observer != nullptr) {
    observer->freed();
  }
  return true;
}

const Allocation* Arena::find(const void* address) const {
  auto after = live_.upper_bound(static_cast<const unsigned char*>(address));
  if (after == live_.begin()) {
    return nullptr;
  }
  const Allocation& allocation = std::prev(after)->second;
  return address < allocation.pointer + allocation.bytes ? &allocation : nullptr;
}

bool Arena::contains(const void* address) const {
  return address >= begin_ && address < begin_ + bytes_;
}

std::string Arena::describe(const void* address) const {
  const auto* byte = static_cast<const unsigned char*>(address);
  const auto text = [byte](const Allocation& a) {
    const std::ptrdiff_t offset = byte - a.pointer;
    const std::string where =
        offset < 0 ? std::to_string(-offset) + " bytes before" : "byte " + std::to_string(offset) + " of";
    return where + " allocation " + std::to_string(a.number) + " (" + std::to_string(a.bytes) + " bytes)";
  };
  if (const Allocation* allocation = find(address)) {
    return text(*allocation);
  }
  const auto near = [byte](const Allocation& a) {
    const Pages pages(a);
    return byte + page_size() >= pages.begin && byte < pages.end + page_size();
  };
  for (const Allocation& a : freed_) {
    if (byte >= a.pointer && byte < a.pointer + a.bytes) {
      return text(a) + ", which was freed";
    }
  }
  for (const auto& [pointer, a] : live_) {
    if (near(a)) {
      return text(a);
    }
  }
  return "device memory that was never allocated";
}

void Arena::open() {
  open_ = true;
  for (const auto& [pointer, allocation] : live_) {
    const Pages pages(allocation);
    mprotect(pages.begin, pages.bytes(), PROT_READ | PROT_WRITE);
  }
}

void Arena::close() {
  open_ = false;
  for (const auto& [pointer, allocation] : live_) {
    const Pages pages(allocation);
    mprotect(pages.begin, pages.bytes(), PROT_NONE);
  }
}

std::optional<std::string> Arena::overwritten() const {
  for (const auto& [pointer, a] : live_) {
    if (!all_guard_bytes(a.pointer - front_guard, a.pointer) ||
        !all_guard_bytes(a.pointer + a.bytes, Pages(a).end)) {
      return "allocation " + std::to_string(a.number) + " (" + std::to_string(a.bytes) + " bytes)";
    }
  }
  return std::nullopt;
}

}  // namespace simt
