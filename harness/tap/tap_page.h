// The table of taps as text: lines for a terminal, JSON, and the page docs/taps.md.
#pragma once

#include <string>
#include <vector>

#include "harness/tap/tap_table.h"

namespace forgecheck {

/// A line a tap, aligned: name, shape as numbers and as letters, type, meaning.
std::string tap_lines(const std::vector<TapInfo>& taps);

/// {"schema": 1, "case": ..., "taps": [{"name", "block", "index", "modality", "shape", "letters", "type",
/// "meaning"}]}; block, index and modality only where the name has them.
std::string tap_json(const std::string& case_line, const std::vector<TapInfo>& taps);

/// The page docs/taps.md: every tap of every architecture and run, from cases that have every option on.
std::string tap_page();

}  // namespace forgecheck
