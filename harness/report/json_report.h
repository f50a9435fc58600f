// The JSON form of a report, as the files that write it share it.
#pragma once

#include <nlohmann/json.hpp>

#include "harness/report/report.h"

namespace forgecheck {

/// The whole document, fields in the order of docs/report.md.
nlohmann::ordered_json json_document(const Report& report);

}  // namespace forgecheck
