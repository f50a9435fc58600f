#include "harness/case/case.h"

#include <fmt/format.h>

#include "harness/case/case_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse(const std::string& field, std::int64_t value, const std::string& rule) {
  throw ConfigError(fmt::format("case.{} = {}: {}", field, value, rule));
}

/// Decoding keeps a cache: of a text model, in eval mode, with all positions.
void validate_decoding(const Case& value) {
  if (value.architecture.vlm) {
    throw ConfigError(fmt::format("case.run = {}: decoding exists for text models only, not for {}",
                                  to_string(value.run), to_string(value.architecture.vlm->arch)));
  }
  if (value.output_slice) throw ConfigError("case.output_slice: cannot be combined with a KV cache");
  if (value.train) throw ConfigError("case.mode = train: decoding runs in eval mode");
}

void validate_kind(const Case& value) {
  switch (value.run) {
    case RunKind::decode:
      validate_decoding(value);
      if (value.chunks.empty()) throw ConfigError("case.chunks: decode needs them");
      return;
    case RunKind::generate:
      return validate_decoding(value);
    case RunKind::forward:
    case RunKind::loss:
    case RunKind::gradients:
      return;
  }
  throw_not_an_enumerator("case.run", value.run);
}

void validate_run(const Case& value) {
  validate_kind(value);
  validate(value.generate.sampling);
}

}  // namespace

static_assert(is_complete<kRunKinds>());

std::string to_string(RunKind run) {
  return std::string(name_of(kRunKinds, "case.run", run));
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
  if (value.stages > 0 && value.run != RunKind::forward) {
    refuse("stages", value.stages,
           fmt::format("a run of kind {} has no staged logits", to_string(value.run)));
  }
  if (value.greedy_from > 0 && value.run != RunKind::forward) {
    refuse("greedy_from", value.greedy_from,
           fmt::format("a run of kind {} has no greedy continuation", to_string(value.run)));
  }
}

}  // namespace forgecheck
