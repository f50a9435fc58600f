#include "harness/golden/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "harness/golden/golden_file.h"
#include "harness/io/atomic_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/sha256.h"
#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;
constexpr std::string_view kExtension = ".safetensors";
constexpr int kManifestSchema = 1;  // of manifest.json

/// Whether an entry of a folder is a golden or a file of weights. A dangling link counts by its name: opening
/// it reports the error. Throws FormatError on a link whose files would be left out silently.
bool is_safetensors(const std::filesystem::directory_entry& entry) {
  const bool named = entry.path().extension() == kExtension;
  std::error_code error;
  const std::filesystem::file_status status = entry.status(error);
  if (entry.is_symlink() && !named) {
    const bool leads_nowhere = !std::filesystem::exists(status);
    if (leads_nowhere || std::filesystem::is_directory(status)) {
      throw FormatError(
          fmt::format("{}: is a symbolic link {}", entry.path().string(),
                      leads_nowhere ? "whose target is missing" : "to a folder, which is not followed"));
    }
  }
  return named && (std::filesystem::is_regular_file(status) || entry.is_symlink());
}

std::vector<std::filesystem::path> safetensors_below(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    throw FormatError(fmt::format("{}: is not a folder", folder.string()));
  }
  std::vector<std::filesystem::path> files;
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (is_safetensors(entry)) files.push_back(entry.path());
    }
  } catch (const std::filesystem::filesystem_error& failure) {
    throw FormatError(
        fmt::format("{}: cannot be read: {}", failure.path1().string(), failure.code().message()));
  }
  std::ranges::sort(files);
  return files;
}

/// `path` begins with `folder`; its links are not followed, so that a file has the name under which it lies.
std::string name_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  return path.lexically_relative(folder).generic_string();
}

/// What the manifest says of a file.
struct ManifestEntry {
  std::string sha256;
  std::string date;  // YYYY-MM-DD
};

/// The entries by their paths below the folder.
std::map<std::string, ManifestEntry> read_manifest(const std::filesystem::path& folder) {
  const JsonDocument document = read_json(folder / "manifest.json");
  if (const auto schema = document.root().find("schema")) schema->require_schema(kManifestSchema);
  document.root().require_keys({"schema", "files"});
  std::map<std::string, ManifestEntry> entries;
  for (const JsonValue& row : document.root().at("files").items()) {
    row.require_keys({"path", "sha256", "producer", "date"});
    const auto date = row.find("date");
    const ManifestEntry entry{row.at("sha256").text(), date ? date->text() : ""};
    if (!entries.emplace(row.at("path").text(), entry).second) row.at("path").refuse("is given twice");
  }
  return entries;
}

/// The producer in a golden's metadata; null for a weights file.
Json producer_of(const std::filesystem::path& path) {
  const SafetensorsFile file = read_safetensors(path);
  const auto text = file.metadata.find(kMetadata);
  if (text == file.metadata.end()) return nullptr;
  const JsonDocument metadata = parse_json(text->second, metadata_source(path));
  const auto producer = metadata.root().find("producer");
  return producer ? producer->json() : Json();
}

/// What is wrong with a file that the manifest should know; empty where nothing is.
std::string difference_of(const std::filesystem::path& file, const std::string& name,
                          const ManifestEntry& entry) {
  try {
    const std::string sha256 = sha256_file(file);
    if (sha256 == entry.sha256) return "";
    return fmt::format("{}: has sha256 {}, the manifest says {}", name, sha256, entry.sha256);
  } catch (const FormatError& error) {
    return error.what();
  }
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
  write_atomically(path, Json{{"schema", kManifestSchema}, {"files", files}}.dump(1) + "\n");
}

std::vector<std::string> check_manifest(const std::filesystem::path& folder) {
  auto known = read_manifest(folder);
  std::vector<std::string> problems;
  for (const std::filesystem::path& file : safetensors_below(folder)) {
    const std::string name = name_below(file, folder);
    const auto entry = known.find(name);
    if (entry == known.end()) {
      problems.push_back(fmt::format("{}: is not in the manifest", name));
      continue;
    }
    const std::string difference = difference_of(file, name, entry->second);
    if (!difference.empty()) problems.push_back(difference);
    known.erase(entry);
  }
  for (const auto& [name, entry] : known) {
    problems.push_back(fmt::format("{}: is in the manifest, but not in the folder", name));
  }
  return problems;
}

}  // namespace forgecheck
