#include "harness/golden/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/backend/run_inputs.h"
#include "harness/golden/store.h"
#include "harness/io/sha256.h"
#include "harness/verdict/baselines.h"
#include "harness/verdict/judge_backend.h"
#include "harness/verdict/tolerance.h"

namespace forgecheck {

namespace {

using Paths = std::map<std::string, std::filesystem::path>;

Paths paths_by_name(const std::filesystem::path& folder, const std::string& filter) {
  Paths paths;
  for (const GoldenEntry& entry : find_goldens(folder, filter)) paths.emplace(entry.name, entry.path);
  return paths;
}

TapResult other(const std::string& name, const std::string& message) {
  return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, message};
}

bool is_same(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

/// What each recording is compared by.
struct Runs {
  Evidence old;      // forced to the old trace
  ReferenceRun now;  // the oracle forced to the new one
  Dtype type;
};

/// A floating point tap, by the error that its module makes on the inputs of its own trace: by how much that has changed, in
/// units of what a right implementation may be off. So what is changed before a tap does not count there.
TapResult compare_values(const std::string& name, const Array& now, const Array& old, const Runs& runs) {
  const Tensor<double> was = old.to<double>(), is = now.to<double>();
  const Tensor<double> oracle = runs.old.oracle.trace.at(name).to<double>();
  const Tensor<double> oracle_now = runs.now.trace.at(name).to<double>();
  Tensor<double> baseline = farthest_baseline(runs.old, name), moved = was;
  for (std::int64_t i = 0; i < was.size(); ++i) {
    baseline[i] += was[i] - oracle[i];
    moved[i] += (is[i] - oracle_now[i]) - (was[i] - oracle[i]);
  }
  TapResult result = compare_floating(name, Array::from(moved), was, baseline, runs.type);
  if (result.verdict == Verdict::match) return result;
  result.message =
      fmt::format("moved by {:.3g} on its own inputs, tolerance {:.3g}", result.error, result.tolerance);
  return result;
}

TapResult compare_tap(const std::string& name, const Array& now, const Array& old, const Runs& runs) {
  if (now.dtype() != old.dtype() || now.shape() != old.shape()) {
    return other(name, fmt::format("is {} {}, was {} {}", torch_name(now.dtype()), to_string(now.shape()),
                                   torch_name(old.dtype()), to_string(old.shape())));
  }
  if (is_same(now, old)) return {name, Verdict::match, 0.0, 0.0, 0.0, ""};
  if (!is_floating_point(old.dtype())) return other(name, "has other integers");
  return compare_values(name, now, old, runs);
}

GoldenChange change_of(const std::string& name, const std::filesystem::path& before,
                       const std::filesystem::path& after) {
  Golden old = read_golden(before, name);
  const Golden now = read_golden(after, name);
  GoldenChange change{
      name, name, case_text(now.problem.definition), std::string(torch_name(now.problem.definition.dtype)),
      {},   0};
  if (case_text(old.problem.definition) != change.case_line) {
    change.judgement.verdict = Verdict::mismatch;
    change.judgement.used = kInfinity;
    change.judgement.message = "is another case; it was " + case_text(old.problem.definition);
    return change;
  }
  // A kind of case that cannot be judged, or weights that are missing, are one result among the others.
  change.judgement = judged_or_failure([&] {
    if (const std::string reason = unsupported_run(old.problem.definition.run); !reason.empty()) {
      return failure(Verdict::unsupported, reason);
    }
    load_weights(old);
    return compare_recordings(old, now.expected);
  });
  change.moved = std::ranges::count_if(change.judgement.taps, [&](const TapResult& tap) {
    const Array *was = old.expected.find(tap.name), *is = now.expected.find(tap.name);
    return was == nullptr || is == nullptr || !is_same(*was, *is);
  });
  return change;
}

GoldenChange only_in(const std::string& name, const std::filesystem::path& path, bool is_new) {
  const Golden golden = read_golden(path, name);
  GoldenChange change;
  (is_new ? change.after : change.before) = name;
  change.case_line = case_text(golden.problem.definition);
  change.dtype = torch_name(golden.problem.definition.dtype);
  change.judgement.message = is_new ? "is new" : "is gone";
  return change;
}

/// A file that is gone under its old name and there under a new one, to the byte.
void join_renamed(std::vector<GoldenChange>& changes, const Paths& before, const Paths& after) {
  std::map<std::string, std::string> gone;  // name by the file's hash
  for (const GoldenChange& change : changes) {
    if (change.after.empty()) gone.emplace(sha256_file(before.at(change.before)), change.before);
  }
  std::set<std::string> joined;
  for (GoldenChange& change : changes) {
    if (!change.before.empty()) continue;
    const auto found = gone.find(sha256_file(after.at(change.after)));
    if (found == gone.end()) continue;
    change.before = found->second;
    change.judgement.message = "was " + found->second;
    joined.insert(found->second);
    gone.erase(found);
  }
  std::erase_if(changes, [&](const GoldenChange& change) {
    return change.after.empty() && joined.contains(change.before);
  });
}

}  // namespace

Judgement compare_recordings(const Golden& old, const Trace& now) {
  const Runs runs{compare_with_oracle(old.problem, old.expected, old.type, false).evidence,
                  run_forced(old.problem, Dtype::f64, Arithmetic(), now, Forcing::everything), old.type};
  Judgement judgement;
  for (const auto& [name, value] : old.expected.entries()) {
    const Array* const found = now.find(name);
    judgement.taps.push_back(found == nullptr ? other(name, "is gone")
                                              : compare_tap(name, *found, value, runs));
  }
  for (const auto& [name, value] : now.entries()) {
    if (old.expected.find(name) == nullptr) judgement.taps.push_back(other(name, "is new"));
  }
  judgement.used = largest_share(judgement.taps);
  for (const TapResult& tap : judgement.taps) {
    judgement.verdict = worse(judgement.verdict, tap.verdict);
    if (judgement.message.empty() && !tap.message.empty()) judgement.message = tap.name + " " + tap.message;
  }
  return judgement;
}

std::vector<GoldenChange> golden_changes(const std::filesystem::path& before,
                                         const std::filesystem::path& after, const std::string& filter) {
  const Paths old = paths_by_name(before, filter), now = paths_by_name(after, filter);
  std::set<std::string> names;
  for (const auto& [name, path] : old) names.insert(name);
  for (const auto& [name, path] : now) names.insert(name);
  std::vector<GoldenChange> changes;
  for (const std::string& name : names) {
    const auto was = old.find(name), is = now.find(name);
    if (is == now.end()) {
      changes.push_back(only_in(name, was->second, false));
    } else if (was == old.end()) {
      changes.push_back(only_in(name, is->second, true));
    } else if (sha256_file(was->second) != sha256_file(is->second)) {
      changes.push_back(change_of(name, was->second, is->second));
    }
  }
  join_renamed(changes, old, now);
  return changes;
}

}  // namespace forgecheck
