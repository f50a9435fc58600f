// What a campaign's own processes and programs answer.
#include "harness/fuzz/outcome.h"
#include "tests/parsers/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return forgecheck::parses_or_refuses(data, size, [](const std::string& text) {
    const forgecheck::JsonDocument document = forgecheck::parse_json(text, "answer");
    for (const forgecheck::JsonValue& outcome : document.root().items())
      (void)forgecheck::read_outcome(outcome);
  });
}
