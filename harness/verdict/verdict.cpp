#include "harness/verdict/verdict.h"

#include "reference/enum_table.h"

namespace forgecheck {

static_assert(is_complete<kVerdicts>());

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
  throw_not_an_enumerator("verdict", verdict);
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
  throw_not_an_enumerator("verdict", verdict);
}

}  // namespace

Verdict worse(Verdict a, Verdict b) {
  return severity(a) < severity(b) ? b : a;
}

bool is_success(Verdict verdict) {
  switch (verdict) {
    case Verdict::match:
    case Verdict::undecided:
    case Verdict::unsupported:
      return true;
    case Verdict::mismatch:
    case Verdict::untrusted:
    case Verdict::rejected:
    case Verdict::crashed:
      return false;
  }
  throw_not_an_enumerator("verdict", verdict);
}

}  // namespace forgecheck
