// The page: complete, self-contained, and with a report in it that cannot break out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "harness/report/page/page.h"
#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using Json = nlohmann::json;

const std::string kBefore = "<script type=\"application/json\" id=\"report\">";

/// The text between the tags of the embedded report.
std::string embedded(const std::string& page) {
  const std::size_t start = page.find(kBefore) + kBefore.size();
  return page.substr(start, page.find("</script>", start) - start);
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(HtmlReport, ThePageHasOnePlaceForTheReport) {
  for (const std::string_view place : {kReportPlace, kOpenPlace}) {
    EXPECT_EQ(occurrences(std::string(kPage), std::string(place)), 1U);
    EXPECT_EQ(occurrences(written(write_html_report, {}), std::string(place)), 0U);
  }
}

TEST(HtmlReport, ThePageIsMadeOfAllItsParts) {
  const std::filesystem::path folder = FORGECHECK_SOURCE_DIR "/harness/report/page";
  std::size_t parts = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".js" && entry.path().extension() != ".css") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_NE(kPage.find(text), std::string_view::npos) << entry.path();
    ++parts;
  }
  EXPECT_EQ(parts, 6U);
  EXPECT_EQ(std::string(kPage).find("_js@"), std::string::npos);
}

TEST(HtmlReport, LoadsNothing) {
  std::string page(kPage);
  EXPECT_NE(
      page.find("content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\""),
      std::string::npos);
  page = std::regex_replace(page, std::regex("http://www\\.w3\\.org/2000/svg"), "");  // a name, not a place
  for (const std::string what :
       {"http:", "https:", "src=", "<link", "@import", "url(", "fetch(", "import("}) {
    EXPECT_EQ(page.find(what), std::string::npos) << what;
  }
}

TEST(HtmlReport, HasTheReportInIt) {
  const Report report = {{"forgecheck", "verify"}, {full_result(), result_with(Verdict::match)}};
  const Json json = Json::parse(embedded(written(write_html_report, report)));
  EXPECT_EQ(json.at("command"), Json({"forgecheck", "verify"}));
  ASSERT_EQ(json.at("results").size(), 2U);
  const Json& first = json.at("results").at(0).at("first_divergence");
  EXPECT_EQ(first.at("between").size(), 2U);
  EXPECT_EQ(first.at("local_error"), "inf");
  EXPECT_EQ(json.at("summary"), Json::parse(R"({"match": 1, "mismatch": 1})"));
}

TEST(HtmlReport, OpensOnTheFirstFailureElseOnTheFirstResult) {
  const Result match = result_with(Verdict::match), undecided = result_with(Verdict::undecided);
  const auto opened = [](std::vector<Result> results) {
    const std::string page = written(write_html_report, {{}, std::move(results)});
    const std::string before = " data-open=\"";
    const std::size_t start = page.find(before) + before.size();
    return page.substr(start, page.find('"', start) - start);
  };
  EXPECT_EQ(opened({match, undecided, full_result(), result_with(Verdict::crashed)}), "2");
  EXPECT_EQ(opened({match, undecided}), "0");
  EXPECT_EQ(opened({}), "");
  EXPECT_NE(kPage.find("document.body.dataset.open"), std::string_view::npos) << "the script reads it";
}

TEST(HtmlReport, ShowsTheNotes) {
  const Json json = Json::parse(embedded(written(write_html_report, {{}, {noted_result({"a note"})}})));
  EXPECT_EQ(json.at("results").at(0).at("notes"), Json({"a note"}));
  EXPECT_NE(kPage.find("result.notes"), std::string_view::npos) << "the script shows them";
}

TEST(HtmlReport, SaysWhereEveryTapStandsThatItNames) {
  Result result = result_with(Verdict::mismatch);
  for (const char* name :
       {"norm", "layers.10.attn.q_proj.image", "cross_attention_layers.0", "my_layers.0.x"}) {
    TapResult tap;
    tap.name = name;
    result.judgement.taps.push_back(tap);
  }
  result.judgement.first_divergence = FirstDivergence();
  result.judgement.first_divergence->between = {"layers.2.mlp.hidden", "token_embedding"};
  const Json places = Json::parse(embedded(written(write_html_report, {{}, {result}}))).at("places");
  EXPECT_EQ(places.at("layers.10.attn.q_proj.image"), Json({"layers", 10, "attn.q_proj.image"}));
  EXPECT_EQ(places.at("cross_attention_layers.0"), Json({"cross_attention_layers", 0, ""}));
  EXPECT_EQ(places.at("layers.2.mlp.hidden"), Json({"layers", 2, "mlp.hidden"}));
  EXPECT_FALSE(places.contains("norm") || places.contains("token_embedding") ||
               places.contains("my_layers.0.x"));
}

/// The page asks the report; it reads no name itself.
TEST(HtmlReport, ThePagesScriptReadsNoNames) {
  EXPECT_EQ(occurrences(std::string(kPage), "name.match("), 0U);
  EXPECT_EQ(occurrences(std::string(kPage), "layers)"), 0U);
  EXPECT_GT(occurrences(std::string(kPage), "placeOf("), 2U);
}

TEST(HtmlReport, NumbersHaveAsManyDigitsAsThePageShows) {
  const Json json = Json::parse(embedded(written(write_html_report, {{}, {full_result()}})));
  const Json& first = json.at("results").at(0).at("first_divergence");
  EXPECT_EQ(first.at("map").at("shares"), Json({0.0, 0.1, 0.3333, 1e300, "inf", 5e-324}));
  EXPECT_EQ(first.at("worst").at("candidate"), 0.333333333);
}

TEST(HtmlReport, NoTextCanEndTheScript) {
  Result result = full_result();
  result.judgement.message = "</script><script>alert(1)</script><!-- <script>";
  const std::string page = written(write_html_report, {{"<!--"}, {result}});
  EXPECT_EQ(occurrences(page, "</script>"), occurrences(std::string(kPage), "</script>"));
  EXPECT_EQ(occurrences(page, "<!--"), occurrences(std::string(kPage), "<!--"));
  const std::string text = embedded(page);
  EXPECT_EQ(text.find('<'), std::string::npos);
  EXPECT_EQ(Json::parse(text).at("results").at(0).at("message"), result.judgement.message);
}

}  // namespace
}  // namespace forgecheck
