// The page of --html, without its report: HTML, style and scripts of this folder in one text.
#pragma once

#include <string_view>

namespace forgecheck {

/// The placeholder for the report's JSON in the page.
inline constexpr std::string_view kReportPlace = "{{report}}";

/// Where the index of the result that the page opens on belongs.
inline constexpr std::string_view kOpenPlace = "{{open}}";

extern const std::string_view kPage;

}  // namespace forgecheck
