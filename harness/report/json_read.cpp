#include <algorithm>
#include <limits>
#include <optional>

#include "harness/io/mapped_file.h"
#include "harness/report/json_report.h"
#include "reference/error.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

/// A value of the document with the way to it, which every refusal names.
class Field {
 public:
  Field(const Json& value, const std::string& file, std::string path)
      : value_(&value), file_(&file), path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& rule) const {
    constexpr std::size_t kShown = 60;
    std::string value = value_->dump(-1, ' ', true, Json::error_handler_t::replace);
    if (value.size() > kShown) value = value.substr(0, kShown) + "...";
    throw FormatError(*file_ + ": " + (path_.empty() ? "the report" : path_) + " = " + value + ": " + rule);
  }

  /// A member that must be there.
  Field at(const std::string& key) const {
    if (const std::optional<Field> member = find(key)) return *member;
    throw FormatError(*file_ + ": " + path_of(key) + " is missing");
  }
  /// A member that need not be there.
  std::optional<Field> find(const std::string& key) const {
    const auto member = value_->find(key);
    if (member == value_->end()) return std::nullopt;
    return Field(*member, *file_, path_of(key));
  }
  /// An object without other members than these.
  void require_object(const std::vector<std::string_view>& keys) const {
    if (!value_->is_object()) refuse("must be an object");
    for (const auto& [key, value] : value_->items()) {
      if (std::ranges::find(keys, key) == keys.end())
        Field(value, *file_, path_of(key)).refuse("unknown field");
    }
  }

  bool is_null() const { return value_->is_null(); }
  std::vector<Field> items() const {
    if (!value_->is_array()) refuse("must be a list");
    std::vector<Field> result;
    for (std::size_t i = 0; i < value_->size(); ++i) {
      result.emplace_back((*value_)[i], *file_, path_ + "[" + std::to_string(i) + "]");
    }
    return result;
  }
  std::string text() const {
    if (!value_->is_string()) refuse("must be a text");
    return value_->get<std::string>();
  }
  double number() const {
    if (value_->is_number()) return value_->get<double>();
    if (*value_ == "inf") return kInfinity;
    if (*value_ == "-inf") return -kInfinity;
    if (*value_ == "nan") return std::numeric_limits<double>::quiet_NaN();
    refuse(R"(must be a number, "inf", "-inf" or "nan")");
  }
  std::int64_t integer(std::int64_t smallest = std::numeric_limits<std::int64_t>::min()) const {
    const bool fits = value_->is_number_unsigned()
                          ? value_->get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max()
                          : value_->is_number_integer();
    if (!fits) refuse("must be an integer below 2^63");
    const auto result = value_->get<std::int64_t>();
    if (result < smallest) refuse("must be at least " + std::to_string(smallest));
    return result;
  }
  Verdict verdict() const {
    std::string names;
    for (const Verdict verdict : kVerdicts) {
      if (*value_ == to_string(verdict)) return verdict;
      names += (names.empty() ? "" : ", ") + to_string(verdict);
    }
    refuse("must be one of " + names);
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> result;
    for (const Field& item : items()) result.push_back(item.text());
    return result;
  }
  std::vector<double> numbers() const {
    std::vector<double> result;
    for (const Field& item : items()) result.push_back(item.number());
    return result;
  }
  std::vector<std::int64_t> integers() const {
    std::vector<std::int64_t> result;
    for (const Field& item : items()) result.push_back(item.integer());
    return result;
  }

 private:
  std::string path_of(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  const Json* value_;
  const std::string* file_;
  std::string path_;
};

std::string text_if_any(const Field& field, const std::string& key) {
  const std::optional<Field> member = field.find(key);
  return member ? member->text() : "";
}

double number_if_any(const Field& field, const std::string& key) {
  const std::optional<Field> member = field.find(key);
  return member ? member->number() : 0.0;
}

ShareHistogram read_histogram(const Field& field) {
  field.require_object({"edges", "counts"});
  if (!std::ranges::equal(field.at("edges").numbers(), kShareEdges)) {
    field.at("edges").refuse("are other edges than this version's");
  }
  ShareHistogram histogram;
  for (const Field& count : field.at("counts").items()) {
    histogram.push_back(static_cast<std::size_t>(count.integer(0)));
  }
  if (histogram.size() != std::size(kShareEdges) + 1) {
    field.at("counts").refuse("must be " + std::to_string(std::size(kShareEdges) + 1) + " counts");
  }
  return histogram;
}

ErrorMap read_map(const Field& field) {
  field.require_object({"rows", "columns", "cell_height", "cell_width", "shares"});
  ErrorMap map;
  map.rows = field.at("rows").integer(1);
  map.columns = field.at("columns").integer(1);
  map.cell_height = field.at("cell_height").integer(1);
  map.cell_width = field.at("cell_width").integer(1);
  map.shares = field.at("shares").numbers();
  const auto size = static_cast<std::int64_t>(map.shares.size());
  if (size % map.rows != 0 || size / map.rows != map.columns) {
    field.at("shares").refuse("must be rows * columns shares");
  }
  return map;
}

