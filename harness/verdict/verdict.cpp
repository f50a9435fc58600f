#include "harness/verdict/verdict.h"

#include <stdexcept>

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
  throw std::logic_error("a verdict without a name");
}

namespace {

int severity(Verdict verdict) {
  switch (verdict) {
    case Verdict::match:
      return 0;
    case Verdict::undecided:
      return 1;
    case Verdict::unsupported:
      return 2;
    case Verdict::untrusted:
      return 3;
    case Verdict::mismatch:
      return 4;
    case Verdict::rejected:
      return 5;
    case Verdict::crashed:
      return 6;
  }
  throw std::logic_error("a verdict without severity");
}

}  // namespace

Verdict worse(Verdict a, Verdict b) {
  return severity(a) < severity(b) ? b : a;
}

bool is_success(Verdict verdict) {
  return verdict == Verdict::match || verdict == Verdict::undecided || verdict == Verdict::unsupported;
}

}  // namespace forgecheck
