#include "eval/json_reader.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <cctype>
#include <chrono>
#include <cmath>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

/// "2026-11-26T02:00:00Z" in seconds since 1970.
std::optional<int64_t> parse_time(const std::string& text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  bool sound = text.size() == kForm.size();
  for (size_t i = 0; sound && i < kForm.size(); ++i) {
    sound = kForm[i] == 'd' ? std::isdigit(static_cast<unsigned char>(text[i])) != 0 : text[i] == kForm[i];
  }
  if (!sound) {
    return std::nullopt;
  }
  const auto number = [&](size_t at, size_t digits) { return std::stoi(text.substr(at, digits)); };
  const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return int64_t{days} * 86400 + hour * 3600 + minute * 60 + second;
}

}  // namespace

void JsonReader::refuse(const std::string& problem) const {
  throw core::DataError("{}: {}", place_, problem);
}

const core::Json& JsonReader::at(const char* key) const {
  if (!object_.is_object()) {
    refuse(fmt::format("not {}: it is no JSON object", what_));
  }
  if (!has(key)) {
    refuse(fmt::format("not {}: {} is missing", what_, full(key)));
  }
  return object_[key];
}

std::string JsonReader::text(const char* key) const {
  const auto& value = at(key);
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    refuse(fmt::format("{} must be a text", full(key)));
  }
  return value.get<std::string>();
}

bool JsonReader::second_of(const char* key, const char* first, const char* second) const {
  const auto word = text(key);
  if (word != first && word != second) {
    refuse(fmt::format("{} must be {} or {}, not '{}'", full(key), first, second, core::excerpt(word)));
  }
  return word == second;
}

std::string JsonReader::text_or_none(const char* key) const {
  if (!has(key) || at(key).is_null()) {
    return {};
  }
  if (!at(key).is_string()) {
    refuse(fmt::format("{} must be a text", full(key)));
  }
  return at(key).get<std::string>();
}

double JsonReader::number(const char* key) const {
  const auto& value = at(key);
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    refuse(fmt::format("{} must be a number", full(key)));
  }
  return value.get<double>();
}

double JsonReader::non_negative(const char* key) const {
  const double value = number(key);
  if (value < 0) {
    refuse(fmt::format("{} must not be negative", full(key)));
  }
  return value;
}

int64_t JsonReader::count(const char* key) const {
  const auto& value = at(key);
  if (!value.is_number_integer() || value.get<double>() < 1 || value.get<double>() > 1e15) {
    refuse(fmt::format("{} must be a whole number of at least 1", full(key)));
  }
  return value.get<int64_t>();
}

int64_t JsonReader::time(const char* key) const {
  const auto time = parse_time(text(key));
  if (!time) {
    refuse(fmt::format("{} must be as 2026-11-26T02:00:00Z", full(key)));
  }
  return *time;
}

const core::Json& JsonReader::list(const char* key) const {
  const auto& value = at(key);
  if (!value.is_array()) {
    refuse(fmt::format("{} must be a list", full(key)));
  }
  return value;
}

std::vector<std::string> JsonReader::texts(const char* key) const {
  std::vector<std::string> texts;
  for (const auto& one : list(key)) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty()) {
      refuse(fmt::format("{}[{}] must be a text", full(key), texts.size()));
    }
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

std::vector<JsonReader> JsonReader::objects(const char* key) const {
  std::vector<JsonReader> readers;
  for (const auto& one : list(key)) {
    const auto place = fmt::format("{}: {}[{}]", place_, full(key), readers.size());
    readers.emplace_back(one, place, what_);
  }
  return readers;
}

JsonReader JsonReader::below(const char* key) const {
  const auto& object = at(key);
  if (!object.is_object()) {
    refuse(fmt::format("{} must be an object", full(key)));
  }
  JsonReader reader(object, place_, what_);
  reader.above_ = full(key) + ".";
  return reader;
}

std::optional<JsonReader> JsonReader::maybe_below(const char* key) const {
  return has(key) && !object_[key].is_null() ? std::optional(below(key)) : std::nullopt;
}

void JsonReader::require_schema(int64_t newest) const {
  if (object_.is_null()) {  // as core::parse_json() gives it
    refuse(fmt::format("not {}: it is no valid JSON, or nests deeper than {}", what_, core::kMaxJsonDepth));
  }
  if (const auto schema = count("schema"); schema > newest) {
    refuse(fmt::format("schema {} is newer than this program, which reads {}", schema, newest));
  }
}

}  // namespace ddpm_eval::eval
