#include "harness/io/toml_config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <sstream>

#include "harness/case/case_fields.h"
#include "harness/io/mapped_file.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

constexpr std::array<const char*, 4> kSections = {"model", "vision_encoder", "adapter", "vlm"};

/// A value as the file has it, for messages.
std::string source_text(const toml::node& node) {
  if (const auto* number = node.as_floating_point()) return format_value(number->get());
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  return out.str();
}

class File {
 public:
  explicit File(const std::filesystem::path& path) : path_(path.string()) {}

  toml::table parse() const {
    const MappedFile file = map_file(path_);
    refuse_lfs_pointer(path_, text_of(file));
    try {
      return toml::parse(text_of(file), path_);
    } catch (const toml::parse_error& error) {
      const toml::source_position at = error.source().begin;
      throw FormatError(fmt::format("{}:{}:{}: {}", path_, at.line, at.column, error.description()));
    }
  }

  [[noreturn]] void reject(const toml::node& node, const std::string& message) const {
    throw ConfigError(fmt::format("{}:{}: {}", path_, node.source().begin.line, message));
  }
  [[noreturn]] void reject(const std::string& message) const {
    throw ConfigError(fmt::format("{}: {}", path_, message));
  }

  FieldValue value(const std::string& name, const toml::node& node) const;

  /// Sets every field of a section but the ignored ones, `arch` first: it decides which others there are.
  void read(Case& result, const std::string& section, const toml::table& table,
            std::initializer_list<std::string_view> ignored = {}) const {
    for (const bool arch : {true, false}) {
      for (const auto& [key, node] : table) {
        if ((key.str() == "arch") != arch) continue;
        if (std::find(ignored.begin(), ignored.end(), key.str()) != ignored.end()) continue;
        const FieldValue given = value(fmt::format("{}.{}", section, key.str()), node);
        try {
          set_field(result, section, key.str(), given);
        } catch (const ConfigError& error) {
          reject(node, error.what());
        }
      }
    }
  }

  void check_freeze(const std::string& name, const toml::node& node) const;
  void check_freeze_schedule(const toml::node& node) const;
  void check_module_patterns(const toml::node& node) const;

 private:
  [[noreturn]] void reject_type(const std::string& name, const toml::node& node,
                                const std::string& needs) const {
    reject(node, fmt::format("{} = {}: needs {}", name, source_text(node), needs));
  }
  std::string path_;
};

FieldValue File::value(const std::string& name, const toml::node& node) const {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      if (!item.is_string()) reject_type(name, node, "strings in its list");
      items.push_back(item.as_string()->get());
    }
    return items;
  }
  if (const auto* table = node.as_table()) {
    std::map<std::string, std::int64_t> entries;
    for (const auto& [key, item] : *table) {
      if (!item.is_integer()) reject_type(name, node, "integers in its table");
      entries.emplace(key.str(), item.as_integer()->get());
    }
    return entries;
  }
  reject_type(name, node, "no date or time");
}

/// [{module = "adapter", frozen = true}, ...]: decides what is trained, never what is computed.
void File::check_freeze(const std::string& name, const toml::node& node) const {
  const std::string needs = "a list of {module = \"...\", frozen = true or false}";
  if (!node.is_array()) reject_type(name, node, needs);
  for (const toml::node& item : *node.as_array()) {
    const toml::table* spec = item.as_table();
    if (spec == nullptr || !spec->contains("module")) reject_type(name, node, needs);
    for (const auto& [key, entry] : *spec) {
      const bool known =
          (key.str() == "module" && entry.is_string()) || (key.str() == "frozen" && entry.is_boolean());
      if (!known) reject_type(fmt::format("{}.{}", name, key.str()), entry, needs);
    }
  }
}

void File::check_freeze_schedule(const toml::node& node) const {
  const std::string name = "vlm.freeze_schedule";
  const std::string needs = "a list of {start_step = integer, specs = [...]}";
  if (!node.is_array()) reject_type(name, node, needs);
  for (const toml::node& item : *node.as_array()) {
    const toml::table* stage = item.as_table();
    if (stage == nullptr || !stage->contains("start_step") || !stage->contains("specs")) {
      reject_type(name, node, needs);
    }
    for (const auto& [key, entry] : *stage) {
      if (key.str() == "specs") {
        check_freeze(name + ".specs", entry);
      } else if (key.str() != "start_step" || !entry.is_integer()) {
        reject_type(fmt::format("{}.{}", name, key.str()), entry, needs);
      }
    }
  }
}

