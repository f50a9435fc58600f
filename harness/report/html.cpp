#include <algorithm>
#include <cstdlib>

#include "harness/io/atomic_file.h"
#include "harness/report/json_report.h"
#include "harness/report/page/page.h"
#include "harness/report/text.h"

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

}  // namespace

void write_html_report(const std::filesystem::path& path, const Report& report) {
  Json document = json_document(report);
  shorten(document, 4);
  // In a page a text may end the script or open a comment. "<" stands only in texts, where \u003c means it
  // too.
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
