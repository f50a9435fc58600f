// A configuration file.
#include <unistd.h>

#include <fstream>

#include "harness/io/toml_config.h"
#include "tests/parsers/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/tmp/parse_toml." + std::to_string(getpid());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  return forgecheck::parses_or_refuses(data, size,
                                       [](const std::string&) { (void)forgecheck::load_toml_config(path); });
}
