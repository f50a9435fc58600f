#include "gpu/simt/runtime.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gpu/simt/block.h"
#include "gpu/simt/shared_memory.h"
#include "gpu/simt/source_line.h"

namespace simt {

namespace {

std::uint64_t first_seed() {
  const char* text = std::getenv("FORGECHECK_SIMT_SEED");
  if (text == nullptr) {
    return 0;
  }
  std::uint64_t seed = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, seed);
  if (error != std::errc() || stop != end) {
    std::fprintf(stderr, "simt: FORGECHECK_SIMT_SEED is '%s', not a number from 0 to 2^64 - 1\n", text);
    std::exit(2);
  }
  return seed;
}

}  // namespace

Device::Device() : seed(first_seed()), random(seed) {
  install_fault_handler();
}

/// Never destroyed: objects that die after main may still free device memory.
Device& device() {
  static Device& instance = *new Device;
  return instance;
}

cudaError_t Device::record(const Failure& failure) {
  last = described = failure.code;
  description = failure.message;
  if (!failure.kind.empty()) {
    findings.push_back({failure.kind, failure.message});
    sticky = failure.code;
    streams.clear();
  }
  return failure.code;
}

void Device::run_until(const std::function<bool()>& done, std::uint64_t most) {
  if (done()) {
    return;
  }
  struct Open {
    explicit Open(Arena& memory) : arena(memory) { arena.open(); }
    ~Open() { arena.close(); }
    Arena& arena;
  } open(arena);
  for (std::uint64_t i = 0; i < most && !done(); ++i) {
    streams.run_one(random);
  }
}

Stream* Device::stream(cudaStream_t handle, const char* function) {
  if (handle == nullptr) {
    return streams.legacy();
  }
  if (!streams.valid(handle)) {
    throw Failure{cudaErrorInvalidResourceHandle, "",
                  std::string(function) + ": the stream was destroyed or never created"};
  }
  return handle;
}

const Allocation* Device::find_pinned(const void* address) const {
  auto after = pinned.upper_bound(static_cast<const unsigned char*>(address));
  if (after == pinned.begin()) {
    return nullptr;
  }
  const Allocation& allocation = std::prev(after)->second;
  return address < allocation.pointer + allocation.bytes ? &allocation : nullptr;
}

void Device::require_device_range(const void* pointer, std::size_t bytes, const std::string& what,
                                  const std::string& kind) const {
  const auto* begin = static_cast<const unsigned char*>(pointer);
  const Allocation* allocation = arena.find(pointer);
  if (allocation == nullptr ||
      bytes > static_cast<std::size_t>(allocation->pointer + allocation->bytes - begin)) {
    throw Failure{kind.empty() ? cudaErrorInvalidValue : cudaErrorIllegalAddress, kind,
                  (kind.empty() ? "" : kind + ": ") + what + ": " + std::to_string(bytes) + " bytes from " +
                      describe_address(pointer) + " are not inside one allocation of the device"};
  }
}

std::string describe_address(const void* address) {
  const Device& d = device();
  if (address == nullptr) {
    return "the null pointer";
  }
  if (d.arena.contains(address)) {
    return d.arena.describe(address);
  }
  if (const std::ptrdiff_t offset = shared_offset(address); on_device() && offset >= 0) {
    return "byte " + std::to_string(offset) + " of shared memory (" + std::to_string(shared_size()) +
           " bytes)";
  }
  if (const Allocation* allocation = d.find_pinned(address)) {
    return "pinned host memory " + std::to_string(allocation->number);
  }
  return "host memory at " + hexadecimal(reinterpret_cast<std::uintptr_t>(address));
}

void set_seed(std::uint64_t seed) {
  Device& d = device();
  const std::lock_guard lock(d.mutex);
  d.seed = seed;
  d.random = Random(seed);
}

std::uint64_t seed() {
  return device().seed;
}
const std::vector<Finding>& findings() {
  return device().findings;
}
void clear_findings() {
  device().findings.clear();
}
void set_memory_limit(std::size_t bytes) {
  device().arena.set_limit(bytes);
}

std::vector<Leak> allocations() {
  const Device& d = device();
  std::vector<Leak> all;
  for (const auto* memory : {&d.arena.live(), &d.pinned}) {
    for (const auto& [pointer, allocation] : *memory) {
      all.push_back({pointer, allocation.bytes, allocation.number});
    }
  }
  std::sort(all.begin(), all.end(), [](const Leak& a, const Leak& b) { return a.number < b.number; });
  return all;
}

}  // namespace simt
