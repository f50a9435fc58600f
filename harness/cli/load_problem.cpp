#include "harness/cli/load_problem.h"

#include "harness/golden/golden_file.h"

namespace forgecheck {

Problem load_problem(const std::string& definition) {
  if (!definition.ends_with(".safetensors")) return seeded_problem(parse_case_text(definition));
  Golden golden = read_golden(definition, definition);
  load_weights(golden);
  return std::move(golden.problem);
}

}  // namespace forgecheck
