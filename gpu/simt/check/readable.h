// The constants of the program: tables, literals.
#pragma once

namespace simt::check {

/// Whether the address lies in a read-only part of the program or of a library.
bool in_constants(const void* address);

}  // namespace simt::check
