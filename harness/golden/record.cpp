#include "harness/golden/record.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <set>

#include "harness/golden/golden_file.h"
#include "harness/io/atomic_file.h"
#include "harness/io/file_name.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

NamedCase parse_line(const std::string& line) {
  const std::size_t blank = line.find(' ');
  const std::string name = line.substr(0, blank);
  if (!is_safe_name(name)) throw FormatError(fmt::format("\"{}\" is not a name for a file", name));
  const std::size_t text = blank == std::string::npos ? blank : line.find_first_not_of(' ', blank);
  if (text == std::string::npos) throw FormatError(fmt::format("{} has no case", name));
  return {name, parse_case_text(line.substr(text))};
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FormatError(fmt::format("{}: cannot be read", path.string()));
  return {std::istreambuf_iterator<char>(file), {}};
}

Judgement judged_by_oracle(const Problem& problem, const Trace& trace, Backend& backend) {
  if (backend.name() == "reference:f64") return {};
  return judge(problem, trace, backend.precision(problem.definition), backend.is_plain_reference());
}

}  // namespace

bool is_safe_name(const std::string& name) {
  if (name.empty() || name.front() == '/' || name.back() == '/' || name.find("..") != std::string::npos)
    return false;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  return name.find_first_not_of(kAllowed) == std::string::npos;
}

std::vector<NamedCase> read_case_list(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw FormatError(fmt::format("{}: cannot be read", path.string()));
  std::vector<NamedCase> cases;
  std::set<std::string> names;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    const std::string where = fmt::format("{}:{}", path.string(), number);
    with_file_name(where, [&] {
      cases.push_back(parse_line(line));
      if (names.insert(cases.back().name).second) return;
      throw FormatError(fmt::format("{} is there twice", cases.back().name));
    });
  }
  return cases;
}

Recording::Recording(std::filesystem::path folder) : folder_(std::move(folder)) {
  if (std::filesystem::is_directory(folder_)) lock_.emplace(folder_);
}

void Recording::add(const std::string& name, const Problem& problem, Backend& backend, const TapFilter& wants,
                    const std::string& reason) {
  const Trace trace = backend.run(problem, {});
  RecordedFile file{name, FileChange::added, judged_by_oracle(problem, trace, backend)};
  Producer producer = this_producer(backend.name());
  if (!is_success(file.judgement.verdict) && !reason.empty()) producer.json["reason"] = reason;
  Trace kept;
  for (const auto& [tap, value] : trace.entries()) {
    if (!wants || wants(tap)) kept.add(tap, value);
  }
  if (kept.empty()) throw ConfigError(fmt::format("--taps: no tap of {} has such a name", name));
  const std::filesystem::path made = scratch_.path() / (name + ".safetensors");
  const std::filesystem::path old = folder_ / (name + ".safetensors");
  std::filesystem::create_directories(made.parent_path());
  write_golden(made, problem, kept, producer);
  if (std::filesystem::exists(old)) {
    file.change = bytes_of(old) == bytes_of(made) ? FileChange::same : FileChange::changed;
  }
  files_.push_back(std::move(file));
}

void Recording::write() {
  std::filesystem::create_directories(folder_);
  if (!lock_) lock_.emplace(folder_);
  for (const RecordedFile& file : files_) {
    if (file.change == FileChange::same) continue;
    const std::filesystem::path path = folder_ / (file.name + ".safetensors");
    if (file.change == FileChange::added && std::filesystem::exists(path)) {
      throw FormatError(fmt::format("{}: was written while this recording ran", path.string()));
    }
    std::filesystem::create_directories(path.parent_path());
    write_atomically(path, bytes_of(scratch_.path() / (file.name + ".safetensors")));
  }
}

}  // namespace forgecheck
