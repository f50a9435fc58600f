#include "harness/verdict/suspects.h"

#include <cmath>
#include <span>

#include "harness/case/seeded.h"
#include "harness/verdict/tap_error.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

/// Another value of about the same size, wherever the tap is not zero.
Array disturbed_values(const std::string& name, const Array& value) {
  Tensor<double> values = value.to<double>();
  const double rms = root_mean_square(values.data);
  const Tensor<float> noise = seeded_tensor("disturbed." + name, values.shape, 0, 1.0F, 0.0F);
  // The reversed sign changes every order, so that choices by these values change too.
  for (std::int64_t i = 0; i < values.size(); ++i) {
    values[i] = (rms > 0 ? rms : 1.0) * static_cast<double>(noise[i]) - values[i];
  }
  return Array::from(values);
}

/// Every choice one candidate further: other sets, unless all candidates are chosen.
Array disturbed_choices(const Decision& decision) {
  Tensor<std::int64_t> chosen = decision.chosen;
  for (std::int64_t& choice : chosen.data) choice = (choice + 1) % decision.scores.width();
  return Array::from(chosen);
}

class Search {
 public:
  Search(const Problem& problem, const Trace& candidate, const ReferenceRun& forced_run,
         const std::string& tap, std::int64_t runs)
      : problem_(problem), candidate_(candidate), forced_run_(forced_run), tap_(tap), runs_(runs) {}

  Suspects run() {
    std::vector<std::string> missing;
    for (const auto& [name, value] : forced_run_.trace.entries()) {
      if (name == tap_) break;
      if (candidate_.find(name) == nullptr && value.size() > 0) missing.push_back(name);
    }
    split(missing, false);
    return std::move(found_);
  }

 private:
  /// Keeps the suspects of `group`; `guilty`: it is known to contain one.
  void split(std::span<const std::string> group, bool guilty) {
    if (group.empty()) return;
    if (runs_ <= 0 && (!guilty || group.size() > 1)) {
      found_.exact = false;
      found_.taps.insert(found_.taps.end(), group.begin(), group.end());
      return;
    }
    if (!guilty && !matters(group)) return;
    if (group.size() == 1) {
      found_.taps.push_back(group.front());
      return;
    }
    const std::size_t half = group.size() / 2, before = found_.taps.size();
    split(group.first(half), false);
    split(group.subspan(half), found_.taps.size() == before);
  }

  /// Whether the wrong tap changes with the values of the group.
  bool matters(std::span<const std::string> group) {
    --runs_;
    Trace forced = candidate_;
    for (const std::string& name : group) forced.add(name, disturbed(name));
    const std::optional<Array> value = oracle_value(problem_, forced, tap_);
    return !value || relative_error(*value, forced_run_.trace.at(tap_)) > 0;
  }

  Array disturbed(const std::string& name) const {
    const auto decision = forced_run_.decisions.find(name);
    if (decision != forced_run_.decisions.end()) return disturbed_choices(decision->second);
    const Array& value = forced_run_.trace.at(name);
    return is_floating_point(value.dtype()) ? disturbed_values(name, value) : value;
  }

  const Problem& problem_;
  const Trace& candidate_;
  const ReferenceRun& forced_run_;
  const std::string& tap_;
  std::int64_t runs_;
  Suspects found_;
};

}  // namespace

Suspects suspects_before(const Problem& problem, const Trace& candidate, const ReferenceRun& forced_run,
                         const std::string& tap, std::int64_t runs) {
  return Search(problem, candidate, forced_run, tap, runs).run();
}

}  // namespace forgecheck
