#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>

#include "harness/cli/command.h"
#include "harness/cli/worker_options.h"
#include "harness/fuzz/random_case.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/record.h"
#include "harness/golden/store.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct GoldenOptions {
  std::string golden;
  std::string filter;
  std::string name;
  std::string cases;
  std::string out;
  std::string backend = "reference:f64";
  std::string random;
  std::string seed = "0";
  std::string dtype = "float32";
  ChildLimits worker;
};

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

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

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path way =
      std::filesystem::weakly_canonical(path).lexically_relative(std::filesystem::weakly_canonical(folder));
  return !way.empty() && *way.begin() != "..";
}

/// `--random N`: one case for each of that many seeds, named after its seed.
std::vector<NamedCase> random_cases(const GoldenOptions& options) {
  const std::int64_t count = parse_integer("--random", options.random);
  if (count <= 0) throw ConfigError("--random " + options.random + ": must be positive");
  if (options.out.empty())
    throw ConfigError("--random " + options.random + ": needs --out, a folder to write to");
  const std::uint64_t first = parse_unsigned("--seed", options.seed);
  const bool bfloat16 = options.dtype == torch_name(Dtype::bf16);
  if (!bfloat16 && options.dtype != torch_name(Dtype::f32)) {
    throw ConfigError("--dtype " + options.dtype + ": must be float32 or bfloat16");
  }
  std::vector<NamedCase> cases;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
    Case definition = random_case(seed);
    if (bfloat16) definition.dtype = Dtype::bf16;
    cases.push_back({options.dtype + "/" + std::to_string(seed), std::move(definition)});
  }
  return cases;
}

/// The golden folder; empty where there is none, and the command line says where cases are and files go.
std::filesystem::path store_of(const GoldenOptions& options) {
  const bool has_cases = !options.cases.empty() || (!options.random.empty() && !options.out.empty());
  if (options.golden.empty() && has_cases) return default_golden_folder().value_or("");
  return golden_folder(options.golden);
}

int record(const GoldenOptions& options) {
  const std::filesystem::path folder = store_of(options);
  const std::filesystem::path cases =
      options.cases.empty() ? folder / "reference" / "cases.txt" : std::filesystem::path(options.cases);
  const std::filesystem::path given =
      options.out.empty() ? cases.parent_path() : std::filesystem::path(options.out);
  const std::filesystem::path out = given.empty() ? "." : given;  // a list of this folder has no parent
  const std::vector<NamedCase> named = options.random.empty() ? read_case_list(cases) : random_cases(options);
  const std::unique_ptr<Backend> backend = make_backend(options.backend, {.worker = options.worker});
  std::size_t recorded = 0;
  for (const NamedCase& one : named) {
    if (!options.filter.empty() && !matches_filter(options.filter, one.name)) continue;
    show_progress(one.name);
    record_case(one, *backend, out);
    ++recorded;
  }
  show_progress("");
  if (recorded == 0)
    throw ConfigError("--filter \"" + options.filter + "\": no case of " + cases.string() +
                      " has such a name");
  for (const std::filesystem::path& store : {folder, out}) {
    if (store.empty()) continue;
    if (std::filesystem::exists(store / "manifest.json") && is_below(out, store))
      write_manifest(store, today());
  }
  std::cout << recorded << " cases recorded below " << out.string() << " on " << backend->name() << "\n";
  return kAllMatch;
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
  CLI::App* command =
      add("record", "Record a list of cases; the same bytes each time",
          "forgecheck golden record --cases my_cases.txt --out my_goldens --backend reference:f64", record);
  command->add_option("--cases", options->cases,
                      "File of lines `name case` (default: golden/reference/cases.txt)");
  command->add_option("--random", options->random, "Record this many random cases instead of a list");
  command->add_option("--seed", options->seed, "Seed of the first random case (default: 0)");
  command->add_option("--dtype", options->dtype, "Type of the random cases: float32 (default) or bfloat16");
  command->add_option("--out", options->out, "Folder to write to (default: the folder of the list)");
  command->add_option("--backend", options->backend, "Backend to record (default: reference:f64)");
  add_worker_options(*command, options->worker);
  command->add_option("--filter", options->filter, filter);
}

}  // namespace forgecheck
