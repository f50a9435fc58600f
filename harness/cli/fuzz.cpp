#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "harness/cli/check_options.h"
#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/cli/shard.h"
#include "harness/fuzz/campaign.h"
#include "harness/io/shell_line.h"
#include "harness/report/text.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct FuzzOptions {
  CheckOptions checks;
  std::string seed = "0", time, shard, corpus, family = "any", largest = "wide";
  std::vector<std::string> dtypes;
  std::int64_t runs = 0, stop_after = 0, shrink_limit = 600;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  int cover = 0;
  bool infeasible = false;
  ReportOptions report;
};

std::atomic<bool> interrupted = false;

/// "90", "90s", "10m" or "2h" in seconds.
double parse_seconds(const std::string& text) {
  double factor = 1.0;
  std::string number = text;
  for (const auto& [unit, seconds] : {std::pair{'s', 1.0}, {'m', 60.0}, {'h', 3600.0}}) {
    if (text.ends_with(unit)) {
      factor = seconds;
      number.pop_back();
    }
  }
  const std::int64_t count = parse_integer("--time", number);
  if (count <= 0) throw ConfigError("--time " + text + ": must be positive: 90, 90s, 10m or 2h");
  return static_cast<double>(count) * factor;
}

const std::map<std::string, Family> kFamilies = {
    {"any", Family::any}, {"kempnerforge", Family::kempnerforge}, {"transformers", Family::transformers}};
const std::map<std::string, CaseScale> kScales = {
    {"small", CaseScale::small}, {"medium", CaseScale::medium}, {"wide", CaseScale::wide}};

std::vector<Dtype> parse_dtypes(const std::vector<std::string>& names) {
  std::vector<Dtype> dtypes;
  for (const std::string& name : names) dtypes.push_back(name == "float32" ? Dtype::f32 : Dtype::bf16);
  return dtypes.empty() ? CaseSpace{}.dtypes : dtypes;
}

TaskOptions tasks_of(const FuzzOptions& options) {
  TaskOptions tasks;
  tasks.space.family = kFamilies.at(options.family);
  tasks.space.dtypes = parse_dtypes(options.dtypes);
  tasks.space.largest = kScales.at(options.largest);
  tasks.seed = parse_unsigned("--seed", options.seed);
  const Shard shard = parse_shard(options.shard);
  tasks.shard = static_cast<std::uint64_t>(shard.index - 1);
  tasks.shards = static_cast<std::uint64_t>(shard.count);
  tasks.cover_only = options.cover > 0;
  if (!options.corpus.empty()) {
    for (const SavedCase& saved : read_corpus(options.corpus)) tasks.saved.push_back(saved.line);
  }
  return tasks;
}

/// The command that judges for a campaign: this program, without a name for people.
std::string judge_command(const CheckOptions& options) {
  std::vector<std::string> words = {"exec", std::filesystem::read_symlink("/proc/self/exe").string(),
                                    "judge-cases"};
  const std::vector<std::string> checks = words_of(options);
  words.insert(words.end(), checks.begin(), checks.end());
  return shell_line(words);
}

CampaignOptions campaign_of(const FuzzOptions& options) {
  CampaignOptions campaign;
  campaign.tasks = tasks_of(options);
  // A name or a machine that is wrong is one error, not one for each case.
  for (const CaseCheck& check : make_checks(options.checks)) campaign.candidates.push_back(check.name);
  campaign.judge_command = judge_command(options.checks);
  // A program that takes too long is ended by the judge itself, which says so.
  campaign.limits.seconds =
      2.0 * static_cast<double>(campaign.candidates.size()) * options.checks.worker.seconds + 10.0;
  campaign.limits.gigabytes = options.checks.worker.gigabytes * 2.0;
  campaign.runs = options.runs;
  campaign.seconds = options.time.empty() ? 0.0 : parse_seconds(options.time);
  campaign.jobs = options.jobs;
  campaign.stop_after = options.stop_after;
  campaign.shrink_limit = options.shrink_limit;
  campaign.corpus = options.corpus;
  campaign.interrupted = &interrupted;
  return campaign;
}

