#pragma once

#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// A line of comma-separated values with its end: texts with a comma, a quote or a line end are quoted (RFC
/// 4180).
std::string csv_line(const std::vector<std::string>& values);

}  // namespace ddpm_eval::eval
