#include "harness/golden/store.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/io/atomic_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/sha256.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;
constexpr std::string_view kExtension = ".safetensors";

std::vector<std::filesystem::path> safetensors_below(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) throw FormatError(folder.string() + ": is not a folder");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    // A link that leads nowhere or in a circle is listed as well: reading it says what is wrong.
    std::error_code unknown;
    const bool is_folder = entry.is_directory(unknown);
    if (!is_folder && entry.path().extension() == kExtension) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

/// `path` begins with `folder`; its links are not followed, so that a file has the name under which it lies.
std::string name_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  return path.lexically_relative(folder).generic_string();
}

std::map<std::string, ManifestEntry> read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "manifest.json";
  std::ifstream file(path);
  if (!file) throw FormatError(path.string() + ": cannot be read");
  const Json manifest = Json::parse(file, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("files") || !manifest["files"].is_array()) {
    throw FormatError(path.string() + ": is not a manifest");
  }
  std::map<std::string, ManifestEntry> entries;
  for (const Json& row : manifest["files"]) {
    if (!row.is_object() || !row.value("path", Json()).is_string() ||
        !row.value("sha256", Json()).is_string() || !row.value("date", Json("")).is_string()) {
      throw FormatError(path.string() + ": " + row.dump() + " is not an entry");
    }
    ManifestEntry entry{row["path"], row["sha256"], row.value("producer", Json()).dump(),
                        row.value("date", "")};
    entries.emplace(entry.path, std::move(entry));
  }
  return entries;
}

/// The producer in a golden's metadata; null for a weights file.
Json producer_of(const std::filesystem::path& path) {
  const SafetensorsFile file = read_safetensors(path);
  const auto text = file.metadata.find("forgecheck");
  if (text == file.metadata.end()) return nullptr;
  const Json metadata = Json::parse(text->second, nullptr, false);
  return metadata.is_object() ? metadata.value("producer", Json()) : Json();
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] == name[n] && pattern[p] != '*'))) {
      ++p;
      ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_filter(const std::string& filter, const std::string& name) {
  const bool is_pattern = filter.find_first_of("*?") != std::string::npos;
  return is_pattern ? glob_match(filter, name) : name.find(filter) != std::string::npos;
}

std::vector<GoldenEntry> find_goldens(const std::filesystem::path& folder, const std::string& filter) {
  std::vector<GoldenEntry> goldens;
  for (const std::filesystem::path& path : safetensors_below(folder)) {
    if (path.filename().string().starts_with("model")) continue;
    std::string name = name_below(path, folder);
    name.resize(name.size() - kExtension.size());
    if (matches_filter(filter, name)) goldens.push_back({name, path});
  }
  return goldens;
}

void write_manifest(const std::filesystem::path& folder, const std::string& today) {
  const std::filesystem::path path = folder / "manifest.json";
  const auto known =
      std::filesystem::exists(path) ? read_manifest(folder) : std::map<std::string, ManifestEntry>();
  Json files = Json::array();
  for (const std::filesystem::path& file : safetensors_below(folder)) {
    const std::string name = name_below(file, folder), sha256 = sha256_file(file);
    const auto old = known.find(name);
    const bool unchanged = old != known.end() && old->second.sha256 == sha256;
    files.push_back({{"path", name},
                     {"sha256", sha256},
                     {"producer", producer_of(file)},
                     {"date", unchanged ? old->second.date : today}});
  }
  write_atomically(path, Json{{"schema", 1}, {"files", files}}.dump(1) + "\n");
}

std::vector<std::string> check_manifest(const std::filesystem::path& folder) {
  auto known = read_manifest(folder);
  std::vector<std::string> problems;
  for (const std::filesystem::path& file : safetensors_below(folder)) {
    const std::string name = name_below(file, folder);
    const auto entry = known.find(name);
    if (entry == known.end()) {
      problems.push_back(name + ": is not in the manifest");
      continue;
    }
    const std::string sha256 = sha256_file(file);
    if (sha256 != entry->second.sha256) {
      problems.push_back(name + ": has sha256 " + sha256 + ", the manifest says " + entry->second.sha256);
    }
    known.erase(entry);
  }
  for (const auto& [name, entry] : known) problems.push_back(name + ": is in the manifest, but not there");
  return problems;
}

}  // namespace forgecheck
