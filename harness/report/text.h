// Words and numbers that the forms of a report share.
#pragma once

#include <string>
#include <string_view>

#include "harness/report/report.h"

namespace forgecheck {

/// `text` as every form can show it: bytes that are not valid UTF-8, noncharacters, and control characters
/// other than newline and tab become \xNN.
std::string printable(std::string_view text);

/// With that many significant digits: "0.00668", "inf".
std::string short_number(double value, int digits = 3);

/// "1 golden", "2 goldens".
std::string counted(std::size_t count, std::string_view noun);

/// A share of a tolerance as a percentage: "53 %", "0.32 %", "2.68e+05 %", "infinite".
std::string percent(double share);

/// The tap that used the largest share of a tolerance; "" where none was used.
std::string worst_tap(const Judgement& judgement);

/// What was judged: the golden's file, else the case, else the candidate.
std::string subject(const Result& result);

/// "moe/top2.safetensors on cpu:openblas"; only the candidate where it is what was judged.
std::string comparison(const Result& result);

/// "layers.1.mlp; the tap before it, layers.1.mlp_norm, is right", and which modules in between the trace
/// does not show.
std::string place(const FirstDivergence& first);

/// "[0, 3, 5]: candidate 1.25, oracle 1.5".
std::string element_text(const WorstElement& worst);

/// "undecided: layers.0.mlp.router.indices of token 4, margin 1e-09, bound 1e-07".
std::string choice_text(const UndecidedChoice& choice);

/// The name of a bin of a ShareHistogram: "none", "to 0.01", ..., "above 100".
std::string bin_label(std::size_t bin);

}  // namespace forgecheck
