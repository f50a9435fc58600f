// Device memory: a separate address range, closed while the host runs. Every allocation has its own pages,
// with an inaccessible page before and after them; freed addresses are not reused for as long as possible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

namespace simt {

struct Allocation {
  unsigned char* pointer;  // aligned to 256 bytes
  std::size_t bytes;
  std::uint64_t number;  // counted from 1
};

class Arena {
 public:
  /// Reserves so many bytes of address space.
  explicit Arena(std::size_t address_space = std::size_t{64} << 30);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Null when the limit or the address space is used up. The memory starts with all bits set.
  unsigned char* allocate(std::size_t bytes);

  /// False when the pointer is not the start of an allocation.
  bool free(const void* pointer);

  /// The allocation that holds the address, or null.
  const Allocation* find(const void* address) const;

  /// Whether the address belongs to the device, allocated or not.
  bool contains(const void* address) const;

  /// "byte 1024 of allocation 3 (1024 bytes)", "freed memory: ...", for any address of the device.
  std::string describe(const void* address) const;

  /// Between open() and close() the memory may be accessed.
  void open();
  void close();

  /// Describes the first allocation whose guard bytes were overwritten; to be called between open() and
  /// close().
  std::optional<std::string> overwritten() const;

  const unsigned char* begin() const { return begin_; }
  std::size_t bytes() const { return bytes_; }

  const std::map<const unsigned char*, Allocation>& live() const { return live_; }
  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_; }
  void set_limit(std::size_t bytes) { limit_ = bytes; }

 private:
  unsigned char* gap(std::size_t bytes);

  std::size_t bytes_;
  unsigned char* begin_;
  unsigned char* next_;  // where the search for space continues
  std::map<const unsigned char*, Allocation> live_;
  std::deque<Allocation> freed_;  // the most recent
  std::size_t limit_ = std::size_t{16} << 30;
  std::size_t used_ = 0;
  std::uint64_t count_ = 0;
  bool open_ = false;
};

}  // namespace simt
