// The JSON of a case, as it stands in the metadata of a golden file.
#include <cstdlib>

#include "harness/case/case.h"
#include "tests/parsers/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return forgecheck::parses_or_refuses(data, size, [](const std::string& text) {
    const std::string json = forgecheck::case_json(forgecheck::parse_case_json(text));
    if (forgecheck::case_json(forgecheck::parse_case_json(json)) != json) std::abort();
  });
}
