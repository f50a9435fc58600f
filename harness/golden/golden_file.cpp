#include "harness/golden/golden_file.h"

#include <fmt/format.h>

#include "harness/case/case_json.h"
#include "harness/case/make_inputs.h"
#include "harness/golden/any_trace.h"
#include "harness/golden/recorded_sizes.h"
#include "harness/io/checkpoint.h"
#include "harness/io/file_name.h"
#include "harness/io/safetensors.h"
#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

constexpr int kSchema = 1;
constexpr std::string_view kGreedyFrom = "greedy_from_";

/// A member that is text where it is there at all.
std::string text_if_any(const JsonValue& object, const std::string& key) {
  const std::optional<JsonValue> member = object.find(key);
  return member ? member->text() : "";
}

JsonDocument parse_metadata(const SafetensorsFile& file, const std::filesystem::path& path) {
  const auto text = file.metadata.find(kMetadata);
  if (text == file.metadata.end()) throw FormatError("has no metadata forgecheck: it is not a golden file");
  return parse_json(text->second, metadata_source(path));
}

/// The name of a file in the golden's own folder.
std::string file_beside(const JsonValue& member) {
  const std::string name = member.text();
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
    member.expect("the name of a file in the same folder");
  }
  return name;
}

/// Sets the inputs and the taps; a golden has no other tensors.
void read_tensors(const SafetensorsFile& file, Golden& golden) {
  for (const auto& [name, array] : file.tensors) {
    if (name.starts_with(kInput)) continue;
    if (!name.starts_with(kExpected)) {
      throw FormatError(fmt::format("has a tensor {}, which is neither an input nor an expected tap", name));
    }
    golden.expected.add(name.substr(kExpected.size()), array);
  }
  golden.problem.inputs = inputs_of(file);
}

/// A checkpoint's golden names its configuration instead of a case: one forward call, and a greedy
/// continuation where one is recorded.
Case checkpoint_case(const std::filesystem::path& config, const Trace& expected) {
  Case result;
  result.architecture = load_config(config);
  for (const auto& [name, value] : expected.entries()) {
    if (!name.starts_with(kGreedyFrom)) continue;
    if (value.shape().size() != 2) {
      throw FormatError(fmt::format("expected.{} has shape {}", name, to_string(value.shape())));
    }
    result.greedy_from = std::atoll(name.c_str() + kGreedyFrom.size());
    result.greedy_new_tokens = value.shape()[1] - result.greedy_from;
  }
  validate(result);
  return result;
}

Golden parse(const std::filesystem::path& path, const std::string& name) {
  Golden golden;
  golden.name = name;
  golden.path = path;
  const SafetensorsFile file = read_safetensors(path);
  const JsonDocument document = parse_metadata(file, path);
  const JsonValue metadata = document.root();
  metadata.at("schema").require_schema(kSchema);
  metadata.require_keys({"schema", "weights", "producer", "case", "config"});
  golden.weights = metadata.at("weights").text();
  if (golden.weights != "seeded") (void)file_beside(metadata.at("weights"));
  const JsonValue producer = metadata.at("producer");
  golden.producer = {text_if_any(producer, "backend"), text_if_any(producer, "version"), producer.json()};
  read_tensors(file, golden);
  Case& definition = golden.problem.definition;
  if (const std::optional<JsonValue> config = metadata.find("config")) {
    if (metadata.find("case")) config->refuse("a golden has either a case or a config");
    definition = checkpoint_case(path.parent_path() / file_beside(*config), golden.expected);
  } else {
    definition = read_case(metadata.at("case"));
  }
  definition.inputs = sizes_of(golden.problem.inputs, definition.architecture);
  golden.type = computed_type(golden.expected, definition);
  return golden;
}

}  // namespace

Producer this_producer(const std::string& name) {
  return {name, FORGECHECK_VERSION, {{"backend", name}, {"version", FORGECHECK_VERSION}}};
}

std::string metadata_source(const std::filesystem::path& path) {
  return fmt::format("{}: metadata {}", path.string(), kMetadata);
}

Dtype computed_type(const Trace& trace, const Case& definition) {
  for (const auto& [name, array] : trace.entries()) {
    if (array.dtype() == Dtype::f64) return Dtype::f64;
  }
  return definition.dtype;
}

Golden read_golden(const std::filesystem::path& path, const std::string& name) {
  Golden golden = read_request(path, name);
  if (golden.expected.empty()) throw FormatError(fmt::format("{}: has no expected tap", path.string()));
  return golden;
}

Golden read_request(const std::filesystem::path& path, const std::string& name) {
  return with_file_name(path, [&] { return parse(path, name); });
}

void load_weights(Golden& golden) {
  Problem& problem = golden.problem;
  if (!problem.parameters.empty()) return;
  with_file_name(golden.path, [&] { require_memory(problem.definition); });
  problem.seeded = golden.weights == "seeded";
  problem.parameters = problem.seeded ? make_parameters(problem.definition)
                                      : load_parameters(golden.path.parent_path() / golden.weights,
                                                        problem.definition.architecture);
}

void write_golden(const std::filesystem::path& path, const Problem& problem, const Trace& expected,
                  const Producer& producer, const std::string& weights) {
  std::map<std::string, Array> tensors;
  Inputs::visit(problem.inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) tensors.emplace(std::string(kInput) + name, *array);
  });
  for (const auto& [key, noise] : problem.inputs.gumbel)
    tensors.emplace(fmt::format("{}gumbel.{}", kInput, key), noise);
  for (const auto& [name, array] : expected.entries()) tensors.emplace(std::string(kExpected) + name, array);
  const Json metadata = {{"schema", kSchema},
                         {"weights", weights},
                         {"producer", producer.json},
                         {"case", case_document(problem.definition)}};
  write_safetensors(path, tensors, {{kMetadata, metadata.dump()}});
}

}  // namespace forgecheck
