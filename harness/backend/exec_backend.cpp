#include "harness/backend/exec_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/backend/run_inputs.h"
#include "harness/golden/golden_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/scratch_folder.h"
#include "harness/io/strict_json.h"
#include "harness/tap/outputs.h"
#include "harness/tap/tap_table.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::string_view kPrefix = "exec:";
/// What an answer calls an error with which a program refuses a case; all other kinds are failures.
constexpr std::string_view kRefusals[] = {"ConfigError", "ShapeError", "Unsupported"};

/// The times of an answer to a request for `runs` of them; empty where it has none.
std::vector<double> seconds_of(const JsonValue& answer, std::int64_t runs) {
  std::vector<double> seconds;
  const std::optional<JsonValue> times = answer.find("seconds");
  if (!times || runs == 0) return seconds;
  for (const JsonValue& time : times->items()) {
    if (!(time.number() > 0)) time.expect("more than 0 seconds");
    seconds.push_back(time.number());
  }
  if (std::ssize(seconds) != runs) times->expect(fmt::format("{} times", runs));
  return seconds;
}

class ExecBackend : public Backend {
 public:
  ExecBackend(std::string name, std::string command, const ChildLimits& limits)
      : name_(std::move(name)), command_(std::move(command)), limits_(limits) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override { return unsupported_run(definition.run); }
  /// float64 if the last trace had such a tap.
  Dtype precision(const Case& definition) const override {
    return computed_double_ ? Dtype::f64 : definition.dtype;
  }

  Trace run(const Problem& problem, const TapFilter& wants) override {
    Trace trace;
    answered(problem, [&] {
      ask({{"taps", taps_for(problem, wants)}});
      trace = read_trace(wants);
      computed_double_ = computed_type(trace, problem.definition) == Dtype::f64;
    });
    return trace;
  }

  RunTimes time(const Problem& problem, int runs) override {
    std::vector<double> seconds;
    answered(problem, [&] { seconds = ask({{"taps", taps_for(problem, is_output)}, {"repeat", runs}}); });
    // A program that does not time itself has answered once.
    return seconds.empty() ? Backend::time(problem, runs) : RunTimes{std::move(seconds), false};
  }

 private:
  /// Makes the files of a case, and turns what goes wrong in `exchange` into the error of a program that fails.
  template <class Exchange>
  void answered(const Problem& problem, const Exchange& exchange) {
    std::filesystem::remove(folder_.path() / "out.safetensors");
    forget_errors();
    try {
      write_case(problem);
      exchange();
    } catch (const ConfigError&) {
      throw;
    } catch (const Error& error) {
      child_.reset();
      throw BackendError(error.what() + end_of_errors());
    }
  }

  void write_case(const Problem& problem) const {
    write_golden(folder_.path() / "case.safetensors", problem, Trace(), this_producer("forgecheck"),
                 problem.seeded ? "seeded" : "weights.safetensors");
    if (problem.seeded) return;
    write_safetensors(folder_.path() / "weights.safetensors",
                      {problem.parameters.begin(), problem.parameters.end()}, {});
  }

  /// Sends the request and reads the answer: the seconds that its runs took, if it says so. Throws ConfigError where the
  /// program refuses the case.
  std::vector<double> ask(nlohmann::json request) {
    if (!child_) child_.emplace(command_, folder_.path() / "errors");
    const std::int64_t id = ++asked_;
    request["id"] = id;
    request["case"] = (folder_.path() / "case.safetensors").string();
    request["out"] = (folder_.path() / "out.safetensors").string();
    child_->send(request.dump());
    const std::string line = child_->receive(limits_);
    const JsonDocument document = parse_json(line, "its answer");
    const JsonValue answer = document.root();
    answer.require_keys({"id", "ok", "kind", "message", "seconds"});
    (void)answer.at("id").integer(id, id);
    if (answer.at("ok").flag()) return seconds_of(answer, request.value("repeat", 0));
    const std::string kind = answer.at("kind").text(), message = answer.at("message").text();
    if (std::ranges::find(kRefusals, kind) != std::end(kRefusals)) throw ConfigError(message);
    throw BackendError(kind + ": " + message);
  }

  static std::vector<std::string> taps_for(const Problem& problem, const TapFilter& wants) {
    if (!wants) return {"*"};
    std::vector<std::string> names;
    for (const TapInfo& tap : tap_table(problem.definition, problem.inputs)) {
      if (const std::string name = to_string(tap.name); wants(name)) names.push_back(name);
    }
    return names;
  }

  Trace read_trace(const TapFilter& wants) const {
    const SafetensorsFile file = read_safetensors(folder_.path() / "out.safetensors");
    Trace trace;
    for (const auto& [name, value] : file.tensors) {
      if (!name.starts_with(kExpected)) continue;
      const std::string tap = name.substr(kExpected.size());
      if (wants && !wants(tap)) continue;
      trace.add(tap, value);
    }
    return trace;
  }

  /// A message shows what its own case made the program say.
  void forget_errors() const { const std::ofstream emptied(folder_.path() / "errors"); }

  /// The last lines that the program wrote to its standard error, in words for a message, or "".
  std::string end_of_errors() const {
    constexpr std::size_t kShown = 2000;
    std::ifstream file(folder_.path() / "errors", std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.size() > kShown) text = "..." + text.substr(text.size() - kShown);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "" : "; its standard error ends:\n" + text;
  }

  std::string name_, command_;
  ChildLimits limits_;
  ScratchFolder folder_;
  std::optional<ChildProcess> child_;  // before the folder that it writes to goes
  std::int64_t asked_ = 0;
  bool computed_double_ = false;
};

}  // namespace

std::unique_ptr<Backend> make_exec_backend(const std::string& name, const ChildLimits& limits) {
  if (name.size() == kPrefix.size()) throw ConfigError("backend \"exec:\": has no command");
  return make_child_backend(name, name.substr(kPrefix.size()), limits);
}

std::unique_ptr<Backend> make_child_backend(const std::string& name, const std::string& command,
                                            const ChildLimits& limits) {
  return std::make_unique<ExecBackend>(name, command, limits);
}

}  // namespace forgecheck
