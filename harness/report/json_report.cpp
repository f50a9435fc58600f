#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/io/atomic_file.h"
#include "harness/report/report.h"

namespace forgecheck {

namespace {

using Json = nlohmann::ordered_json;

/// JSON has no infinity: the text "inf" stands for it.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json to_json(const Result& result) {
  const Judgement& judgement = result.judgement;
  Json divergence = nullptr;
  if (const auto& first = judgement.first_divergence) {
    divergence = {{"tap", first->tap},
                  {"local_error", number(first->local_error)},
                  {"inherited_error", number(first->inherited_error)},
                  {"tolerance", number(first->tolerance)}};
  }
  Json undecided = Json::array();
  for (const UndecidedChoice& choice : judgement.undecided) {
    undecided.push_back({{"tap", choice.tap},
                         {"token", choice.row},
                         {"candidate", choice.candidate},
                         {"oracle", choice.oracle},
                         {"margin", number(choice.margin)},
                         {"bound", number(choice.bound)}});
  }
  Json taps = Json::array();
  for (const TapResult& tap : judgement.taps) {
    Json row = {{"name", tap.name},
                {"verdict", to_string(tap.verdict)},
                {"error", number(tap.error)},
                {"tolerance", number(tap.tolerance)},
                {"used", number(tap.used)}};
    if (!tap.message.empty()) row["message"] = tap.message;
    taps.push_back(std::move(row));
  }
  Json object = {{"case", result.case_line}};
  if (!result.file.empty()) object["file"] = result.file;
  object.update({{"candidate", result.candidate},
                 {"oracle", result.oracle},
                 {"verdict", to_string(judgement.verdict)},
                 {"used", number(judgement.used)},
                 {"first_divergence", divergence},
                 {"undecided", undecided},
                 {"message", judgement.message},
                 {"repeat", result.repeat},
                 {"seconds", number(result.seconds)},
                 {"taps", taps}});
  return object;
}

}  // namespace

void write_json_report(const std::filesystem::path& path, const Report& report) {
  Json results = Json::array();
  for (const Result& result : report.results) results.push_back(to_json(result));
  Json summary = Json::object();
  for (const auto& [verdict, count] : count_verdicts(report.results)) summary[to_string(verdict)] = count;
  const Json document = {{"schema", 1},
                         {"tool", {{"name", "forgecheck"}, {"version", FORGECHECK_VERSION}}},
                         {"command", report.command},
                         {"results", results},
                         {"summary", summary}};
  write_atomically(path, document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace forgecheck
