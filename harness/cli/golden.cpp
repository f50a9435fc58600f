#include <cstdio>
#include <iostream>

#include "harness/cli/command.h"
#include "harness/cli/golden_commands.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct GoldenOptions {
  std::string golden;
  std::string filter;
  std::string name;
};

int list(const GoldenOptions& options) {
  for (const GoldenEntry& entry : find_goldens(golden_folder(options.golden), options.filter)) {
    const Golden golden = read_golden(entry.path, entry.name);
    std::printf("%-60s %-14s %s\n", golden.name.c_str(), golden.producer.backend.c_str(),
                case_text(golden.problem.definition).c_str());
  }
  return kAllMatch;
}

void print_row(const std::string& name, const Array& array) {
  std::printf("  %-48s %-8s %s\n", name.c_str(), std::string(torch_name(array.dtype())).c_str(),
              to_string(array.shape()).c_str());
}

/// The file of that path, or the one golden of that name: exact, or the only one whose name contains it.
GoldenEntry find_one(const GoldenOptions& options) {
  if (options.name.ends_with(".safetensors")) return {options.name, options.name};
  const std::vector<GoldenEntry> found = find_goldens(golden_folder(options.golden), options.name);
  for (const GoldenEntry& entry : found) {
    if (entry.name == options.name) return entry;
  }
  if (found.size() != 1) {
    throw ConfigError("golden \"" + options.name + "\": " + std::to_string(found.size()) +
                      " goldens have such a name (see forgecheck golden list)");
  }
  return found.front();
}

int show(const GoldenOptions& options) {
  const GoldenEntry entry = find_one(options);
  const Golden golden = read_golden(entry.path, entry.name);
  std::printf("%s\n  case      %s\n  producer  %s\n  weights   %s\ninputs\n", golden.path.c_str(),
              case_text(golden.problem.definition).c_str(), golden.producer.json.dump().c_str(),
              golden.weights.c_str());
  Inputs::visit(golden.problem.inputs, [](const std::string& name, const std::optional<Array>& array) {
    if (array) print_row(name, *array);
  });
  for (const auto& [key, noise] : golden.problem.inputs.gumbel) print_row("gumbel." + key, noise);
  std::printf("expected\n");
  for (const auto& [name, array] : golden.expected.entries()) print_row(name, array);
  return kAllMatch;
}

int check(const GoldenOptions& options) {
  const std::filesystem::path folder = golden_folder(options.golden);
  const std::vector<std::string> problems = check_manifest(folder);
  for (const std::string& problem : problems) std::cout << problem << "\n";
  std::cout << (problems.empty() ? "every file is as the manifest says"
                                 : "the folder differs from its manifest")
            << "\n";
  return problems.empty() ? kAllMatch : kFailure;
}

int manifest(const GoldenOptions& options) {
  const std::filesystem::path folder = golden_folder(options.golden);
  write_manifest(folder, today());
  std::cout << (folder / "manifest.json").string() << " written\n";
  return kAllMatch;
}

}  // namespace

void add_golden(CLI::App& app, Invocation& invocation) {
  CLI::App* golden = add_command(app, "golden", "List, show, check and record golden files: recorded traces",
                                 "forgecheck golden record --cases golden/reference/cases.txt");
  golden->require_subcommand(1);
  auto options = std::make_shared<GoldenOptions>();
  const auto add = [&](const std::string& name, const std::string& description, const std::string& example,
                       int (*action)(const GoldenOptions&)) {
    CLI::App* command = add_command(*golden, name, description, example);
    command->add_option("--golden", options->golden, "Folder of golden files (default: the repository's)");
    command->callback([options, action, &invocation] {
      invocation.action = [options, action] { return action(*options); };
    });
    return command;
  };
  const std::string filter = "Only names that match (* and ?) or contain this";
  add("list", "One line for each golden file", "forgecheck golden list --filter moe", list)
      ->add_option("--filter", options->filter, filter);
  add("show", "One golden file: its case, producer and tensors", "forgecheck golden show moe/softmax_top2",
      show)
      ->add_option("NAME", options->name,
                   "Its name, a part of it that no other name has, or the path of a .safetensors file")
      ->required();
  add("check", "Compare every file with manifest.json", "forgecheck golden check", check);
  add("manifest", "Write manifest.json for the files that are there", "forgecheck golden manifest", manifest);
  add_golden_diff(*golden, invocation);
  add_golden_record(*golden, invocation);
}

}  // namespace forgecheck
