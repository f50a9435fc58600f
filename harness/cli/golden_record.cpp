#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <iostream>

#include "harness/case/seeded.h"
#include "harness/cli/golden_commands.h"
#include "harness/cli/worker_options.h"
#include "harness/fuzz/random_case.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/record.h"
#include "harness/golden/store.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct RecordOptions {
  std::vector<std::string> typed;
  std::string golden, filter, cases, out, family, name, arch, taps, reason;
  std::string backend = "reference:f64";
  std::string random;
  std::string seed = "0";
  std::string dtype = "float32";
  bool update = false;
  ChildLimits worker;
};

/// What is recorded under a name, made when its turn comes: weights take memory.
struct NamedProblem {
  std::string name;
  std::function<Problem()> make;
};

bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path way =
      std::filesystem::weakly_canonical(path).lexically_relative(std::filesystem::weakly_canonical(folder));
  return !way.empty() && *way.begin() != "..";
}

/// `--random N`: one case for each of that many seeds (of the architecture), named after its seed.
std::vector<NamedCase> random_cases(const RecordOptions& options) {
  const std::int64_t count = parse_integer("--random", options.random);
  if (count <= 0) throw ConfigError("--random " + options.random + ": must be positive");
  if (options.out.empty())
    throw ConfigError("--random " + options.random + ": needs --out, a folder to write to");
  std::uint64_t seed = parse_unsigned("--seed", options.seed);
  const bool bfloat16 = options.dtype == torch_name(Dtype::bf16);
  if (!bfloat16 && options.dtype != torch_name(Dtype::f32)) {
    throw ConfigError("--dtype " + options.dtype + ": must be float32 or bfloat16");
  }
  std::vector<NamedCase> cases;
  for (; std::ssize(cases) < count; ++seed) {
    Case definition = random_case(seed);
    if (!options.arch.empty() && arch_name(definition.architecture) != options.arch) continue;
    if (bfloat16) definition.dtype = Dtype::bf16;
    cases.push_back({options.dtype + "/" + std::to_string(seed), std::move(definition)});
  }
  return cases;
}

/// Typed cases: named by --name, else by what they are.
std::vector<NamedCase> typed_cases(const RecordOptions& options) {
  if (!options.name.empty() && options.typed.size() > 1) {
    throw ConfigError("--name " + options.name + ": names one case, and there are several");
  }
  if (!options.name.empty() && !is_safe_name(options.name)) {
    throw ConfigError("--name " + options.name + ": is not a name for a file");
  }
  std::vector<NamedCase> cases;
  for (const std::string& text : options.typed) {
    Case definition = parse_case_text(text);
    const std::string name =
        fmt::format("{}/{:016x}", arch_name(definition.architecture), fnv1a64(case_text(definition)));
    cases.push_back({options.name.empty() ? name : options.name, std::move(definition)});
  }
  return cases;
}

/// The cases of a folder of goldens, with their inputs; those with weights of their own in a file are not recorded again.
std::vector<NamedProblem> family_problems(const std::filesystem::path& folder, const RecordOptions& options) {
  std::vector<NamedProblem> problems;
  for (const GoldenEntry& entry : find_goldens(folder, options.filter)) {
    if (read_golden(entry.path, entry.name).weights != "seeded") continue;
    problems.push_back({entry.name, [entry] {
                          Golden golden = read_golden(entry.path, entry.name);
                          load_weights(golden);
                          return golden.problem;
                        }});
  }
  return problems;
}

/// What is to be recorded, and where to.
struct Plan {
  std::vector<NamedProblem> problems;
  std::filesystem::path out;
};

Plan plan_of(const RecordOptions& options, const std::filesystem::path& store) {
  const auto folder = [&](const std::filesystem::path& usual) {
    const std::filesystem::path given = options.out.empty() ? usual : std::filesystem::path(options.out);
    return given.empty() ? std::filesystem::path(".") : given;  // a list of this folder has no parent
  };
  if (!options.family.empty()) {
    const std::filesystem::path family = store / options.family;
    return {family_problems(family, options), folder(family)};
  }
  const std::filesystem::path list =
      options.cases.empty() ? store / "reference" / "cases.txt" : std::filesystem::path(options.cases);
  std::vector<NamedCase> cases = !options.typed.empty()    ? typed_cases(options)
                                 : !options.random.empty() ? random_cases(options)
                                                           : read_case_list(list);
  Plan plan{{}, folder(options.typed.empty() ? list.parent_path() : ".")};
  for (const NamedCase& one : cases) {
    if (options.filter.empty() || matches_filter(options.filter, one.name)) {
      plan.problems.push_back(
          {one.name, [definition = one.definition] { return seeded_problem(definition); }});
    }
  }
  return plan;
}

/// The golden folder; empty where there is none, and the command line says where cases are and files go.
std::filesystem::path store_of(const RecordOptions& options) {
  const bool has_cases =
      !options.cases.empty() || !options.typed.empty() || (!options.random.empty() && !options.out.empty());
  if (options.golden.empty() && options.family.empty() && has_cases) {
    return default_golden_folder().value_or("");
  }
  return golden_folder(options.golden);
}

