// What every target shares: bytes go in, and whatever is wrong with them must come out as one of our errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "reference/error.h"

namespace forgecheck {

template <class Parser>
int parses_or_refuses(const std::uint8_t* data, std::size_t size, const Parser& parse) {
  try {
    parse(std::string(reinterpret_cast<const char*>(data), size));
  } catch (const Error&) {
    // refused, as it should be
  }
  return 0;
}

}  // namespace forgecheck