std::string progress_line(const CampaignOptions& options, const Campaign& campaign) {
  if (campaign.tried > 0) {
    return fmt::format("{} cases; {} made small, {} tried", campaign.cases,
                       counted(campaign.findings.size(), "finding"), counted(campaign.tried, "case"));
  }
  const double rate = static_cast<double>(campaign.cases) / std::max(campaign.seconds, 1e-9);
  std::string left;
  if (options.runs > 0) {
    left = fmt::format(", {:.0f} s left",
                       static_cast<double>(options.runs - campaign.cases) / std::max(rate, 1e-9));
  } else if (options.seconds > 0) {
    left = fmt::format(", {:.0f} s left", std::max(0.0, options.seconds - campaign.seconds));
  }
  return fmt::format("{} cases, {:.0f} a second, {} of {} pairs, {}{}", campaign.cases, rate, campaign.pairs,
                     campaign.feasible_pairs, counted(campaign.findings.size(), "finding"), left);
}

Result result_of(const std::string& line, const FuzzOutcome& outcome, const FuzzOptions& options) {
  Result result;
  result.case_line = line;
  result.candidate = outcome.candidate;
  result.judgement.verdict = outcome.verdict;
  result.judgement.used = outcome.used;
  result.judgement.message = outcome.message;
  if (!outcome.tap.empty()) {
    FirstDivergence& first = result.judgement.first_divergence.emplace();
    first.tap = outcome.tap;
    first.hint = outcome.hint;
  }
  result.dtype =
      line.ends_with("bfloat16") || line.find("/bfloat16/") != std::string::npos ? "bfloat16" : "float32";
  result.repeat = repeat_line(options.report, replay_words(options.checks, line, outcome.candidate));
  return result;
}

void print_finding(std::ostream& out, const FuzzOptions& options, const Finding& finding) {
  const std::string& line = finding.smallest.empty() ? finding.line : finding.smallest;
  out << fmt::format("\n{} ({})\n", finding.cause, counted(static_cast<std::size_t>(finding.count), "case"));
  out << fmt::format("  {}\n  case    {}\n", finding.outcome.message, line);
  if (line != finding.line) out << fmt::format("  was     {}\n", finding.line);
  if (!options.corpus.empty())
    out << fmt::format("  saved   {}\n", corpus_path(options.corpus, finding).string());
  if (finding.outcome.candidate != "validate") {
    out << fmt::format("  repeat  {}\n",
                       shell_line(replay_words(options.checks, line, finding.outcome.candidate)));
  }
}

void print_counts(std::ostream& out, const Campaign& campaign) {
  std::map<std::string, std::string> lines;
  for (const auto& [key, count] : campaign.verdicts) {
    std::string& line = lines[key.first];
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", count, to_string(key.second));
  }
  for (const auto& [candidate, line] : lines) out << fmt::format("{}: {}\n", candidate, line);
}

/// Every pair of levels that no case can have, below the rule that forbids it.
int list_infeasible(const FuzzOptions& options) {
  const TaskOptions tasks = tasks_of(options);
  const CoveringSet set = cover_pairs(tasks.space, tasks.seed);
  std::map<std::string, std::vector<LevelPair>> by_rule;
  for (const auto& [pair, rule] : set.infeasible) by_rule[rule].push_back(pair);
  fmt::print("{} pairs of levels are feasible, and {} cases have all of them; {} are not:\n", set.pairs,
             set.cases.size(), set.infeasible.size());
  for (const auto& [rule, pairs] : by_rule) {
    fmt::print("\n{}\n", rule);
    for (const auto& [a, b] : pairs) fmt::print("  {}, {}\n", level_name(a), level_name(b));
  }
  return kAllMatch;
}