void File::check_module_patterns(const toml::node& node) const {
  const std::string name = "vlm.module_patterns";
  const std::string needs = "a table of lists of strings";
  if (!node.is_table()) reject_type(name, node, needs);
  for (const auto& [key, patterns] : *node.as_table()) {
    const std::string entry = fmt::format("{}.{}", name, key.str());
    if (!patterns.is_array()) reject_type(entry, patterns, needs);
    for (const toml::node& pattern : *patterns.as_array()) {
      if (!pattern.is_string()) reject_type(entry, patterns, needs);
    }
  }
}

/// The section's table; none where the file does not have it.
const toml::table* find_section(const File& file, const toml::table& root, const char* name) {
  const toml::node* node = root.get(name);
  if (node == nullptr) return nullptr;
  if (!node->is_table())
    file.reject(*node, fmt::format("{} = {}: needs a section", name, source_text(*node)));
  return node->as_table();
}

void read_model(const File& file, const toml::table& section, Case& result) {
  if (const toml::node* eps = section.get("qk_norm_eps")) {
    file.reject(*eps, fmt::format("model.qk_norm_eps = {}: unknown field, KempnerForge fixes it at 1e-05",
                                  source_text(*eps)));
  }
  file.read(result, "model", section);
}

void read_vlm(const File& file, const toml::table& section, Case& result) {
  if (const toml::node* freeze = section.get("freeze")) file.check_freeze("vlm.freeze", *freeze);
  if (const toml::node* schedule = section.get("freeze_schedule")) file.check_freeze_schedule(*schedule);
  if (const toml::node* patterns = section.get("module_patterns")) file.check_module_patterns(*patterns);
  result.architecture.vlm.emplace();
  file.read(result, "vlm", section, {"freeze", "freeze_schedule", "module_patterns"});
}

void read_sections(const File& file, const toml::table& root, Case& result) {
  Architecture& architecture = result.architecture;
  bool any = false;
  for (const char* name : kSections) any = find_section(file, root, name) != nullptr || any;
  if (!any) file.reject("has none of the sections [model], [vision_encoder], [adapter], [vlm]");
  for (const auto& [key, node] : root) {
    const bool is_section = node.is_table() || node.is_array_of_tables();
    if (!is_section)
      file.reject(node, fmt::format("{} = {}: is in no section", key.str(), source_text(node)));
  }
  if (const toml::table* section = find_section(file, root, "model")) {
    read_model(file, *section, result);
  }
  if (const toml::table* section = find_section(file, root, "vision_encoder")) {
    architecture.vision_encoder.emplace();
    file.read(result, "vision_encoder", *section);
  }
  if (const toml::table* section = find_section(file, root, "adapter")) {
    architecture.adapter.emplace();
    file.read(result, "adapter", *section);
  }
  if (const toml::table* section = find_section(file, root, "vlm")) {
    read_vlm(file, *section, result);
    if (!architecture.adapter) architecture.adapter.emplace();
  }
}

/// Whether the file has a section at all, of any name.
bool has_sections(const toml::table& root) {
  for (const auto& [key, node] : root) {
    if (node.is_table() || node.is_array_of_tables()) return true;
  }
  return false;
}

}  // namespace

Architecture load_toml_config(const std::filesystem::path& path) {
  const File file(path);
  const toml::table root = file.parse();
  if (root.empty()) file.reject("is empty: a [model] section is needed");
  Case result;  // only the architecture is set
  if (has_sections(root)) {
    read_sections(file, root, result);
  } else {
    read_model(file, root, result);
  }
  Architecture& architecture = result.architecture;
  try {
    if (architecture.vision_encoder) {
      architecture.feature_dim = architecture.vision_encoder->feature_dim;
      if (architecture.is(VlmArch::mot)) {
        validate(*architecture.adapter);
        architecture.num_image_tokens =
            architecture.adapter->output_num_tokens(architecture.vision_encoder->num_tokens);
      }
    }
    validate(architecture);
  } catch (const ConfigError& error) {
    file.reject(error.what());
  }
  return architecture;
}

}  // namespace forgecheck
