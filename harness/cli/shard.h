// A part of the goldens: --shard i/n.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/report/report.h"

namespace forgecheck {

struct Shard {
  std::int64_t index = 1;  // 1 .. count
  std::int64_t count = 1;

  /// Whether the golden at this position, from 0, is in the shard: every count-th is.
  bool has(std::size_t position) const { return static_cast<std::int64_t>(position) % count == index - 1; }
};

inline constexpr std::int64_t kMostShards = 10000;  // a report from outside may claim any number

/// "2/4"; the whole for an empty text. Throws ConfigError "--shard 5/4: ...".
Shard parse_shard(const std::string& text);

/// The shards that were asked for by no report's command, though another's has one of as many: "shard 3/4".
std::vector<std::string> missing_shards(const std::vector<NamedReport>& reports);

}  // namespace forgecheck
