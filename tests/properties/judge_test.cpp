// Properties of the judge, on random small cases.
#include <algorithm>

#include "harness/case/case_json.h"
#include "harness/report/report.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/tolerance.h"
#include "tests/properties/cases.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

/// Random small cases of any run and type, whose traces show something.
std::vector<Case> judged_cases(std::size_t count) {
  std::vector<Case> cases;
  for (std::uint64_t seed = 0; cases.size() < count; ++seed) {
    Case value = fuzz_case(seed, Family::kempnerforge, CaseScale::small);
    if (value.architecture.model.vocab_size > 4 && !refusal_of(value)) cases.push_back(std::move(value));
  }
  return cases;
}

Trace trace_of(const std::string& backend, const Problem& problem) {
  return make_backend(backend)->run(problem, {});
}

Judgement judged(const Problem& problem, const Trace& trace) {
  return judge(problem, trace, problem.definition.dtype, false, Detail::verdicts);
}

/// The trace with only the taps for which `keep(position)`, and always the outputs.
template <class Keep>
Trace thinned(const Trace& trace, const Keep& keep) {
  Trace kept;
  std::size_t position = 0;
  for (const auto& [name, value] : trace.entries()) {
    const bool is_output = name == "logits" || name == "tokens" || name == "loss.total";
    if (is_output || keep(position++)) kept.add(name, value);
  }
  return kept;
}

TEST(JudgeProperties, ARightTraceMatchesWhateverTapsItHas) {
  for (const Case& definition : judged_cases(40)) {
    const Problem problem = seeded_problem(definition);
    for (const std::string& backend : with_gpu({"cpu:openblas", "cpu:onednn", "cpu:permuted"})) {
      const Trace trace = trace_of(backend, problem);
      for (const std::size_t step : {1, 2, 3, 1000}) {
        const Judgement judgement =
            judged(problem, thinned(trace, [&](std::size_t i) { return i % step == step - 1; }));
        EXPECT_NE(judgement.verdict, Verdict::mismatch)
            << backend << ", every " << step << ". tap: " << judgement.message << "\n"
            << case_text(definition);
      }
    }
  }
}

/// The trace with element `at` of a floating point tap off by `share` of what the judge reports as the tap's size.
Trace with_changed_element(const Trace& trace, const std::string& tap, std::int64_t at, double error) {
  Trace changed;
  for (const auto& [name, value] : trace.entries()) {
    if (name != tap) {
      changed.add(name, value);
      continue;
    }
    Tensor<double> values = value.to<double>();
    values[at] += error;
    changed.add(name, Array::from(values).cast(value.dtype()));
  }
  return changed;
}

/// Calls visit(problem, wrong trace, tap) for each of several changed taps of several cases in float32.
template <class Visit>
void for_changed_taps(const Visit& visit) {
  for (Case definition : judged_cases(25)) {
    definition.dtype = Dtype::f32;
    const Problem problem = seeded_problem(definition);
    const Trace trace = trace_of("cpu:openblas", problem);
    std::size_t position = definition.seed % 5;
    for (; position < trace.entries().size(); position += 5) {
      const auto& [name, value] = trace.entries()[position];
      if (!is_floating_point(value.dtype()) || value.size() == 0) continue;
      const double size = root_mean_square(value.to<double>().data);
      if (size == 0) continue;
      visit(problem, with_changed_element(trace, name, value.size() / 2, 0.3 * size), name);
    }
  }
}

TEST(JudgeProperties, AChangedTapIsAMismatchAtThatTap) {
  int changed = 0;
  for_changed_taps([&](const Problem& problem, const Trace& wrong, const std::string& tap) {
    ++changed;
    const Judgement judgement = judged(problem, wrong);
    EXPECT_EQ(judgement.verdict, Verdict::mismatch) << tap << " of " << case_text(problem.definition);
    if (judgement.first_divergence) {
      EXPECT_EQ(judgement.first_divergence->tap, tap) << case_text(problem.definition);
    }
  });
  EXPECT_GT(changed, 50);
}

TEST(JudgeProperties, AMismatchStaysOneWhenRightTapsAreRemoved) {
  for_changed_taps([&](const Problem& problem, const Trace& wrong, const std::string& tap) {
    Trace kept;
    bool before = true;
    for (const auto& [name, value] : wrong.entries()) {
      if (name == tap) before = false;
      const bool is_output = name == "logits" || name == "tokens" || name == "loss.total";
      if (name == tap || !before || is_output) kept.add(name, value);
    }
    EXPECT_EQ(judged(problem, kept).verdict, Verdict::mismatch)
        << tap << " of " << case_text(problem.definition);
  });
}

