#include "harness/case/case.h"

#include <fmt/format.h>

#include "harness/case/case_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse(const std::string& field, std::int64_t value, const std::string& rule) {
  throw ConfigError(fmt::format("case.{} = {}: {}", field, value, rule));
}

void validate_run(const Case& value) {
  const bool text_only = !value.architecture.vlm.has_value();
  if (value.run == RunKind::decode || value.run == RunKind::generate) {
    if (!text_only) {
      throw ConfigError(fmt::format("case.run = {}: decoding exists for text models only, not for {}",
                                    to_string(value.run), to_string(value.architecture.vlm->arch)));
    }
    if (value.output_slice) throw ConfigError("case.output_slice: cannot be combined with a KV cache");
    if (value.train) throw ConfigError("case.mode = train: decoding runs in eval mode");
  }
  if (value.run == RunKind::decode && value.chunks.empty())
    throw ConfigError("case.chunks: decode needs them");
  validate(value.generate.sampling);
}

}  // namespace

std::string to_string(RunKind run) {
  switch (run) {
    case RunKind::forward:
      return "forward";
    case RunKind::decode:
      return "decode";
    case RunKind::loss:
      return "loss";
    case RunKind::gradients:
      return "gradients";
    case RunKind::generate:
      return "generate";
  }
  return "forward";
}

void validate(const Case& value) {
  validate(value.architecture);
  validate_ranges(value);
  validate_run(value);
  const std::int64_t n_layers = value.architecture.model.n_layers;
  if (value.stages > n_layers) {
    refuse("stages", value.stages, fmt::format("must be in 0 .. n_layers = {}", n_layers));
  }
  if (value.stages > 0 && value.architecture.vlm) {
    refuse("stages", value.stages, "pipeline stages exist for text models only");
  }
}

}  // namespace forgecheck
