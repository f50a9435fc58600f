#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "harness/io/strict_json.h"
#include "harness/report/json_report.h"
#include "reference/error.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

/// JSON has no infinity: the report writes the texts "inf", "-inf" and "nan".
double number_of(const JsonValue& field) {
  if (field.json().is_number()) return field.number();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (field.json() == "inf") return kInfinity;
  if (field.json() == "-inf") return -kInfinity;
  if (field.json() == "nan") return std::numeric_limits<double>::quiet_NaN();
  field.expect(R"(a number, "inf", "-inf" or "nan")");
}

std::vector<std::string> verdict_names() {
  std::vector<std::string> names;
  for (const Verdict verdict : kVerdicts) names.push_back(to_string(verdict));
  return names;
}

Verdict verdict_of(const JsonValue& field) {
  const std::string name = field.text_among(verdict_names());
  return *std::ranges::find(kVerdicts, name, [](Verdict verdict) { return to_string(verdict); });
}

std::vector<std::string> texts_of(const JsonValue& field) {
  std::vector<std::string> result;
  for (const JsonValue& item : field.items()) result.push_back(item.text());
  return result;
}

std::vector<double> numbers_of(const JsonValue& field) {
  std::vector<double> result;
  for (const JsonValue& item : field.items()) result.push_back(number_of(item));
  return result;
}

std::vector<std::int64_t> integers_of(const JsonValue& field) {
  std::vector<std::int64_t> result;
  for (const JsonValue& item : field.items()) result.push_back(item.integer());
  return result;
}

std::string text_if_any(const JsonValue& field, const std::string& key) {
  const std::optional<JsonValue> member = field.find(key);
  return member ? member->text() : "";
}

double number_if_any(const JsonValue& field, const std::string& key) {
  const std::optional<JsonValue> member = field.find(key);
  return member ? number_of(*member) : 0.0;
}

ShareHistogram read_histogram(const JsonValue& field) {
  field.require_keys({"edges", "counts"});
  if (!std::ranges::equal(numbers_of(field.at("edges")), kShareEdges)) {
    field.at("edges").expect(fmt::format("this version's edges, {}", fmt::join(kShareEdges, ", ")));
  }
  ShareHistogram histogram;
  for (const JsonValue& count : field.at("counts").items()) {
    histogram.push_back(static_cast<std::size_t>(count.integer(0)));
  }
  if (histogram.size() != std::size(kShareEdges) + 1) {
    field.at("counts").expect(fmt::format("{} counts", std::size(kShareEdges) + 1));
  }
  return histogram;
}

ErrorMap read_map(const JsonValue& field) {
  field.require_keys({"rows", "columns", "cell_height", "cell_width", "shares"});
  ErrorMap map;
  map.rows = field.at("rows").integer(1);
  map.columns = field.at("columns").integer(1);
  map.cell_height = field.at("cell_height").integer(1);
  map.cell_width = field.at("cell_width").integer(1);
  map.shares = numbers_of(field.at("shares"));
  const auto size = static_cast<std::int64_t>(map.shares.size());
  if (size % map.rows != 0 || size / map.rows != map.columns) {
    field.at("shares").expect("rows * columns shares");
  }
  return map;
}

FirstDivergence read_divergence(const JsonValue& field) {
  field.require_keys({"tap", "local_error", "inherited_error", "tolerance", "after", "between", "operation",
                      "worst", "hint", "note", "histogram", "map"});
  FirstDivergence first;
  first.tap = field.at("tap").text();
  first.local_error = number_of(field.at("local_error"));
  first.inherited_error = number_of(field.at("inherited_error"));
  first.tolerance = number_of(field.at("tolerance"));
  first.after = text_if_any(field, "after");
  if (const auto between = field.find("between")) first.between = texts_of(*between);
  if (const auto operation = field.find("operation")) {
    operation->require_keys({"formula", "source", "upstream"});
    first.operation = {text_if_any(*operation, "formula"), text_if_any(*operation, "source"),
                       text_if_any(*operation, "upstream")};
  }
  if (const auto worst = field.find("worst")) {
    worst->require_keys({"index", "candidate", "oracle"});
    first.worst = {integers_of(worst->at("index")), number_of(worst->at("candidate")),
                   number_of(worst->at("oracle"))};
  }
  first.hint = text_if_any(field, "hint");
  first.note = text_if_any(field, "note");
  if (const auto histogram = field.find("histogram")) first.histogram = read_histogram(*histogram);
  if (const auto map = field.find("map")) first.map = read_map(*map);
  return first;
}

