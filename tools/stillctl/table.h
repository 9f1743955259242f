// Aligned columns for people.
#pragma once

#include <string>
#include <vector>

namespace stillwatch::stillctl {

// Left-aligned text, right-aligned numbers; widths count code points. The first row is the heading.
std::string Table(const std::vector<std::vector<std::string>>& rows);

// Breaks at blanks so that no line passes `width` columns; later lines are indented by `indent`.
std::string Wrap(const std::string& text, size_t width, size_t indent);

}  // namespace stillwatch::stillctl
