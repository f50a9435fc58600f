#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <pugixml.hpp>
#include <sstream>

#include "harness/io/atomic_file.h"
#include "harness/report/report.h"
#include "harness/report/text.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Results = std::vector<const Result*>;

void set(pugi::xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name) = printable(value).c_str();
}

void set_seconds(pugi::xml_node node, double seconds) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.6f", seconds);
  node.append_attribute("time") = text.data();
}

/// The element that stands for a verdict; null for a success.
const char* element_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::match:
    case Verdict::undecided:
      return nullptr;
    case Verdict::mismatch:
    case Verdict::untrusted:
    case Verdict::rejected:
      return "failure";
    case Verdict::crashed:
      return "error";
    case Verdict::unsupported:
      return "skipped";
  }
  throw_not_an_enumerator("verdict", verdict);
}

void set_counts(pugi::xml_node node, const Results& results) {
  const auto count = [&](std::string_view element) {
    return std::ranges::count_if(results, [element](const Result* result) {
      const char* own = element_of(result->judgement.verdict);
      return own != nullptr && own == element;
    });
  };
  double seconds = 0;
  for (const Result* result : results) seconds += result->seconds;
  node.append_attribute("tests") = results.size();
  for (const auto& [name, element] :
       {std::pair("failures", "failure"), {"errors", "error"}, {"skipped", "skipped"}}) {
    node.append_attribute(name) = static_cast<long long>(count(element));
  }
  set_seconds(node, seconds);
}

/// "kempnerforge/dense/mha.safetensors" on "golden" is the case "mha" of the class
/// "golden.kempnerforge.dense".
void add_case(pugi::xml_node suite, const Result& result) {
  const std::string what = subject(result);
  std::string folder, name = what;
  if (!result.file.empty() && result.file != result.candidate) {
    const std::size_t end = what.rfind('/') == std::string::npos ? 0 : what.rfind('/');
    folder = (end == 0 ? "" : ".") + what.substr(0, end);
    name = what.substr(end == 0 ? 0 : end + 1);
    name = name.substr(0, name.rfind(".safetensors"));
    std::ranges::replace(folder, '/', '.');
  }
  pugi::xml_node node = suite.append_child("testcase");
  set(node, "classname", result.candidate + folder);
  set(node, "name", name);
  if (!result.file.empty()) set(node, "file", result.file);
  set_seconds(node, result.seconds);

  const Judgement& judgement = result.judgement;
  if (const char* element = element_of(judgement.verdict)) {
    pugi::xml_node outcome = node.append_child(element);
    set(outcome, "type", to_string(judgement.verdict));
    set(outcome, "message", judgement.message);
    if (!is_success(judgement.verdict)) {
      std::ostringstream text;
      print_failure(text, result);
      outcome.text() = printable(text.str()).c_str();
    }
  }
  std::string choices;
  for (const UndecidedChoice& choice : judgement.undecided) {
    choices += choice_text(choice) + "\n";
  }
  if (!choices.empty()) node.append_child("system-out").text() = printable(choices).c_str();
}

}  // namespace

void write_junit_report(const std::filesystem::path& path, const Report& report) {
  Results all;
  std::map<std::string, Results> suites;
  for (const Result& result : report.results) {
    all.push_back(&result);
    suites[result.candidate].push_back(&result);
  }
  pugi::xml_document document;
  pugi::xml_node declaration = document.append_child(pugi::node_declaration);
  declaration.append_attribute("version") = "1.0";
  declaration.append_attribute("encoding") = "UTF-8";
  pugi::xml_node root = document.append_child("testsuites");
  set(root, "name", "forgecheck");
  set_counts(root, all);
  for (const auto& [candidate, results] : suites) {
    pugi::xml_node suite = root.append_child("testsuite");
    set(suite, "name", candidate);
    set_counts(suite, results);
    for (const Result* result : results) add_case(suite, *result);
  }
  std::ostringstream text;
  document.save(text, " ");
  write_atomically(path, text.str());
}

}  // namespace forgecheck
