#include <cmath>

#include "harness/io/atomic_file.h"
#include "harness/report/json_report.h"

namespace forgecheck {

namespace {

using Json = nlohmann::ordered_json;

/// JSON has no infinity: the text "inf" stands for it.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json numbers(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) array.push_back(number(value));
  return array;
}

/// Adds a field unless its value is empty.
template <class Value>
void add_if_any(Json& object, const char* name, const Value& value) {
  if (!value.empty()) object[name] = value;
}

Json to_json(const FirstDivergence& first) {
  Json object = {{"tap", first.tap},
                 {"local_error", number(first.local_error)},
                 {"inherited_error", number(first.inherited_error)},
                 {"tolerance", number(first.tolerance)}};
  add_if_any(object, "after", first.after);
  add_if_any(object, "between", first.between);
  Json operation = Json::object();
  add_if_any(operation, "formula", first.operation.formula);
  add_if_any(operation, "source", first.operation.source);
  add_if_any(operation, "upstream", first.operation.upstream);
  add_if_any(object, "operation", operation);
  if (const auto& worst = first.worst) {
    object["worst"] = {
        {"index", worst->index}, {"candidate", number(worst->candidate)}, {"oracle", number(worst->oracle)}};
  }
  add_if_any(object, "hint", first.hint);
  add_if_any(object, "note", first.note);
  if (!first.histogram.empty()) {
    object["histogram"] = {{"edges", kShareEdges}, {"counts", first.histogram}};
  }
  if (const ErrorMap& map = first.map; !map.shares.empty()) {
    object["map"] = {{"rows", map.rows},
                     {"columns", map.columns},
                     {"cell_height", map.cell_height},
                     {"cell_width", map.cell_width},
                     {"shares", numbers(map.shares)}};
  }
  return object;
}

Json to_json(const UndecidedChoice& choice) {
  return {{"tap", choice.tap},
          {"token", choice.row},
          {"candidate", choice.candidate},
          {"oracle", choice.oracle},
          {"margin", number(choice.margin)},
          {"bound", number(choice.bound)}};
}

Json to_json(const TapResult& tap) {
  Json object = {{"name", tap.name},
                 {"verdict", to_string(tap.verdict)},
                 {"error", number(tap.error)},
                 {"tolerance", number(tap.tolerance)},
                 {"used", number(tap.used)}};
  add_if_any(object, "message", tap.message);
  if (tap.local != 0) object["local"] = number(tap.local);
  if (tap.inherited != 0) object["inherited"] = number(tap.inherited);
  return object;
}

Json to_json(const Result& result) {
  const Judgement& judgement = result.judgement;
  Json undecided = Json::array(), taps = Json::array();
  for (const UndecidedChoice& choice : judgement.undecided) undecided.push_back(to_json(choice));
  for (const TapResult& tap : judgement.taps) taps.push_back(to_json(tap));
  Json object = {{"case", result.case_line}};
  add_if_any(object, "file", result.file);
  object["candidate"] = result.candidate;
  add_if_any(object, "producer", result.producer);
  add_if_any(object, "dtype", result.dtype);
  const auto& first = judgement.first_divergence;
  object.update({{"oracle", result.oracle},
                 {"verdict", to_string(judgement.verdict)},
                 {"used", number(judgement.used)},
                 {"first_divergence", first ? to_json(*first) : Json(nullptr)},
                 {"undecided", undecided},
                 {"message", judgement.message}});
  add_if_any(object, "notes", judgement.notes);
  object.update({{"repeat", result.repeat}, {"seconds", number(result.seconds)}, {"taps", taps}});
  return object;
}

}  // namespace

nlohmann::ordered_json json_document(const Report& report) {
  Json results = Json::array(), summary = Json::object();
  for (const Result& result : report.results) results.push_back(to_json(result));
  for (const auto& [verdict, count] : count_verdicts(report.results)) summary[to_string(verdict)] = count;
  return {{"schema", 1},
          {"tool", {{"name", "forgecheck"}, {"version", FORGECHECK_VERSION}}},
          {"command", report.command},
          {"results", results},
          {"summary", summary}};
}

void write_json_report(const std::filesystem::path& path, const Report& report) {
  write_atomically(path, json_document(report).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace forgecheck
