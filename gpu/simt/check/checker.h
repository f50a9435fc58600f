// The checking mode: sees every load and store of instrumented kernels.
#pragma once

#include <cstddef>

#include "gpu/simt/arena.h"
#include "gpu/simt/check/cell.h"
#include "gpu/simt/check/clock.h"
#include "gpu/simt/observer.h"

namespace simt::check {

enum class Kind { read, write, atomic };

class Checker : public Observer {
 public:
  Checker();

  /// One access of `bytes` bytes by the running thread; `aligned` if the type requires its own alignment,
  /// `pc` the return address of the hook. Stops the kernel on the first mistake.
  void access(const void* address, std::size_t bytes, Kind kind, bool aligned, const void* pc);

  void launch_begins() override { clock_.launch_begins(); }
  void block_begins() override;
  void block_barrier() override { clock_.block_barrier(); }
  void warp_barrier(unsigned warp, unsigned lanes_of_barrier) override {
    clock_.warp_barrier(warp, lanes_of_barrier);
  }
  void allocated(const void* pointer, std::size_t bytes) override;
  void freed() override { latest_ = nullptr; }
  void written(const void* pointer, std::size_t bytes) override;
  void copied(const void* to, const void* from, std::size_t bytes) override;
  void require_written(const void* pointer, std::size_t bytes, const std::string& reader) override;

 private:
  /// What is kept about a piece of memory: a cell for every four bytes, and a flag for every byte.
  struct Region {
    const unsigned char* begin;
    Cell* cells;
    unsigned char* written;
    bool shared;
  };

  void check_memory(const Region& region, const unsigned char* address, std::size_t bytes, Kind kind,
                    const void* pc);
  bool harmless(const void* address, Kind kind) const;

  Clock clock_;
  Region device_;
  Region shared_;
  const Allocation* latest_ = nullptr;  // the allocation that was accessed last
};

}  // namespace simt::check
