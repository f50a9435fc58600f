// The one-line text of a case. One that is accepted must survive being written and read again.
#include <cstdlib>

#include "harness/case/case.h"
#include "tests/parsers/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return forgecheck::parses_or_refuses(data, size, [](const std::string& text) {
    const std::string line = forgecheck::case_text(forgecheck::parse_case_text(text));
    if (forgecheck::case_text(forgecheck::parse_case_text(line)) != line) std::abort();
  });
}
