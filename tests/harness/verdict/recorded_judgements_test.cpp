// All that is said of wrong traces of every kind, as it was when recorded_judgements.json was written: verdicts, messages,
// errors, tolerances, the first divergence with its operation and hint, undecided choices.
// FORGECHECK_RECORD=1 in the environment writes the file again: read what changes there before it is committed.
#include <fstream>
#include <regex>

#include "harness/report/json_report.h"
#include "harness/verdict/judge.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using Json = nlohmann::ordered_json;

const std::string kRecorded = FORGECHECK_SOURCE_DIR "/tests/harness/verdict/recorded_judgements.json";

/// A mistake in one tap of a right trace; none where it does not apply to the tap.
struct Wrongness {
  const char* name;
  std::optional<Array> (*change)(const Array& value);
};

template <class Change>
std::optional<Array> changed_numbers(const Array& value, const Change& change) {
  if (!is_floating_point(value.dtype()) || value.size() < 2) return std::nullopt;
  Tensor<double> values = value.to<double>();
  change(values);
  return Array::from(values).cast(value.dtype());
}

const Wrongness kWrong[] = {
    {"one element",
     [](const Array& value) {
       return changed_numbers(value, [](Tensor<double>& x) { x[x.size() / 2] += 0.125; });
     }},
    {"a factor",
     [](const Array& value) {
       return changed_numbers(value, [](Tensor<double>& x) {
         for (double& number : x.data) number *= 1.5;
       });
     }},
    {"off as a whole",
     [](const Array& value) {
       return changed_numbers(value, [](Tensor<double>& x) {
         for (std::int64_t i = 0; i < x.size(); ++i) x[i] *= i % 2 == 0 ? 1 + 2e-6 : 1 - 2e-6;
       });
     }},
    {"not a number",
     [](const Array& value) {
       return changed_numbers(value, [](Tensor<double>& x) { x[1] = std::nan(""); });
     }},
    {"all zero",
     [](const Array& value) {
       return changed_numbers(value, [](Tensor<double>& x) { std::ranges::fill(x.data, 0.0); });
     }},
    {"integers for numbers",
     [](const Array& value) -> std::optional<Array> {
       if (!is_floating_point(value.dtype())) return std::nullopt;
       return Array::from(Tensor<std::int64_t>(value.shape()));
     }},
    {"another shape",
     [](const Array& value) -> std::optional<Array> {
       if (!is_floating_point(value.dtype())) return std::nullopt;
       return Array::from(value.to<float>().reshaped({value.size()}));
     }},
    {"another choice",
     [](const Array& value) -> std::optional<Array> {
       if (is_floating_point(value.dtype()) || value.size() == 0) return std::nullopt;
       Tensor<std::int64_t> values = value.to_int64();
       values[0] = values[0] == 0 ? 1 : 0;
       return Array::from(values);
     }},
    {"an invalid choice",
     [](const Array& value) -> std::optional<Array> {
       if (is_floating_point(value.dtype()) || value.size() == 0) return std::nullopt;
       Tensor<std::int64_t> values = value.to_int64();
       values[values.size() - 1] = -3;
       return Array::from(values);
     }},
    {"numbers for choices",
     [](const Array& value) -> std::optional<Array> {
       if (is_floating_point(value.dtype())) return std::nullopt;
       return Array::from(Tensor<float>(value.shape()));
     }},
};

/// What a report says of one judgement, without what right taps say.
Json said_of(const Judgement& judgement) {
  Result judged;
  judged.candidate = "candidate";
  judged.judgement = judgement;
  Json result = json_document({{}, {judged}}).at("results").at(0);
  Json taps = Json::array();
  for (const Json& tap : result.at("taps")) {
    if (tap.at("verdict") != "match") taps.push_back(tap);
  }
  result["taps"] = taps;
  if (result.contains("first_divergence") && result["first_divergence"].contains("map")) {
    double sum = 0;
    Json& shares = result["first_divergence"]["map"]["shares"];
    for (const Json& share : shares) sum += share.is_number() ? share.get<double>() : 1e6;
    shares = sum;
  }
  return result;
}

void scale(Problem& problem, const std::string& name, float factor) {
  Tensor<float> weight = problem.parameters.at(name).to<float>();
  for (float& number : weight.data) number *= factor;
  problem.parameters.insert_or_assign(name, Array::from(weight));
}