TEST(JudgeProperties, AVerdictRepeats) {
  for_changed_taps([&](const Problem& problem, const Trace& wrong, const std::string&) {
    const Judgement a = judged(problem, wrong), b = judged(problem, wrong);
    EXPECT_EQ(a.used, b.used);
    EXPECT_EQ(a.message, b.message);
  });
}

TEST(JudgeProperties, TheOrderOfTheTapsInATraceDoesNotMatter) {
  for (const Case& definition : judged_cases(25)) {
    const Problem problem = seeded_problem(definition);
    const Trace trace = trace_of("cpu:openblas", problem);
    Trace reversed;
    for (auto entry = trace.entries().rbegin(); entry != trace.entries().rend(); ++entry) {
      reversed.add(entry->first, entry->second);
    }
    EXPECT_EQ(judged(problem, reversed).used, judged(problem, trace).used);
  }
}

TEST(JudgeProperties, AFactorOfBothSidesOfALinearPairLeavesTheVerdict) {
  for (Case definition : judged_cases(60)) {
    definition.dtype = Dtype::f32;
    definition.architecture.model.activation = Activation::relu;
    definition.architecture.model.num_experts = 0;
    definition.moe_step.reset();
    definition.mot_moe_totals = false;
    if (definition.architecture.vlm || refusal_of(definition)) continue;
    Problem problem = seeded_problem(definition);
    problem.seeded = false;
    for (auto& [name, weights] : problem.parameters) {
      const double factor = name.ends_with("mlp.up_proj.weight")     ? 8
                            : name.ends_with("mlp.down_proj.weight") ? 0.125
                                                                     : 1;
      Tensor<double> values = weights.to<double>();
      for (double& value : values.data) value *= factor;
      weights = Array::from(values).cast(weights.dtype());
    }
    const Trace trace = trace_of("cpu:openblas", problem);
    EXPECT_NE(judged(problem, trace).verdict, Verdict::mismatch) << case_text(definition);
    const Tensor<double> plain =
        trace_of("reference", seeded_problem(definition)).entries().back().second.to<double>();
    EXPECT_LT(distance_of(plain, trace_of("reference", problem).entries().back().second.to<double>()), 1e-5);
  }
}

TEST(JudgeProperties, EveryCaseSurvivesTextAndJson) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Case value = fuzz_case(seed, Family::any, CaseScale::wide);
    const std::string line = case_text(value);
    EXPECT_EQ(case_text(parse_case_text(line)), line);
    EXPECT_EQ(case_text(parse_case_json(case_json(value))), line);
  }
}

RC_GTEST_PROP(JudgeProperties, WorseIsTheSameInAnyOrder, ()) {
  const auto any = [] { return kVerdicts[*rc::gen::inRange<std::size_t>(0, std::size(kVerdicts))]; };
  const Verdict a = any(), b = any(), c = any();
  RC_ASSERT(worse(a, b) == worse(b, a));
  RC_ASSERT(worse(worse(a, b), c) == worse(a, worse(b, c)));
  RC_ASSERT(worse(a, a) == a);
}

RC_GTEST_PROP(JudgeProperties, MergedReportsDoNotDependOnTheirOrder, ()) {
  std::vector<NamedReport> reports(3);
  for (auto& [name, report] : reports) {
    for (std::int64_t i = 0, count = size_between(1, 4); i < count; ++i) {
      Result result;
      result.case_line = "case " + std::to_string(size_between(0, 3));
      result.candidate = "a";
      result.judgement.verdict = *rc::gen::arbitrary<bool>() ? Verdict::match : Verdict::mismatch;
      report.results.push_back(result);
    }
  }
  std::vector<NamedReport> reversed(reports.rbegin(), reports.rend());
  const auto verdicts = [](const std::vector<NamedReport>& of) {
    std::vector<std::string> lines;
    for (const Result& result : merge_reports(of).report.results) {
      lines.push_back(result.case_line + to_string(result.judgement.verdict));
    }
    std::ranges::sort(lines);
    return lines;
  };
  RC_ASSERT(verdicts(reports) == verdicts(reversed));
}

RC_GTEST_PROP(JudgeProperties, ALargerErrorUsesMoreOfATolerance, ()) {
  const auto oracle = random_tensor({2, 8});
  auto baseline = oracle;
  for (double& value : baseline.data) value *= 1 + 1e-7;
  const double small = static_cast<double>(size_between(1, 1000)) * 1e-8, large = small * 1.5;
  const auto used = [&](double error) {
    auto candidate = oracle;
    candidate[3] += error;
    return compare_floating("t", Array::from(candidate), oracle, baseline, Dtype::f32).used;
  };
  RC_ASSERT(used(large) >= used(small));
}

}  // namespace
}  // namespace forgecheck
