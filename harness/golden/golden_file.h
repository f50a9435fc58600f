// One recorded trace: a .safetensors file with the tensors `input.<name>` and `expected.<tap>`, and the JSON
// `forgecheck` in its metadata (schema, case, weights, producer).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "harness/backend/problem.h"
#include "reference/trace.h"

namespace forgecheck {

/// What recorded a trace: the backend, its version, and the whole object of the metadata, which may hold
/// more.
struct Producer {
  std::string backend;
  std::string version;
  nlohmann::json json;
};

inline constexpr char kMetadata[] = "forgecheck";           // the key of the JSON in the file's metadata
inline constexpr std::string_view kExpected = "expected.";  // the names of tensors that are taps begin so
inline constexpr std::string_view kInput = "input.";        // and those of inputs

/// Where messages say that JSON of the metadata comes from: "<path>: metadata forgecheck".
std::string metadata_source(const std::filesystem::path& path);

/// This program's own backend `name`.
Producer this_producer(const std::string& name);

/// The type that a trace was computed in: float64 if any of it is, else the case's.
Dtype computed_type(const Trace& trace, const Case& definition);

struct Golden {
  std::string name;  // path below the golden folder, without ".safetensors"
  std::filesystem::path path;
  Producer producer;
  Problem problem;  // without parameters until load_weights; its case has the sizes of the recorded inputs
  Trace expected;
  std::string weights;  // "seeded", or the file next to it that holds them
  /// The type in which the producer computed.
  Dtype type = Dtype::f32;
};

/// Reads and validates a golden file; its weights are not touched yet. Throws FormatError or ConfigError that
/// begins with the path. A key of the metadata that is not known is refused: a mistyped one would go
/// unnoticed.
Golden read_golden(const std::filesystem::path& path, const std::string& name);

/// The same of a file that need not have taps: what a backend in another process is asked to run.
Golden read_request(const std::filesystem::path& path, const std::string& name);

/// Makes the seeded weights or reads the file next to the golden.
void load_weights(Golden& golden);

/// Writes a golden, deterministic to the byte. `weights`: "seeded", or the file next to it that holds them.
void write_golden(const std::filesystem::path& path, const Problem& problem, const Trace& expected,
                  const Producer& producer, const std::string& weights = "seeded");

}  // namespace forgecheck
