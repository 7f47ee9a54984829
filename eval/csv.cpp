#include "eval/csv.h"

namespace ddpm_eval::eval {
namespace {

std::string csv_value(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c;
    if (c == '"') {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace

std::string csv_line(const std::vector<std::string>& values) {
  std::string line;
  for (size_t i = 0; i < values.size(); ++i) {
    line += (i == 0 ? "" : ",") + csv_value(values[i]);
  }
  return line + "\n";
}

}  // namespace ddpm_eval::eval