/// Judgements by the name of case, tap and mistake: of every case each mistake in turn, at a tap that moves on.
Json all_judgements() {
  Json all = Json::object();
  const auto add = [&](const std::string& name, const Problem& problem, const Trace& trace) {
    all[name] = said_of(judge(problem, trace, problem.definition.dtype, false));
  };
  std::size_t turn = 0;
  for (const std::string& text : small_cases()) {
    const Problem problem = small_problem(text);
    const Trace right = run_permuted(problem, problem.definition.dtype);
    const std::string architecture = text.substr(0, text.find('['));
    for (const Wrongness& wrong : kWrong) {
      const auto& entries = right.entries();
      for (std::size_t tried = 0; tried < entries.size(); ++tried) {
        const auto& [tap, value] = entries[(turn * 7 + tried) % entries.size()];
        const std::optional<Array> changed = wrong.change(value);
        if (!changed) continue;
        add(architecture + " " + std::to_string(turn) + ": " + wrong.name + " at " + tap, problem,
            with_value(right, tap, *changed));
        break;
      }
      ++turn;
    }
    // What a trace does not show is tried.
    if (const Array* logits = right.find("logits")) {
      add(architecture + " " + std::to_string(turn) + ": logits alone, doubled", problem,
          with_value(Trace(), "logits", *changed_numbers(*logits, [](Tensor<double>& x) {
                       for (double& number : x.data) number *= 2;
                     })));
    }
  }
  // bfloat16
  const Problem rounded = small_problem(small_cases()[0] + "/bfloat16");
  const Trace right = run_permuted(rounded, Dtype::bf16);
  for (const char* const tap : {"layers.0.attention.context", "layers.1.mlp", "logits"}) {
    add(std::string("bfloat16: a factor at ") + tap, rounded,
        with_value(right, tap, *kWrong[1].change(right.at(tap))));
  }
  // A plain reference that overflows where the oracle does not.
  Problem large = small_problem(small_cases()[0]);
  scale(large, "layers.0.mlp.up_proj.weight", 3e38F);
  const Trace overflown = run_permuted(large, Dtype::f32);
  add("overflow", large, overflown);
  const std::string up = "layers.0.mlp.up_proj";
  Tensor<float> finite = overflown.at(up).to<float>();
  for (float& number : finite.data) number = std::isfinite(number) ? number : 3e38F;
  add("overflow of the plain reference alone", large, with_value(overflown, up, Array::from(finite)));
  // Equal scores, of which another than the oracle's was chosen.
  Problem tied = small_problem(small_cases()[2]);
  scale(tied, "layers.1.mlp.router.gate.weight", 0.0F);
  const Trace first = run_permuted(tied, Dtype::f32);
  const std::string indices = "layers.1.mlp.router.indices";
  Tensor<std::int64_t> others = first.at(indices).to_int64();
  for (std::int64_t i = 0; i < others.size(); ++i) others[i] = 2 + i % 2;
  Trace forced;
  forced.add(indices, Array::from(others));
  add("equal scores", tied, run_permuted(tied, Dtype::f32, forced));
  return all;
}

/// Numbers within a text are equal if they nearly are: libraries of mathematics differ in the last digits.
bool nearly_equal(const std::string& a, const std::string& b) {
  static const std::regex number(R"([-+]?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?)");
  const std::string shape = std::regex_replace(a, number, "#");
  if (shape != std::regex_replace(b, number, "#")) return false;
  std::sregex_iterator x(a.begin(), a.end(), number), y(b.begin(), b.end(), number);
  for (; x != std::sregex_iterator(); ++x, ++y) {
    const double left = std::stod(x->str()), right = std::stod(y->str());
    if (std::abs(left - right) > 1e-3 * std::max(std::abs(left), std::abs(right))) return false;
  }
  return true;
}

TEST(RecordedJudgements, SayWhatTheySaid) {
  const Json now = all_judgements();
  if (std::getenv("FORGECHECK_RECORD") != nullptr) {
    std::ofstream(kRecorded) << now.dump(1) << "\n";
    GTEST_SKIP() << "recorded";
  }
  const Json recorded = Json::parse(std::ifstream(kRecorded));
  ASSERT_EQ(now.size(), recorded.size());
  ASSERT_GE(now.size(), 60U);
  for (const auto& [name, judgement] : recorded.items()) {
    ASSERT_TRUE(now.contains(name)) << name;
    EXPECT_TRUE(nearly_equal(now.at(name).dump(1), judgement.dump(1)))
        << name << "\n"
        << now.at(name).dump(1) << "\nwas recorded as\n"
        << judgement.dump(1);
  }
}

}  // namespace
}  // namespace forgecheck
