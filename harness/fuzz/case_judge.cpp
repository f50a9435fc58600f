#include "harness/fuzz/case_judge.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <span>

#include "harness/backend/answers.h"
#include "harness/tap/tap_kind.h"
#include "harness/verdict/judge_backend.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

FuzzOutcome outcome_of(const std::string& candidate, const Judgement& judgement,
                       const Architecture& architecture) {
  FuzzOutcome outcome{candidate, judgement.verdict, judgement.used, "", "", "", ""};
  if (!is_success(judgement.verdict)) outcome.message = judgement.message;
  if (judgement.first_divergence) {
    outcome.tap = judgement.first_divergence->tap;
    outcome.family = tap_family(outcome.tap, architecture);
    outcome.hint = judgement.first_divergence->hint;
  }
  return outcome;
}

/// A match if reading the line is refused for what is wrong with it.
FuzzOutcome refusal_outcome(const FuzzTask& task) {
  FuzzOutcome outcome{.candidate = "validate"};
  std::string said = "it is accepted";
  try {
    (void)parse_case_text(task.line);
  } catch (const ConfigError& error) {
    said = error.what();
    const auto names = [&](const std::string& word) { return said.find(word) != std::string::npos; };
    if (names(task.refused->field) && names(task.refused->value)) return outcome;
  } catch (const std::exception& error) {
    said = std::string("another kind of error: ") + error.what();
  }
  outcome.verdict = Verdict::mismatch;
  outcome.message =
      fmt::format("must be refused for {} = {}: {}", task.refused->field, task.refused->value, said);
  outcome.family = task.refused->field;
  return outcome;
}

/// What comes of each check of the case. A case that a backend refuses is `rejected`.
nlohmann::json outcomes_of(const std::string& line, std::span<const CaseCheck> checks) {
  Problem problem;
  const Judgement made = judged_or_failure([&] {
    problem = seeded_problem(parse_case_text(line));
    return Judgement();
  });
  nlohmann::json outcomes = nlohmann::json::array();
  for (const CaseCheck& check : checks) {
    const Judgement judgement = is_success(made.verdict) ? check.judge(problem) : made;
    outcomes.push_back(to_json(outcome_of(check.name, judgement, problem.definition.architecture)));
  }
  return outcomes;
}

nlohmann::json fuzz_answer_to(const JsonValue& request, std::span<const CaseCheck> checks) {
  const std::string line = request.at("case").text();
  if (const auto refused = request.find("refused")) {
    const FuzzTask task{line, InvalidCase{line, refused->at("field").text(), refused->at("value").text()}};
    return nlohmann::json::array({to_json(refusal_outcome(task))});
  }
  if (const auto only = request.find("only")) {
    checks = checks.subspan(static_cast<std::size_t>(only->integer(0, std::ssize(checks) - 1)), 1);
  }
  return outcomes_of(line, checks);
}

}  // namespace

int serve_case_judge(const std::vector<CaseCheck>& checks) {
  std::FILE* const answers = take_standard_output();
  std::string line;
  while (std::getline(std::cin, line)) {
    const JsonDocument request = parse_json(line, "request");
    // What a backend says may not be text.
    const std::string answer =
        fuzz_answer_to(request.root(), checks).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    fmt::print(answers, "{}\n", answer);
    std::fflush(answers);
  }
  return 0;
}

std::vector<FuzzOutcome> CaseJudge::ask(const FuzzTask& task, std::optional<std::size_t> only) {
  if (!child_) child_.emplace(command_, folder_.path() / "errors");
  nlohmann::json request = {{"case", task.line}};
  if (task.refused) request["refused"] = {{"field", task.refused->field}, {"value", task.refused->value}};
  if (only) request["only"] = *only;
  child_->send(request.dump());
  const JsonDocument document = parse_json(child_->receive(limits_), "the judge's answer");
  std::vector<FuzzOutcome> outcomes;
  for (const JsonValue& outcome : document.root().items()) outcomes.push_back(read_outcome(outcome));
  return outcomes;
}

std::vector<FuzzOutcome> CaseJudge::judge(const FuzzTask& task) {
  const auto ask_or_crash = [&](std::optional<std::size_t> only) -> std::optional<std::vector<FuzzOutcome>> {
    try {
      return ask(task, only);
    } catch (const Error& error) {
      child_.reset();
      const std::string candidate = task.refused ? "validate" : candidates_[only.value_or(0)];
      if (candidates_.size() > 1 && !only && !task.refused) return std::nullopt;
      return std::vector<FuzzOutcome>{
          {candidate, Verdict::crashed, 0.0, fmt::format("its process {}", error.what()), "", "", ""}};
    }
  };
  if (auto outcomes = ask_or_crash(std::nullopt)) return *std::move(outcomes);
  std::vector<FuzzOutcome> outcomes;
  for (std::size_t i = 0; i < candidates_.size(); ++i) outcomes.push_back(ask_or_crash(i)->front());
  return outcomes;
}

}  // namespace forgecheck
