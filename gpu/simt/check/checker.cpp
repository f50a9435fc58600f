#include "gpu/simt/check/checker.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "gpu/simt/block.h"
#include "gpu/simt/check/readable.h"
#include "gpu/simt/pages.h"
#include "gpu/simt/runtime.h"
#include "gpu/simt/shared_memory.h"
#include "gpu/simt/source_line.h"

namespace simt::check {

namespace {

const char* verb(Kind kind) {
  return kind == Kind::read ? "read" : kind == Kind::write ? "write" : "atomic operation";
}

std::string at(const void* pc) {
  const SourceLine line = calling_line(pc);
  return " at " + (line.place.empty() ? line.function : line.place);
}

[[noreturn]] void report(const char* kind, cudaError_t code, Kind access, std::size_t bytes,
                         const void* address, const void* pc, const std::string& rest = "") {
  std::string message = std::string(verb(access)) + " of " + std::to_string(bytes) + " bytes" + at(pc) +
                        ", " + describe_address(address) + rest;
  fail(code, kind, std::move(message));
}

/// The other side of a race: "written at reverse.cu:17 by thread (3,0,0) of block (0,0,0)".
std::string other_side(const Access& other, const Clock& clock) {
  const uint3 place = clock.block_of(other.moment);
  const std::string what = other.atomic ? "changed atomically" : other.write ? "written" : "read";
  return ", also " + what + at(reinterpret_cast<const void*>(std::uintptr_t{other.pc})) + " by " +
         name_of(*block().threads[Clock::thread_of(other.moment)]) + " of block (" + std::to_string(place.x) +
         "," + std::to_string(place.y) + "," + std::to_string(place.z) + "), with no barrier between";
}

}  // namespace

Checker::Checker() {
  const Arena& arena = device().arena;
  const std::size_t cells = arena.bytes() / 4 * sizeof(Cell);
  device_ = {arena.begin(), reinterpret_cast<Cell*>(reserve(cells, PROT_READ | PROT_WRITE)),
             reserve(arena.bytes(), PROT_READ | PROT_WRITE), false};
  shared_ = {nullptr,
             reinterpret_cast<Cell*>(reserve(shared_bytes_most / 4 * sizeof(Cell), PROT_READ | PROT_WRITE)),
             reserve(shared_bytes_most, PROT_READ | PROT_WRITE), true};
}

void Checker::block_begins() {
  clock_.block_begins(blockIdx);
  shared_.begin = detail::shared_memory;
  std::memset(shared_.written, 0, shared_size());
}

void Checker::access(const void* address, std::size_t bytes, Kind kind, bool aligned, const void* pc) {
  const auto* first = static_cast<const unsigned char*>(address);
  if (block().current->fiber.owns(address)) {
    return;  // local memory
  }
  if (aligned && reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    report("misaligned", cudaErrorMisalignedAddress, kind, bytes, address, pc);
  }
  if (const std::ptrdiff_t offset = shared_offset(address); offset >= 0) {
    if (static_cast<std::size_t>(offset) + bytes > shared_size()) {
      report("out of bounds", cudaErrorIllegalAddress, kind, bytes, address, pc);
    }
    check_memory(shared_, first, bytes, kind, pc);
  } else if (device().arena.contains(address)) {
    if (latest_ == nullptr || first < latest_->pointer || first >= latest_->pointer + latest_->bytes) {
      latest_ = device().arena.find(address);
    }
    if (latest_ == nullptr || first + bytes > latest_->pointer + latest_->bytes) {
      report("out of bounds", cudaErrorIllegalAddress, kind, bytes, address, pc);
    }
    check_memory(device_, first, bytes, kind, pc);
  } else if (!harmless(address, kind)) {
    report("not device memory", cudaErrorIllegalAddress, kind, bytes, address, pc);
  }
}

void Checker::check_memory(const Region& region, const unsigned char* address, std::size_t bytes, Kind kind,
                           const void* pc) {
  const auto offset = static_cast<std::size_t>(address - region.begin);
  unsigned char* flags = region.written + offset;
  if (kind != Kind::write && std::find(flags, flags + bytes, 0) != flags + bytes) {
    report("uninitialized", cudaErrorLaunchFailure, kind, bytes, address, pc, ", which was never written");
  }
  if (kind != Kind::read) {
    std::fill_n(flags, bytes, static_cast<unsigned char>(1));
  }
  const unsigned thread = block().current->number;
  Access access;
  access.moment = clock_.now(thread);
  access.pc = reinterpret_cast<std::uintptr_t>(pc) & 0xffffffffffff;
  access.write = kind != Kind::read;
  access.atomic = kind == Kind::atomic;
  for (std::size_t at_byte = offset; at_byte < offset + bytes;) {
    const std::size_t end = std::min((at_byte / 4 + 1) * 4, offset + bytes);
    access.bytes = ((1U << (end - at_byte)) - 1) << at_byte % 4 & 15;
    if (const Access* other = remember(region.cells[at_byte / 4], access, clock_, thread, region.shared)) {
      report("race", cudaErrorLaunchFailure, kind, bytes, address, pc, other_side(*other, clock_));
    }
    at_byte = end;
  }
}

/// Neither device memory nor a mistake: the emulator's own variables, constants of the program, pinned
/// memory.
bool Checker::harmless(const void* address, Kind kind) const {
  const auto within = [address](const auto& variable) {
    const auto* begin = reinterpret_cast<const unsigned char*>(&variable);
    return address >= begin && address < begin + sizeof variable;
  };
  return within(threadIdx) || within(blockIdx) || within(blockDim) || within(gridDim) ||
         within(detail::shared_memory) || device().find_pinned(address) != nullptr ||
         (kind == Kind::read && in_constants(address));
}

void Checker::allocated(const void* pointer, std::size_t bytes) {
  unsigned char* begin = device_.written + (static_cast<const unsigned char*>(pointer) - device_.begin);
  unsigned char* end = begin + bytes;
  // Whole pages are given back instead of written: an allocation may be large and hardly used.
  const auto to_page = [](unsigned char* byte) {
    return byte + (round_up(reinterpret_cast<std::uintptr_t>(byte), page_size()) -
                   reinterpret_cast<std::uintptr_t>(byte));
  };
  unsigned char* first_page = to_page(begin);
  unsigned char* after_pages = to_page(end) - page_size();
  if (first_page >= after_pages) {
    std::memset(begin, 0, bytes);
    return;
  }
  std::memset(begin, 0, static_cast<std::size_t>(first_page - begin));
  madvise(first_page, static_cast<std::size_t>(after_pages - first_page), MADV_DONTNEED);
  std::memset(after_pages, 0, static_cast<std::size_t>(end - after_pages));
}

void Checker::written(const void* pointer, std::size_t bytes) {
  std::memset(device_.written + (static_cast<const unsigned char*>(pointer) - device_.begin), 1, bytes);
}

void Checker::copied(const void* to, const void* from, std::size_t bytes) {
  const auto flags = [this](const void* address) {
    return device_.written + (static_cast<const unsigned char*>(address) - device_.begin);
  };
  std::memmove(flags(to), flags(from), bytes);
}

void Checker::require_written(const void* pointer, std::size_t bytes, const std::string& reader) {
  const auto* begin = static_cast<const unsigned char*>(pointer);
  const unsigned char* flags = device_.written + (begin - device_.begin);
  const unsigned char* missing = std::find(flags, flags + bytes, 0);
  if (missing != flags + bytes) {
    throw Failure{cudaErrorLaunchFailure, "uninitialized",
                  "uninitialized: " + reader + " reads " + describe_address(begin + (missing - flags)) +
                      ", which was never written"};
  }
}

}  // namespace simt::check
