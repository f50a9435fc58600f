// A .safetensors file, and what a golden file says of it.
#include <unistd.h>

#include <fstream>

#include "harness/golden/golden_file.h"
#include "tests/parsers/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/tmp/parse_safetensors." + std::to_string(getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return forgecheck::parses_or_refuses(
      data, size, [](const std::string&) { (void)forgecheck::read_golden(path, "fuzzed"); });
}
