#include "harness/golden/golden_file.h"

#include <nlohmann/json.hpp>

#include "harness/case/make_inputs.h"
#include "harness/io/checkpoint.h"
#include "harness/io/safetensors.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

constexpr int kSchema = 1;
constexpr std::string_view kInput = "input.";
constexpr std::string_view kGumbel = "input.gumbel.";
constexpr std::string_view kExpected = "expected.";
constexpr std::string_view kGreedyFrom = "greedy_from_";

const Json& member(const Json& object, const std::string& key, Json::value_t type) {
  const auto found = object.find(key);
  if (found == object.end()) throw FormatError("metadata forgecheck has no " + key);
  if (found->type() != type) throw FormatError("metadata forgecheck." + key + " = " + found->dump());
  return *found;
}

/// A member that is text where it is there at all.
std::string text_of(const Json& object, const std::string& key) {
  if (!object.contains(key)) return "";
  if (!object[key].is_string()) {
    throw FormatError("metadata forgecheck.producer." + key + " = " + object[key].dump() + ": is no text");
  }
  return object[key].get<std::string>();
}

Json parse_metadata(const SafetensorsFile& file) {
  const auto text = file.metadata.find("forgecheck");
  if (text == file.metadata.end()) throw FormatError("has no metadata forgecheck: it is not a golden file");
  Json metadata = Json::parse(text->second, nullptr, false);
  if (!metadata.is_object()) throw FormatError("metadata forgecheck is not a JSON object");
  if (metadata.value("schema", Json()) != Json(kSchema)) {
    throw FormatError("metadata forgecheck.schema = " + metadata.value("schema", Json()).dump() +
                      ", expected 1");
  }
  return metadata;
}

/// A file name without any folder: what stands beside the golden.
std::string beside(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") {
    throw FormatError("metadata forgecheck names the file \"" + name + "\", which is not beside it");
  }
  return name;
}

/// Whether `tensor` is the name of an input, which then is set.
bool set_input(Inputs& inputs, const std::string& tensor, const Array& value) {
  bool known = false;
  Inputs::visit(inputs, [&](const std::string& input, std::optional<Array>& slot) {
    if (tensor != std::string(kInput) + input) return;
    slot = value;
    known = true;
  });
  return known;
}

void read_tensors(const SafetensorsFile& file, Golden& golden) {
  Inputs& inputs = golden.problem.inputs;
  for (const auto& [name, array] : file.tensors) {
    if (name.starts_with(kGumbel)) {
      inputs.gumbel.emplace(name.substr(kGumbel.size()), array);
    } else if (name.starts_with(kExpected)) {
      golden.expected.add(name.substr(kExpected.size()), array);
      if (array.dtype() == Dtype::f64) golden.type = Dtype::f64;
    } else {
      const bool known = set_input(inputs, name, array);
      if (!known) throw FormatError("has a tensor " + name + ", which is no input and no expected tap");
    }
  }
}

/// A checkpoint's golden names its configuration instead of a case: one forward call, and a greedy
/// continuation where one is recorded.
Case checkpoint_case(const std::filesystem::path& config, const Trace& expected) {
  Case result;
  result.architecture = load_config(config);
  for (const auto& [name, value] : expected.entries()) {
    if (!name.starts_with(kGreedyFrom)) continue;
    if (value.shape().size() != 2)
      throw FormatError("expected." + name + " has shape " + to_string(value.shape()));
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
  const Json metadata = parse_metadata(file);
  golden.weights = member(metadata, "weights", Json::value_t::string).get<std::string>();
  if (golden.weights != "seeded") beside(golden.weights);
  const Json& producer = member(metadata, "producer", Json::value_t::object);
  golden.producer = {text_of(producer, "backend"), text_of(producer, "version"), producer.dump()};
  read_tensors(file, golden);
  if (metadata.contains("case")) {
    golden.problem.definition = parse_case_json(member(metadata, "case", Json::value_t::object).dump());
  } else {
    const std::string config = beside(member(metadata, "config", Json::value_t::string).get<std::string>());
    golden.problem.definition = checkpoint_case(path.parent_path() / config, golden.expected);
  }
  if (golden.type != Dtype::f64) golden.type = golden.problem.definition.dtype;
  if (golden.expected.empty()) throw FormatError("has no expected tap");
  return golden;
}

}  // namespace

Producer this_producer(const std::string& name) {
  return {name, FORGECHECK_VERSION, Json{{"backend", name}, {"version", FORGECHECK_VERSION}}.dump()};
}

Golden read_golden(const std::filesystem::path& path, const std::string& name) {
  try {
    return parse(path, name);
  } catch (const ConfigError& error) {
    throw ConfigError(path.string() + ": " + error.what());
  } catch (const FormatError& error) {
    const std::string text = error.what();
    throw FormatError(text.starts_with(path.string()) ? text : path.string() + ": " + text);
  }
}

void load_weights(Golden& golden) {
  Problem& problem = golden.problem;
  if (!problem.parameters.empty()) return;
  require_memory(problem.definition);
  problem.seeded = golden.weights == "seeded";
  problem.parameters = problem.seeded ? make_parameters(problem.definition)
                                      : load_parameters(golden.path.parent_path() / golden.weights,
                                                        problem.definition.architecture);
}

void write_golden(const std::filesystem::path& path, const Problem& problem, const Trace& expected,
                  const Producer& producer) {
  std::map<std::string, Array> tensors;
  Inputs::visit(problem.inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) tensors.emplace(std::string(kInput) + name, *array);
  });
  for (const auto& [key, noise] : problem.inputs.gumbel) tensors.emplace(std::string(kGumbel) + key, noise);
  for (const auto& [name, array] : expected.entries()) tensors.emplace(std::string(kExpected) + name, array);
  const Json metadata = {{"schema", kSchema},
                         {"weights", "seeded"},
                         {"producer", Json::parse(producer.json)},
                         {"case", Json::parse(case_json(problem.definition))}};
  write_safetensors(path, tensors, {{"forgecheck", metadata.dump()}});
}

}  // namespace forgecheck
