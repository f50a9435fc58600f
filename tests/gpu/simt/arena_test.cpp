// The allocator of device memory, by itself and with little space.
#include "gpu/simt/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "gpu/simt/pages.h"

namespace {

using simt::Arena;

constexpr std::size_t room = std::size_t{1} << 20;

TEST(Arena, AddressesAreUsedAgainWhenTheRoomIsThrough) {
  Arena arena(room);
  std::set<unsigned char*> seen;
  for (int i = 0; i < 1000; ++i) {
    unsigned char* pointer = arena.allocate(5000);
    ASSERT_NE(pointer, nullptr);
    seen.insert(pointer);
    EXPECT_TRUE(arena.free(pointer));
    EXPECT_EQ(arena.find(pointer), nullptr);
  }
  EXPECT_GT(seen.size(), 50U);
  EXPECT_LT(seen.size(), 100U);
}

TEST(Arena, AllocationsNeverOverlapAndKeepTheirBytes) {
  Arena arena(room);
  arena.open();
  std::vector<std::pair<unsigned char*, std::size_t>> live;
  for (std::size_t i = 0; i < 3000; ++i) {
    const std::size_t bytes = 1 + i * 7919 % 20000;
    if (unsigned char* pointer = arena.allocate(bytes); pointer != nullptr) {
      EXPECT_EQ(pointer[0], 0xff);
      EXPECT_EQ(pointer[bytes - 1], 0xff);
      std::memset(pointer, static_cast<int>(i % 251), bytes);
      live.emplace_back(pointer, bytes);
    }
    if (live.size() > 20 || i % 3 == 0) {
      const std::size_t victim = i * 31 % live.size();
      const auto [pointer, count] = live[victim];
      for (std::size_t at = 1; at < count; ++at) {
        ASSERT_EQ(pointer[at], pointer[0]);
      }
      ASSERT_TRUE(arena.free(pointer));
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(victim));
    }
  }
  EXPECT_EQ(arena.overwritten(), std::nullopt);
  EXPECT_EQ(arena.live().size(), live.size());
}

TEST(Arena, IsFullWhenNoGapIsLargeEnough) {
  Arena arena(room);
  std::vector<unsigned char*> all;
  while (unsigned char* pointer = arena.allocate(100000)) {
    all.push_back(pointer);
  }
  EXPECT_GE(all.size(), 8U);
  EXPECT_TRUE(arena.free(all[3]));
  EXPECT_EQ(arena.allocate(110000), nullptr);
  EXPECT_EQ(arena.allocate(100000), all[3]);
}

// A gap of pages that would just hold it does not do: a closed page must be left on either side.
TEST(Arena, AClosedPageIsLeftBeforeTheNextAllocation) {
  constexpr std::size_t rest = 256;  // of the last page; the guard bytes in front need some
  const std::size_t page = simt::page_size();
  Arena arena(room);
  std::vector<unsigned char*> all;
  while (unsigned char* pointer = arena.allocate(4 * page - rest)) {
    all.push_back(pointer);
  }
  EXPECT_TRUE(arena.free(all.at(3)));
  EXPECT_EQ(arena.allocate(5 * page - rest), nullptr);
  EXPECT_EQ(arena.allocate(4 * page - rest), all[3]);
}

TEST(Arena, DescribesEveryAddress) {
  Arena arena(room);
  unsigned char* first = arena.allocate(1000);
  unsigned char* second = arena.allocate(24);
  EXPECT_EQ(arena.describe(first + 999), "byte 999 of allocation 1 (1000 bytes)");
  EXPECT_EQ(arena.describe(first + 1000), "byte 1000 of allocation 1 (1000 bytes)");
  EXPECT_EQ(arena.describe(second - 8), "8 bytes before allocation 2 (24 bytes)");
  arena.free(first);
  EXPECT_EQ(arena.describe(first + 4), "byte 4 of allocation 1 (1000 bytes), which was freed");
  EXPECT_EQ(arena.describe(first + room / 2), "device memory that was never allocated");
}

}  // namespace
