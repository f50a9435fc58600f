// A recorded trace with one value changed by a hundredth of its row's size is a mismatch, at that tap. In
// bfloat16, where a value's last place is worth up to 0.8 % of it, a hundredth can be rounding; what is
// always seen there is more.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/tolerance.h"
#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

const std::filesystem::path kGoldens = FORGECHECK_SOURCE_DIR "/golden";

/// The recordings that others made, are judged, and hold more than tokens: names below the folder.
std::vector<std::string> recordings() {
  std::vector<std::string> names;
  for (const GoldenEntry& entry : find_goldens(kGoldens, "")) {
    if (entry.name.starts_with("reference/")) continue;
    const RunKind run = read_golden(entry.path, entry.name).problem.definition.run;
    if (run != RunKind::gradients && run != RunKind::generate) names.push_back(entry.name);
  }
  return names;
}

/// The tap with its element i further away from zero by `share` of the row's root mean square.
Array with_change(const Array& tap, std::int64_t i, double share) {
  Tensor<double> values = tap.to<double>();
  const double change = share * root_mean_square(std::as_const(values).row(i / values.width()));
  values[i] += values[i] < 0 ? -change : change;
  return Array::from(values).cast(tap.dtype());
}

double share_of(Dtype type) {
  return type == Dtype::bf16 ? 0.08 : 0.01;
}

/// The taps of a recording that can be changed. Of one with more than kTaps those at equal distances: each costs
/// a whole judgement. scripts/nightly.sh asks for all of them.
std::vector<std::string> changeable_taps(const Trace& trace) {
  constexpr std::size_t kTaps = 4;
  std::vector<std::string> names;
  for (const auto& [name, value] : trace.entries()) {
    if (is_floating_point(value.dtype()) && value.size() > 0) names.push_back(name);
  }
  if (std::getenv("FORGECHECK_EVERY_TAP") != nullptr || names.size() <= kTaps) return names;
  std::vector<std::string> some;
  for (std::size_t i = 0; i < kTaps; ++i) some.push_back(names[i * names.size() / kTaps]);
  return some;
}

class ChangedValue : public testing::TestWithParam<std::string> {};

TEST_P(ChangedValue, IsAMismatchAtItsTap) {
  Golden golden = read_golden(kGoldens / (GetParam() + ".safetensors"), GetParam());
  load_weights(golden);
  const Dtype type = golden.problem.definition.dtype;
  int tried = 0;
  for (const std::string& name : changeable_taps(golden.expected)) {
    SCOPED_TRACE(name);
    const Array& value = golden.expected.at(name);
    const auto i = static_cast<std::int64_t>(0.618 * static_cast<double>(value.size()));
    const Array changed = with_change(value, i, share_of(type));
    if (changed.at(i) == value.at(i)) continue;  // a row of zeros
    ++tried;
    const Judgement judgement =
        judge(golden.problem, with_value(golden.expected, name, changed), type, false, Detail::verdicts);
    EXPECT_EQ(judgement.verdict, Verdict::mismatch);
    ASSERT_TRUE(judgement.first_divergence.has_value());
    EXPECT_EQ(judgement.first_divergence->tap, name);
  }
  EXPECT_GT(tried, 0);
}

INSTANTIATE_TEST_SUITE_P(Recorded, ChangedValue, testing::ValuesIn(recordings()), [](const auto& entry) {
  std::string name = entry.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace forgecheck
