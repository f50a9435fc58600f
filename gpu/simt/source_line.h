// From an address in the program to its line.
#pragma once

#include <cstdint>
#include <string>

#include "simt/device.h"

namespace simt {

struct SourceLine {
  std::string function;  // without its parameters; the address itself where nothing is known
  std::string place;     // "missing_barrier.cu:17", empty where nothing is known
};

/// Asks addr2line, which every machine with a compiler has: slow, so each address is asked for once.
SourceLine source_line(const void* address);

/// As above, for the instruction before a return address.
SourceLine calling_line(const void* return_address);

/// "0x7f00".
std::string hexadecimal(std::uint64_t value);

/// "reverse.cu:12", without folders.
std::string place(const Where& where);

}  // namespace simt
