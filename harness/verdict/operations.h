// What each tap's module computes, for the person who fixes it.
#pragma once

#include <string>

#include "harness/case/case.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// Formula (as the case's configuration makes it), file of this repository and file of KempnerForge. Empty
/// for a name that is no tap.
Operation operation_of(const std::string& tap, const Case& definition);

}  // namespace forgecheck
