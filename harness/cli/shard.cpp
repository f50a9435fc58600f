#include "harness/cli/shard.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "reference/error.h"

namespace forgecheck {

namespace {

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

/// What a command was given for --shard; empty without it.
std::string shard_of(const std::vector<std::string>& command) {
  const std::string option = "--shard";
  for (std::size_t i = 0; i < command.size(); ++i) {
    if (command[i] == option && i + 1 < command.size()) return command[i + 1];
    if (command[i].starts_with(option + "=")) return command[i].substr(option.size() + 1);
  }
  return "";
}

}  // namespace

Shard parse_shard(const std::string& text) {
  if (text.empty()) return {};
  const std::size_t slash = text.find('/');
  const std::string_view whole = text;
  const auto index = number_of(whole.substr(0, slash));
  const auto count = slash == std::string::npos ? std::nullopt : number_of(whole.substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count) {
    throw ConfigError(fmt::format("--shard {}: must be i/n, with i in 1 .. n", text));
  }
  if (*count > kMostShards) {
    throw ConfigError(fmt::format("--shard {}: there are at most {} parts", text, kMostShards));
  }
  return {*index, *count};
}

std::vector<std::string> missing_shards(const std::vector<NamedReport>& reports) {
  std::map<std::int64_t, std::set<std::int64_t>> found;  // by count
  for (const NamedReport& report : reports) {
    const std::string text = shard_of(report.report.command);
    if (text.empty()) continue;
    const Shard shard = parse_shard(text);
    found[shard.count].insert(shard.index);
  }
  std::vector<std::string> missing;
  for (const auto& [count, indices] : found) {
    for (std::int64_t i = 1; i <= count; ++i) {
      if (!indices.contains(i)) missing.push_back(fmt::format("shard {}/{}", i, count));
    }
  }
  return missing;
}

}  // namespace forgecheck