/// Prints what would be written; whether it may be.
bool may_write(const Recording& recording, const RecordOptions& options) {
  std::size_t changed = 0, wrong = 0;
  for (const RecordedFile& file : recording.files()) {
    if (file.change == FileChange::changed) {
      ++changed;
      std::cout << "changed  " << file.name << "\n";
    }
    if (file.judgement.verdict == Verdict::mismatch) {
      ++wrong;
      std::cout << "wrong    " << file.name << ": " << file.judgement.message << "\n";
    }
  }
  if (wrong > 0 && options.reason.empty()) {
    std::cout << fmt::format(
        "nothing is written: {} of {} traces are wrong by the oracle; --reason TEXT records "
        "them all the same, with that text\n",
        wrong, recording.files().size());
    return false;
  }
  if (changed > 0 && !options.update) {
    std::cout << fmt::format(
        "nothing is written: {} of {} files would change; --update writes them (forgecheck "
        "golden diff shows what has changed)\n",
        changed, recording.files().size());
    return false;
  }
  return true;
}

int record(const RecordOptions& options) {
  const std::filesystem::path store = store_of(options);
  const std::unique_ptr<Backend> backend = make_backend(options.backend, {.worker = options.worker});
  const Plan plan = plan_of(options, store);
  if (plan.problems.empty()) {
    throw ConfigError(options.filter.empty()
                          ? fmt::format("--family \"{}\": has no case with seeded weights", options.family)
                          : fmt::format("--filter \"{}\": no case has such a name", options.filter));
  }
  TapFilter wants;
  if (!options.taps.empty()) {
    wants = [&](std::string_view tap) { return matches_filter(options.taps, std::string(tap)); };
  }
  Recording recording(plan.out);
  for (const auto& [name, make] : plan.problems) {
    show_progress(name);
    recording.add(name, make(), *backend, wants, options.reason);
  }
  show_progress("");
  if (!may_write(recording, options)) return kFailure;
  recording.write();
  for (const std::filesystem::path& folder : {store, plan.out}) {
    if (folder.empty()) continue;
    if (std::filesystem::exists(folder / "manifest.json") && is_below(plan.out, folder))
      write_manifest(folder, today());
  }
  const auto unchanged = std::ranges::count(recording.files(), FileChange::same, &RecordedFile::change);
  std::cout << fmt::format("{} cases recorded below {} on {}{}\n", recording.files().size(),
                           plan.out.string(), backend->name(),
                           unchanged == 0 ? "" : fmt::format(", {} as before", unchanged));
  return kAllMatch;
}

}  // namespace

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

void add_golden_record(CLI::App& golden, Invocation& invocation) {
  auto options = std::make_shared<RecordOptions>();
  CLI::App* command =
      add_command(golden, "record", "Record cases; the same bytes each time",
                  "forgecheck golden record --cases my_cases.txt --out my_goldens --backend reference:f64");
  CLI::Option* typed = command->add_option("CASE", options->typed, "Record these cases instead of a list");
  command
      ->add_option("--name", options->name, "Name of the one typed case (default: architecture and a number)")
      ->needs(typed);
  CLI::Option* cases = command->add_option("--cases", options->cases,
                                           "File of lines `name case` (default: golden/reference/cases.txt)");
  CLI::Option* random =
      command->add_option("--random", options->random, "Record this many random cases instead of a list");
  CLI::Option* family =
      command->add_option("--family", options->family,
                          "Record the cases of this folder of the golden folder again, with their inputs");
  for (CLI::Option* const other : {cases, random, family}) typed->excludes(other);
  cases->excludes(random)->excludes(family);
  random->excludes(family);
  command->add_option("--seed", options->seed, "Seed of the first random case (default: 0)");
  command->add_option("--arch", options->arch, "Random cases of this architecture only")
      ->check(CLI::IsMember({"dense", "moe", "joint_decoder", "cross_attention", "mot", "moma"}))
      ->needs(random);
  command->add_option("--dtype", options->dtype, "Type of the random cases: float32 (default) or bfloat16");
  command->add_option("--golden", options->golden, "Folder of golden files (default: the repository's)");
  command->add_option("--out", options->out,
                      "Folder to write to (default: the folder of the list or family)");
  command->add_option("--backend", options->backend, "Backend to record (default: reference:f64)");
  command->add_option("--taps", options->taps,
                      "Keep only taps whose names match this (* and ?) or contain it");
  command->add_flag("--update", options->update, "Change files that are there and differ");
  command->add_option("--reason", options->reason,
                      "Record also traces that the oracle calls wrong, with this text in the file");
  add_worker_options(*command, options->worker);
  command->add_option("--filter", options->filter, "Only names that match this (* and ?) or contain it");
  command->callback([options, &invocation] { invocation.action = [options] { return record(*options); }; });
}

}  // namespace forgecheck
