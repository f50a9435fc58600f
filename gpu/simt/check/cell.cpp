#include "gpu/simt/check/cell.h"

namespace simt::check {

namespace {

bool conflict(const Access& a, const Access& b) {
  return (a.bytes & b.bytes) != 0 && (a.write || b.write) && !(a.atomic && b.atomic);
}

/// Whatever conflicts with `old` later conflicts with `recent`, too.
bool covers(const Access& recent, const Access& old) {
  return (old.bytes & ~recent.bytes) == 0 && (recent.write || !old.write) && (!recent.atomic || old.atomic);
}

}  // namespace

const Access* remember(Cell& cell, const Access& access, const Clock& clock, unsigned thread, bool shared) {
  Access* place = nullptr;
  for (Access& old : cell.slots) {
    const bool stale = old.bytes == 0 || !(shared ? clock.in_block(old.moment) : clock.in_launch(old.moment));
    const bool ordered = stale || clock.before(old.moment, thread);
    if (!ordered && conflict(old, access)) {
      return &old;
    }
    if (stale || (ordered && covers(access, old))) {
      if (place != nullptr) {
        place->bytes = 0;  // the new access represents both
      }
      place = &old;
    }
  }
  if (place == nullptr) {
    // No room: one is forgotten. Writes are kept before reads.
    place = &cell.slots[(access.moment ^ access.moment >> 16) & 3];
    for (Access& old : cell.slots) {
      place = place->write && !old.write ? &old : place;
    }
  }
  *place = access;
  return nullptr;
}

}  // namespace simt::check
