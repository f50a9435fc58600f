#include <algorithm>
#include <cstdlib>

#include "harness/io/atomic_file.h"
#include "harness/report/json_report.h"
#include "harness/report/page/page.h"
#include "harness/report/text.h"
#include "harness/tap/tap_name.h"

namespace forgecheck {

namespace {

using Json = nlohmann::ordered_json;

/// Rounds every number in place: the page shows no more digits, and most of its size is numbers.
void shorten(Json& value, int digits) {
  if (value.is_number_float()) {
    value = std::strtod(short_number(value.get<double>(), digits).c_str(), nullptr);
  } else if (value.is_structured()) {
    for (auto& [key, member] : value.items()) shorten(member, key == "worst" ? 9 : digits);
  }
}

/// The index of the first failure, else of the first result; "" without any.
std::string opened_on(const std::vector<Result>& results) {
  if (results.empty()) return "";
  const auto failure = std::ranges::find_if(
      results, [](const Result& result) { return !is_success(result.judgement.verdict); });
  return std::to_string(failure == results.end() ? 0 : failure - results.begin());
}

/// The place of each tap inside a block: {"layers.3.attention.q_proj": ["layers", 3, "attention.q_proj"]},
/// for every tap that the report names. The page draws its map of modules from this.
Json places(const Report& report) {
  Json places = Json::object();
  const auto add = [&places](const std::string& name) {
    if (const auto block = block_of(name))
      places[name] = {to_string(block->kind), block->index, block->inside};
  };
  for (const Result& result : report.results) {
    for (const TapResult& tap : result.judgement.taps) add(tap.name);
    const auto& first = result.judgement.first_divergence;
    if (!first) continue;
    for (const std::string& name : first->between) add(name);
  }
  return places;
}

}  // namespace

void write_html_report(const std::filesystem::path& path, const Report& report) {
  Json document = json_document(report);
  shorten(document, 4);
  document["places"] = places(report);
  // A string in a page may end the script or open a comment. "<" occurs only in strings, where \u003c means
  // the same.
  std::string json;
  for (const char c : document.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<') {
      json += "\\u003c";
    } else {
      json += c;
    }
  }
  const std::size_t open = kPage.find(kOpenPlace), place = kPage.find(kReportPlace);
  const std::size_t after_open = open + kOpenPlace.size();
  AtomicFile file(path);
  file.write(kPage.substr(0, open));
  file.write(opened_on(report.results));
  file.write(kPage.substr(after_open, place - after_open));
  file.write(json);
  file.write(kPage.substr(place + kReportPlace.size()));
  file.commit();
}

}  // namespace forgecheck
