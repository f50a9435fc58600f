#include "harness/verdict/verdict.h"

namespace forgecheck {

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::match:
      return "match";
    case Verdict::undecided:
      return "undecided";
    case Verdict::mismatch:
      return "mismatch";
    case Verdict::untrusted:
      return "untrusted";
    case Verdict::rejected:
      return "rejected";
    case Verdict::crashed:
      return "crashed";
    case Verdict::unsupported:
      return "unsupported";
  }
  return "mismatch";
}

bool is_success(Verdict verdict) {
  return verdict == Verdict::match || verdict == Verdict::undecided || verdict == Verdict::unsupported;
}

}  // namespace forgecheck
