#include "harness/fuzz/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "harness/backend/backend.h"
#include "harness/case/seeded.h"
#include "harness/fuzz/random_case.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/io/file_name.h"
#include "harness/report/text.h"
#include "harness/tap/tap_kind.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/tolerance.h"

namespace forgecheck {

namespace {

constexpr const char* kCandidates[] = {"reference", "cpu:permuted", "cpu:openblas", "cpu:onednn"};
constexpr const char* kPerturbed = "cpu:openblas";
constexpr Dtype kTypes[] = {Dtype::f32, Dtype::bf16};

Problem random_problem(std::uint64_t seed, Dtype type) {
  Case definition = random_case(seed);
  definition.dtype = type;
  return seeded_problem(definition);
}

void note_usage(Calibration& calibration, const Judgement& judgement, const Architecture& architecture,
                Dtype type, const std::string& where) {
  for (const TapResult& tap : judgement.taps) {
    Usage& usage = calibration.usage[{type, tap_family(tap.name, architecture)}];
    ++usage.taps;
    if (tap.used <= usage.largest) continue;
    usage.largest = tap.used;
    usage.worst = tap.name + " of " + where;
  }
}

/// Root mean square of the row that element `at` lies in.
double row_size(const Tensor<double>& values, std::int64_t at) {
  return root_mean_square(values.row(at / values.width()));
}

/// Perturbs one value of each tap kind that still lacks samples.
void note_sensitivity(Calibration& calibration, const Problem& problem, const Trace& trace, Dtype type) {
  const Architecture& architecture = problem.definition.architecture;
  std::vector<std::string> done;
  std::uint64_t draw = seeded_key("sensitivity", problem.definition.seed);
  for (const auto& [name, array] : trace.entries()) {
    const std::string kind = tap_family(name, architecture);
    if (is_counted(place_of(name, architecture).kind) || array.size() == 0) continue;
    if (std::ranges::find(done, kind) != done.end()) continue;
    Sensitivity& samples = calibration.sensitivity[{type, kind}];
    if (std::ssize(samples) >= calibration.options.samples) continue;
    const auto at =
        static_cast<std::int64_t>((splitmix64(draw++) >> 16) % static_cast<std::uint64_t>(array.size()));
    if (row_size(array.to<double>(), at) == 0) continue;
    done.push_back(kind);
    samples.push_back(smallest_caught(problem, trace, name, at, type));
  }
}

void judge_recordings(Calibration& calibration, const std::filesystem::path& folder,
                      const std::function<void(const std::string&)>& progress) {
  for (const GoldenEntry& entry : find_goldens(folder, "")) {
    progress(entry.path.string());
    Golden golden = read_golden(entry.path, entry.name);
    if (golden.problem.definition.run == RunKind::gradients) continue;
    load_weights(golden);
    const Judgement judgement = with_file_name(entry.path, [&] {
      return judge(golden.problem, golden.expected, golden.type, false, Detail::verdicts);
    });
    Recordings& recordings =
        calibration.recordings[(folder / "").parent_path().filename().string() + ": " +
                               golden.producer.backend + ", " + std::string(torch_name(golden.type))];
    ++recordings.verdicts[judgement.verdict];
    if (judgement.used > recordings.largest) {
      recordings.largest = judgement.used;
      recordings.worst = entry.name;
    }
    if (judgement.verdict == Verdict::mismatch) {
      calibration.failures.push_back(entry.path.string() + ": " + judgement.message);
    }
  }
}

void write_recordings(std::ostream& out, const std::map<std::string, Recordings>& all) {
  if (all.empty()) return;
  out << "\n## Recordings of other implementations\n\n"
         "| source | match | undecided | mismatch | untrusted | used | by |\n|---|---|---|---|---|---|---|\n";
  for (const auto& [source, recordings] : all) {
    out << "| " << source;
    for (const Verdict verdict :
         {Verdict::match, Verdict::undecided, Verdict::mismatch, Verdict::untrusted}) {
      const auto found = recordings.verdicts.find(verdict);
      out << " | " << (found == recordings.verdicts.end() ? 0 : found->second);
    }
    out << " | " << short_number(recordings.largest, 2) << " | " << recordings.worst << " |\n";
  }
}

}  // namespace

double smallest_caught(const Problem& problem, const Trace& trace, const std::string& name, std::int64_t at,
                       Dtype type) {
  const Array& original = trace.at(name);
  const Tensor<double> values = original.to<double>();
  const double size = row_size(values, at);
  const auto caught = [&](double relative) {
    return std::ranges::all_of(std::array{-1.0, 1.0}, [&](double sign) {
      Tensor<double> changed = values;
      changed[at] += sign * relative * size;
      const Array array = Array::from(changed).cast(original.dtype());
      const Judgement judgement =
          judge(problem, with_value(trace, name, array), type, false, Detail::verdicts);
      const auto tap = std::ranges::find(judgement.taps, name, &TapResult::name);
      return tap != judgement.taps.end() && tap->verdict == Verdict::mismatch;
    });
  };
  // Steps of sqrt(2): the first of 2^-24 .. 2^6 that is caught.
  int low = -48, high = 13;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (caught(std::exp2(middle / 2.0))) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low == 13 ? HUGE_VAL : std::exp2(low / 2.0);
}

Calibration calibrate(const CalibrationOptions& options,
                      const std::function<void(const std::string&)>& progress) {
  Calibration calibration;
  calibration.options = options;
  std::vector<std::unique_ptr<Backend>> candidates;
  for (const char* name : kCandidates) candidates.push_back(make_backend(name));
  for (std::int64_t i = 0; i < options.runs; ++i) {
    for (const Dtype type : kTypes) {
      const Problem problem = random_problem(options.seed + static_cast<std::uint64_t>(i), type);
      const std::string line = case_text(problem.definition);
      for (const auto& candidate : candidates) {
        const Trace trace = candidate->run(problem, {});
        const Judgement judgement = judge(problem, trace, type, candidate->is_plain_reference());
        ++calibration.comparisons;
        if (judgement.verdict == Verdict::undecided) ++calibration.undecided[type];
        if (!is_success(judgement.verdict)) {
          calibration.failures.push_back(candidate->name() + " on " + line + ": " + judgement.message);
        }
        note_usage(calibration, judgement, problem.definition.architecture, type,
                   candidate->name() + " on " + line);
        if (candidate->name() == kPerturbed && options.samples > 0) {
          note_sensitivity(calibration, problem, trace, type);
        }
      }
    }
    progress("[" + std::to_string(i + 1) + "/" + std::to_string(options.runs) + "] random models");
  }
  for (const std::filesystem::path& folder : options.traces) judge_recordings(calibration, folder, progress);
  return calibration;
}

void write_calibration(std::ostream& out, const Calibration& calibration) {
  const CalibrationOptions& options = calibration.options;
  out << "# Calibration of the tolerances\n\n"
      << "Written by `forgecheck calibrate --runs " << options.runs << " --seed " << options.seed
      << " --samples " << options.samples << "`; docs/tolerances.md says what it means.\n\n"
      << calibration.comparisons << " comparisons of right implementations ("
      << "reference, cpu:permuted, cpu:openblas, cpu:onednn) on " << options.runs
      << " random models, in float32 and bfloat16: " << calibration.failures.size() << " failed.\n";
  for (const Dtype type : kTypes) {
    const auto found = calibration.undecided.find(type);
    out << "Undecided in " << torch_name(type) << ": "
        << (found == calibration.undecided.end() ? 0 : found->second) << ".\n";
  }
  for (const std::string& failure : calibration.failures) out << "- failed: " << failure << "\n";
  for (const Dtype type : kTypes) {
    out << "\n## " << torch_name(type) << "\n\nkappa = " << kappa(type)
        << ". Used: the largest share of its tolerance that a right implementation used. Caught: the "
           "smallest\n"
           "change of one value, relative to the root mean square of its row, that is a mismatch at that "
           "tap:\n"
           "median and largest of the samples; none of what must be equal, and where nothing was sampled.\n\n"
           "| tap | taps | used | caught, median | caught, largest | samples |\n|---|---|---|---|---|---|\n";
    for (const auto& [key, usage] : calibration.usage) {
      if (key.first != type) continue;
      out << "| " << key.second << " | " << usage.taps << " | " << short_number(usage.largest, 2) << " | ";
      const auto found = calibration.sensitivity.find(key);
      if (found == calibration.sensitivity.end() || found->second.empty()) {
        out << "- | - | 0 |\n";
        continue;
      }
      Sensitivity sorted = found->second;
      std::ranges::sort(sorted);
      out << short_number(sorted[sorted.size() / 2], 2) << " | " << short_number(sorted.back(), 2) << " | "
          << sorted.size() << " |\n";
    }
  }
  write_recordings(out, calibration.recordings);
  out << "\n## The largest shares\n\n";
  std::vector<std::pair<double, std::string>> worst;
  for (const auto& [key, usage] : calibration.usage) {
    if (usage.largest == 0) continue;
    worst.emplace_back(usage.largest, std::string(torch_name(key.first)) + " " + usage.worst);
  }
  std::ranges::sort(worst, std::greater<>());
  for (std::size_t i = 0; i < std::min<std::size_t>(10, worst.size()); ++i) {
    out << "- " << short_number(worst[i].first, 2) << ": " << worst[i].second << "\n";
  }
}

}  // namespace forgecheck
