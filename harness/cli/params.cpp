#include <fmt/format.h>

#include "harness/case/seeded.h"
#include "harness/cli/command.h"
#include "harness/io/checkpoint.h"
#include "reference/parameters.h"

namespace forgecheck {

namespace {

/// "8,030,261,248".
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

void print_total(const std::string& what, const std::vector<ParameterInfo>& parameters) {
  std::int64_t count = 0, buffers = 0;
  for (const ParameterInfo& info : parameters)
    (info.is_buffer() ? buffers : count) += element_count(info.shape);
  fmt::print("{}: {} tensors, {} parameters", what, parameters.size(), grouped(count));
  if (buffers > 0) fmt::print(" and {} buffer elements", grouped(buffers));
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    const double bytes = static_cast<double>(count + buffers) * static_cast<double>(size_of(dtype));
    fmt::print(", {} {:.3f} GiB", torch_name(dtype), bytes / (1 << 30));
  }
  fmt::print("\n");
}

int print_parameters(const std::string& config, bool totals_only) {
  const Architecture architecture = load_config(config);
  const std::vector<ParameterInfo> model = model_parameters(architecture);
  const std::vector<ParameterInfo> adapter = adapter_parameters(architecture);
  if (!totals_only) {
    for (const ParameterInfo& info : all_parameters(architecture)) {
      const SeededRule rule = seeded_rule(info);
      fmt::print("{:<56} {:<16} {:>14}  {:<14} {:<9.6g} {:g}\n", info.name, to_string(info.shape),
                 grouped(element_count(info.shape)), name_of(kParameterKinds, "kind of parameter", info.kind),
                 rule.scale, rule.offset);
    }
  }
  print_total(arch_name(architecture), model);
  if (!adapter.empty()) print_total("adapter", adapter);
  return kAllMatch;
}

}  // namespace

void add_params(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(app, "params",
                                  "Print every parameter of a model: name, shape, number of elements, kind, "
                                  "and the scale and offset of its seeded "
                                  "values; none is allocated",
                                  "forgecheck params configs/llama_70b.toml --total");
  auto config = std::make_shared<std::string>();
  auto totals_only = std::make_shared<bool>(false);
  command->add_option("CONFIG", *config, "KempnerForge's .toml or Hugging Face's config.json")->required();
  command->add_flag("--total", *totals_only, "Print the totals only");
  command->callback([config, totals_only, &invocation] {
    invocation.action = [config, totals_only] { return print_parameters(*config, *totals_only); };
  });
}

}  // namespace forgecheck
