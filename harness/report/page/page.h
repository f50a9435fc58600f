// The page of --html, without its report: HTML, style and scripts of this folder in one text.
#pragma once

#include <string_view>

namespace forgecheck {

/// What stands in the page where the report's JSON belongs.
inline constexpr std::string_view kReportPlace = "{{report}}";

/// Where the index of the result that the page opens on belongs.
inline constexpr std::string_view kOpenPlace = "{{open}}";

extern const std::string_view kPage;

}  // namespace forgecheck