FirstDivergence read_divergence(const Field& field) {
  field.require_object({"tap", "local_error", "inherited_error", "tolerance", "after", "between", "operation",
                        "worst", "hint", "note", "histogram", "map"});
  FirstDivergence first;
  first.tap = field.at("tap").text();
  first.local_error = field.at("local_error").number();
  first.inherited_error = field.at("inherited_error").number();
  first.tolerance = field.at("tolerance").number();
  first.after = text_if_any(field, "after");
  if (const auto between = field.find("between")) first.between = between->texts();
  if (const auto operation = field.find("operation")) {
    operation->require_object({"formula", "source", "upstream"});
    first.operation = {text_if_any(*operation, "formula"), text_if_any(*operation, "source"),
                       text_if_any(*operation, "upstream")};
  }
  if (const auto worst = field.find("worst")) {
    worst->require_object({"index", "candidate", "oracle"});
    first.worst = {worst->at("index").integers(), worst->at("candidate").number(),
                   worst->at("oracle").number()};
  }
  first.hint = text_if_any(field, "hint");
  first.note = text_if_any(field, "note");
  if (const auto histogram = field.find("histogram")) first.histogram = read_histogram(*histogram);
  if (const auto map = field.find("map")) first.map = read_map(*map);
  return first;
}

UndecidedChoice read_undecided(const Field& field) {
  field.require_object({"tap", "token", "candidate", "oracle", "margin", "bound"});
  return {field.at("tap").text(),        field.at("token").integer(), field.at("candidate").integers(),
          field.at("oracle").integers(), field.at("margin").number(), field.at("bound").number()};
}

TapResult read_tap(const Field& field) {
  field.require_object({"name", "verdict", "error", "tolerance", "used", "message", "local", "inherited"});
  return {field.at("name").text(),        field.at("verdict").verdict(),    field.at("error").number(),
          field.at("tolerance").number(), field.at("used").number(),        text_if_any(field, "message"),
          number_if_any(field, "local"),  number_if_any(field, "inherited")};
}

Result read_result(const Field& field) {
  field.require_object({"case", "file", "candidate", "producer", "dtype", "oracle", "verdict", "used",
                        "first_divergence", "undecided", "message", "repeat", "seconds", "taps"});
  Result result;
  result.case_line = field.at("case").text();
  result.file = text_if_any(field, "file");
  result.candidate = field.at("candidate").text();
  result.producer = text_if_any(field, "producer");
  result.dtype = text_if_any(field, "dtype");
  result.oracle = field.at("oracle").text();
  Judgement& judgement = result.judgement;
  judgement.verdict = field.at("verdict").verdict();
  judgement.used = field.at("used").number();
  const Field first = field.at("first_divergence");
  if (!first.is_null()) judgement.first_divergence = read_divergence(first);
  for (const Field& choice : field.at("undecided").items()) {
    judgement.undecided.push_back(read_undecided(choice));
  }
  judgement.message = field.at("message").text();
  result.repeat = field.at("repeat").text();
  result.seconds = field.at("seconds").number();
  for (const Field& tap : field.at("taps").items()) judgement.taps.push_back(read_tap(tap));
  return result;
}

/// The summary must be that of the results: of a report that was cut or edited it is not.
void check_summary(const Field& field, const std::vector<Result>& results) {
  std::vector<std::string> names;
  for (const Verdict verdict : kVerdicts) names.push_back(to_string(verdict));
  field.require_object({names.begin(), names.end()});
  for (const auto& [verdict, count] : count_verdicts(results)) (void)field.at(to_string(verdict));
  for (const Verdict verdict : kVerdicts) {
    const std::optional<Field> said = field.find(to_string(verdict));
    const auto count =
        std::ranges::count(results, verdict, [](const Result& result) { return result.judgement.verdict; });
    if (said && said->integer() != count) said->refuse("the results say " + std::to_string(count));
  }
}

Json parse(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  const auto* begin = reinterpret_cast<const char*>(file.data.get());
  try {
    return Json::parse(begin, begin + file.size);
  } catch (const Json::parse_error& error) {
    const std::string_view what = error.what();
    throw FormatError(path.string() + ": is not JSON: " + std::string(what.substr(what.find("] ") + 2)));
  }
}

}  // namespace

Report read_json_report(const std::filesystem::path& path) {
  const Json document = parse(path);
  const std::string name = path.string();
  const Field field(document, name, "");
  field.require_object({"schema", "tool", "command", "results", "summary"});
  if (field.at("schema").integer() != 1) field.at("schema").refuse("this version reads schema 1");
  const Field tool = field.at("tool");
  tool.require_object({"name", "version"});
  if (tool.at("name").text() != "forgecheck") tool.at("name").refuse("must be \"forgecheck\"");
  (void)tool.at("version").text();
  Report report;
  report.command = field.at("command").texts();
  for (const Field& result : field.at("results").items()) report.results.push_back(read_result(result));
  check_summary(field.at("summary"), report.results);
  return report;
}

}  // namespace forgecheck
