#include "harness/fuzz/campaign.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

#include "harness/fuzz/shrink.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

bool is_interrupted(const CampaignOptions& options) {
  return options.interrupted != nullptr && *options.interrupted;
}

using Clock = std::chrono::steady_clock;

/// Hands out cases in their order to several judges, and takes back what they say in the same order.
class JudgePool {
 public:
  struct Judged {
    FuzzTask task;
    std::vector<FuzzOutcome> outcomes;
  };

  explicit JudgePool(const CampaignOptions& options) : options_(options), source_(options.tasks) {
    for (int i = 0; i < options.jobs; ++i) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  /// No new cases.
  ~JudgePool() {
    for (std::jthread& worker : workers_) worker.request_stop();
  }
  JudgePool(const JudgePool&) = delete;
  JudgePool& operator=(const JudgePool&) = delete;

  /// The next in order; none at the end of the campaign.
  std::optional<Judged> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_.contains(wanted_) || (ended_ && wanted_ == handed_out_); });
    const auto found = done_.extract(wanted_);
    if (found.empty()) return std::nullopt;
    ++wanted_;
    changed_.notify_all();
    return std::move(found.mapped());
  }
  void note_coverage(Campaign& campaign) {
    const std::lock_guard lock(mutex_);
    campaign.pairs = source_.coverage().pairs();
    campaign.triples = source_.coverage().triples();
    campaign.feasible_pairs = source_.feasible_pairs();
  }

 private:
  /// None has to wait long for one slow case, and none runs far ahead.
  static constexpr std::int64_t kAhead = 1000;

  bool is_over() const {
    if (options_.runs > 0 && handed_out_ >= options_.runs) return true;
    if (is_interrupted(options_)) return true;
    return options_.seconds > 0 &&
           std::chrono::duration<double>(Clock::now() - start_).count() >= options_.seconds;
  }

  void work(const std::stop_token& stop) {
    CaseJudge judge(options_.judge_command, options_.candidates, options_.limits);
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return ended_ || handed_out_ < wanted_ + kAhead; });
      std::optional<FuzzTask> task;
      if (!stop.stop_requested() && !ended_ && !is_over()) task = source_.next();
      if (!task) {
        ended_ = true;
        changed_.notify_all();
        return;
      }
      const std::int64_t position = handed_out_++;
      lock.unlock();
      std::vector<FuzzOutcome> outcomes = judge.judge(*task);
      lock.lock();
      done_.emplace(position, Judged{*std::move(task), std::move(outcomes)});
      changed_.notify_all();
    }
  }

  const CampaignOptions& options_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  TaskSource source_;
  Clock::time_point start_ = Clock::now();  // the time of the first case
  std::map<std::int64_t, Judged> done_;
  std::int64_t handed_out_ = 0, wanted_ = 0;
  bool ended_ = false;
  std::vector<std::jthread> workers_;
};

/// Counts the outcome; a new cause is saved at once.
void note(const CampaignOptions& options, const FuzzTask& task, FuzzOutcome outcome, Campaign& campaign) {
  ++campaign.verdicts[{outcome.candidate, outcome.verdict}];
  if (is_finding(outcome)) {
    const std::string cause = cause_of(outcome);
    auto known = std::ranges::find(campaign.findings, cause, &Finding::cause);
    if (known == campaign.findings.end()) {
      campaign.findings.push_back({cause, task.line, "", outcome, 0});
      known = campaign.findings.end() - 1;
      if (!options.corpus.empty()) save_finding(options.corpus, *known);
    }
    ++known->count;
  }
  campaign.outcomes.push_back({task.line, std::move(outcome)});
}

/// Whether the same thing went wrong: of a mismatch that looked like nothing known, the kind of tap must be the same.
bool is_same_failure(const FuzzOutcome& a, const FuzzOutcome& b) {
  if (a.hint.empty() && !a.family.empty()) {
    return b.candidate == a.candidate && b.verdict == a.verdict && b.family == a.family;
  }
  return cause_of(a) == cause_of(b);
}

void make_small(const CampaignOptions& options, CaseJudge& judge, Campaign& campaign, Finding& finding) {
  const FuzzOutcome original = finding.outcome;
  const auto fails = [&](const Case& value) {
    if (is_interrupted(options)) return false;
    ++campaign.tried;
    if (options.progress) options.progress(campaign);
    for (FuzzOutcome& outcome : judge.judge({case_text(value), std::nullopt})) {
      if (!is_same_failure(original, outcome)) continue;
      finding.outcome = std::move(outcome);
      return true;
    }
    return false;
  };
  finding.smallest = case_text(shrink(parse_case_text(finding.line), fails, options.shrink_limit).smallest);
  if (!options.corpus.empty()) save_finding(options.corpus, finding);
}

}  // namespace

Campaign run_campaign(const CampaignOptions& options) {
  const auto start = Clock::now();
  Campaign campaign;
  {
    JudgePool pool(options);
    while (auto judged = pool.next()) {
      ++campaign.cases;
      for (FuzzOutcome& outcome : judged->outcomes) note(options, judged->task, std::move(outcome), campaign);
      campaign.seconds = std::chrono::duration<double>(Clock::now() - start).count();
      pool.note_coverage(campaign);
      if (options.progress) options.progress(campaign);
      if (options.stop_after > 0 && std::ssize(campaign.findings) >= options.stop_after) break;
    }
  }
  CaseJudge judge(options.judge_command, options.candidates, options.limits);
  for (Finding& finding : campaign.findings) {
    if (options.shrink_limit == 0 || finding.outcome.candidate == "validate") continue;
    make_small(options, judge, campaign, finding);
  }
  return campaign;
}

}  // namespace forgecheck