UndecidedChoice read_undecided(const JsonValue& field) {
  field.require_keys({"tap", "token", "candidate", "oracle", "margin", "bound"});
  return {field.at("tap").text(),          field.at("token").integer(),   integers_of(field.at("candidate")),
          integers_of(field.at("oracle")), number_of(field.at("margin")), number_of(field.at("bound"))};
}

TapResult read_tap(const JsonValue& field) {
  field.require_keys({"name", "verdict", "error", "tolerance", "used", "message", "local", "inherited"});
  return {field.at("name").text(),          verdict_of(field.at("verdict")),  number_of(field.at("error")),
          number_of(field.at("tolerance")), number_of(field.at("used")),      text_if_any(field, "message"),
          number_if_any(field, "local"),    number_if_any(field, "inherited")};
}

Result read_result(const JsonValue& field) {
  field.require_keys({"case", "file", "candidate", "producer", "dtype", "oracle", "verdict", "used",
                      "first_divergence", "undecided", "message", "notes", "repeat", "seconds", "taps"});
  Result result;
  result.case_line = field.at("case").text();
  result.file = text_if_any(field, "file");
  result.candidate = field.at("candidate").text();
  result.producer = text_if_any(field, "producer");
  result.dtype = text_if_any(field, "dtype");
  result.oracle = field.at("oracle").text();
  Judgement& judgement = result.judgement;
  judgement.verdict = verdict_of(field.at("verdict"));
  judgement.used = number_of(field.at("used"));
  const JsonValue first = field.at("first_divergence");
  if (!first.is_null()) judgement.first_divergence = read_divergence(first);
  for (const JsonValue& choice : field.at("undecided").items()) {
    judgement.undecided.push_back(read_undecided(choice));
  }
  judgement.message = field.at("message").text();
  if (const auto notes = field.find("notes")) judgement.notes = texts_of(*notes);
  result.repeat = field.at("repeat").text();
  result.seconds = number_of(field.at("seconds"));
  for (const JsonValue& tap : field.at("taps").items()) judgement.taps.push_back(read_tap(tap));
  return result;
}

/// The summary must agree with the results; it does not where a report was cut or edited.
void check_summary(const JsonValue& field, const std::vector<Result>& results) {
  field.require_keys(verdict_names());
  for (const auto& [verdict, count] : count_verdicts(results)) (void)field.at(to_string(verdict));
  for (const Verdict verdict : kVerdicts) {
    const std::optional<JsonValue> said = field.find(to_string(verdict));
    const auto count =
        std::ranges::count(results, verdict, [](const Result& result) { return result.judgement.verdict; });
    if (said && said->integer() != count) said->expect(fmt::format("{} as in the results", count));
  }
}

}  // namespace

Report read_json_report(const std::filesystem::path& path) {
  const JsonDocument document = read_json(path);
  const JsonValue field = document.root();
  field.at("schema").require_schema(1);
  field.require_keys({"schema", "tool", "command", "results", "summary"});
  const JsonValue tool = field.at("tool");
  tool.require_keys({"name", "version"});
  (void)tool.at("name").text_among({"forgecheck"});
  (void)tool.at("version").text();
  Report report;
  report.command = texts_of(field.at("command"));
  for (const JsonValue& result : field.at("results").items()) report.results.push_back(read_result(result));
  check_summary(field.at("summary"), report.results);
  return report;
}

}  // namespace forgecheck
