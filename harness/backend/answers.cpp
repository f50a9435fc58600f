#include "harness/backend/answers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "harness/golden/golden_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

nlohmann::json answer_to(const Answer& answer, const std::string& line) {
  const JsonDocument document = parse_json(line, "request");
  const JsonValue request = document.root();
  const std::int64_t id = request.at("id").integer();
  std::vector<std::string> wanted;
  for (const JsonValue& tap : request.at("taps").items()) wanted.push_back(tap.text());
  try {
    write_safetensors(request.at("out").text(), answer(request.at("case").text(), std::move(wanted)), {});
  } catch (const ConfigError& refusal) {
    return {{"id", id}, {"ok", false}, {"kind", "ConfigError"}, {"message", refusal.what()}};
  } catch (const Error& error) {
    return {{"id", id}, {"ok", false}, {"kind", "Error"}, {"message", error.what()}};
  }
  return {{"id", id}, {"ok", true}};
}

}  // namespace

std::FILE* take_standard_output() {
  std::FILE* const answers = ::fdopen(::dup(STDOUT_FILENO), "w");
  if (answers == nullptr || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    throw BackendError("standard output is closed");
  }
  return answers;
}

int serve_requests(const Answer& answer) {
  std::FILE* const answers = take_standard_output();
  std::string line;
  while (std::getline(std::cin, line)) {
    fmt::print(answers, "{}\n", answer_to(answer, line).dump());
    std::fflush(answers);
  }
  return 0;
}

int serve_backend(Backend& backend) {
  return serve_requests([&](const std::filesystem::path& file, const std::vector<std::string>& wanted) {
    Golden golden = read_request(file, file.string());
    load_weights(golden);
    if (const std::string refusal = backend.refusal(golden.problem.definition); !refusal.empty()) {
      throw ConfigError(refusal);
    }
    const bool all = wanted == std::vector<std::string>{"*"};
    const Trace trace = backend.run(golden.problem, [&](std::string_view tap) {
      return all || std::ranges::find(wanted, tap) != wanted.end();
    });
    std::map<std::string, Array> tensors;
    for (const auto& [name, value] : trace.entries()) tensors.emplace(std::string(kExpected) + name, value);
    return tensors;
  });
}

}  // namespace forgecheck