int fuzz(const FuzzOptions& options, const Invocation& invocation) {
  if (options.infeasible) return list_infeasible(options);
  if (options.runs == 0 && options.time.empty() && options.cover == 0) {
    throw ConfigError("fuzz: give --runs, --time or --cover");
  }
  std::ostream& out = terminal(options.report);
  CampaignOptions campaign_options = campaign_of(options);
  campaign_options.progress = [&](const Campaign& campaign) {
    show_progress(progress_line(campaign_options, campaign));
  };
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = true; });
  const Campaign campaign = run_campaign(campaign_options);
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  show_progress("");
  for (const Finding& finding : campaign.findings) print_finding(out, options, finding);
  if (!campaign.findings.empty()) out << "\n";
  print_counts(out, campaign);
  out << fmt::format("{} cases in {:.1f} s; {} of {} pairs of options, {} triples; {}\n", campaign.cases,
                     campaign.seconds, campaign.pairs, campaign.feasible_pairs, campaign.triples,
                     counted(campaign.findings.size(), "finding"));
  Report report;
  report.command = invocation.arguments;
  for (const CaseOutcome& one : campaign.outcomes) {
    report.results.push_back(result_of(one.line, one.outcome, options));
  }
  write_reports(options.report, report);
  const bool judged = std::ranges::any_of(campaign.outcomes, [](const CaseOutcome& one) {
    return is_success(one.outcome.verdict) && one.outcome.candidate != "validate";
  });
  if (!judged && campaign.findings.empty()) out << "no case was judged: every one was refused\n";
  return judged && campaign.findings.empty() ? kAllMatch : kFailure;
}

void add_judge_cases(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("judge-cases")->group("");  // the process of a campaign; not for people
  auto options = std::make_shared<CheckOptions>();
  add_check_options(*command, *options);
  command->callback([options, &invocation] {
    invocation.action = [options] { return serve_case_judge(make_checks(*options)); };
  });
}

}  // namespace

void add_fuzz(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<FuzzOptions>();
  CLI::App* command =
      add_command(app, "fuzz", "Compare backends with the oracle on random models, and make what fails small",
                  "forgecheck fuzz --backend gpu:simt --time 10m --corpus found");
  add_check_options(*command, options->checks);
  command->add_option("--runs", options->runs, "How many cases")->check(CLI::PositiveNumber);
  command->add_option("--time", options->time, "How long: 90, 90s, 10m or 2h");
  command
      ->add_option("--cover", options->cover, "2: only the small set of cases that has every pair of options")
      ->check(CLI::IsMember({2}));
  command->add_flag("--infeasible", options->infeasible,
                    "List the pairs of options that no case can have, with the rule that forbids them");
  command->add_option("--seed", options->seed, "Of the first case (default 0)");
  command->add_option("--jobs", options->jobs, "Cases at a time (default: one for each processor)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--shard", options->shard, "Only the i-th of n parts, each with cases of its own: i/n");
  command->add_option("--corpus", options->corpus,
                      "Folder of saved cases: run first, and what is found is saved there");
  command
      ->add_option("--family", options->family,
                   "kempnerforge: only options that KempnerForge has; transformers: Llama, Mistral, Mixtral, "
                   "Qwen2 and Qwen3; any (default): all options")
      ->check(CLI::IsMember({"kempnerforge", "transformers", "any"}));
  command
      ->add_option(
          "--largest", options->largest,
          "How large a drawn case may be: small (at most 16 wide, 9 tokens), medium or wide (default)")
      ->check(CLI::IsMember({"small", "medium", "wide"}));
  command->add_option("--dtype", options->dtypes, "float32 or bfloat16 (repeatable; default: both)")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  command->add_option("--stop-after", options->stop_after, "End with so many findings")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--shrink", options->shrink_limit,
                   "How many cases to try to make a finding small (default 600; 0: none)")
      ->check(CLI::NonNegativeNumber);
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return fuzz(*options, invocation); };
  });
  add_judge_cases(app, invocation);
}

}  // namespace forgecheck
