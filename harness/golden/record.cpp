#include "harness/golden/record.h"

#include <fmt/format.h>

#include <fstream>
#include <set>

#include "harness/golden/golden_file.h"
#include "harness/io/file_name.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// Letters, digits, '_', '-', '.' and '/' between parts that are not "..".
bool is_safe_name(const std::string& name) {
  if (name.empty() || name.front() == '/' || name.back() == '/' || name.find("..") != std::string::npos)
    return false;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  return name.find_first_not_of(kAllowed) == std::string::npos;
}

NamedCase parse_line(const std::string& line) {
  const std::size_t blank = line.find(' ');
  const std::string name = line.substr(0, blank);
  if (!is_safe_name(name)) throw FormatError(fmt::format("\"{}\" is not a name for a file", name));
  const std::size_t text = blank == std::string::npos ? blank : line.find_first_not_of(' ', blank);
  if (text == std::string::npos) throw FormatError(fmt::format("{} has no case", name));
  return {name, parse_case_text(line.substr(text))};
}

}  // namespace

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

void record_case(const NamedCase& named, Backend& backend, const std::filesystem::path& folder) {
  const Problem problem = seeded_problem(named.definition);
  const Trace trace = backend.run(problem, {});
  const std::filesystem::path path = folder / (named.name + ".safetensors");
  std::filesystem::create_directories(path.parent_path());
  write_golden(path, problem, trace, this_producer(backend.name()));
}

}  // namespace forgecheck
