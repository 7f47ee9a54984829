#include "eval/report/history.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/text.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

/// One object of a line, and where it is.
class Reader {
 public:
  Reader(const Json& object, std::string place) : object_(object), place_(std::move(place)) {}

  [[noreturn]] void refuse(const std::string& problem) const {
    throw core::DataError("{}: {}", place_, problem);
  }

  const Json& at(const char* key) const {
    if (!object_.is_object() || !object_.contains(key)) {
      refuse(fmt::format("not a line of a history: {} is missing", key));
    }
    return object_[key];
  }
  std::string text(const char* key) const {
    const auto& value = at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
      refuse(fmt::format("{} must be a text", key));
    }
    return value.get<std::string>();
  }
  double number(const char* key) const {
    const auto& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
      refuse(fmt::format("{} must be a number", key));
    }
    return value.get<double>();
  }
  int64_t count(const char* key) const {
    const auto& value = at(key);
    if (!value.is_number_integer() || value.get<double>() < 1 || value.get<double>() > 1e15) {
      refuse(fmt::format("{} must be a whole number of at least 1", key));
    }
    return value.get<int64_t>();
  }
  Reader below(const char* key) const { return {at(key), place_}; }

 private:
  const Json& object_;
  std::string place_;
};

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

HistoryValue read_value(const Reader& reader) {
  HistoryValue value;
  value.name = reader.text("name");
  value.unit = reader.text("unit");
  const auto better = reader.text("better");
  if (better != "lower" && better != "higher") {
    reader.refuse(fmt::format("better must be lower or higher, not '{}'", core::excerpt(better)));
  }
  value.higher_is_better = better == "higher";
  value.median = reader.number("median");
  value.low = reader.number("low");
  value.high = reader.number("high");
  value.count = reader.count("n");
  if (value.low > value.median || value.median > value.high) {
    reader.refuse(fmt::format("low <= median <= high does not hold for '{}'", core::excerpt(value.name)));
  }
  return value;
}

HistoryEntry read_entry(const Reader& reader) {
  const auto schema = reader.count("schema");
  if (schema > kHistorySchema) {
    reader.refuse(
        fmt::format("schema {} is newer than this program, which reads {}", schema, kHistorySchema));
  }
  HistoryEntry entry;
  entry.time_text = reader.text("time");
  const auto time = parse_time(entry.time_text);
  if (!time) {
    reader.refuse("time must be as 2026-11-26T02:00:00Z");
  }
  entry.time = *time;
  entry.commit = reader.text("commit");
  const auto context = reader.below("context");
  const auto threads = context.count("threads");
  entry.context = fmt::format("{}, {} thread{}, {}", context.text("cpu"), threads, threads == 1 ? "" : "s",
                              context.text("build"));
  const auto& list = reader.at("series");
  if (!list.is_array()) {
    reader.refuse("series must be a list");
  }
  return entry;
}

std::vector<fs::path> files_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return {path};
  }
  std::vector<fs::path> files;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".jsonl") {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<HistoryEntry> read_history(const fs::path& path) {
  std::vector<HistoryEntry> entries;
  struct Kind {
    std::string unit;
    bool higher_is_better;
  };
  std::map<std::string, Kind> kinds;
  for (const auto& file : files_of(path)) {
    std::istringstream lines(core::read_text(file));
    std::string line;
    for (size_t number = 1; std::getline(lines, line); ++number) {
      const auto place = fmt::format("{}:{}", file.string(), number);
      const auto object = core::parse_json(line);
      const Reader reader(object, place);
      auto entry = read_entry(reader);
      for (const auto& one : object["series"]) {
        const Reader below(one, place);
        auto value = read_value(below);
        if (std::ranges::any_of(entry.values, [&](const auto& other) { return other.name == value.name; })) {
          below.refuse(fmt::format("'{}' is there twice", core::excerpt(value.name)));
        }
        const auto [kind, is_new] = kinds.try_emplace(value.name, Kind{value.unit, value.higher_is_better});
        if (kind->second.unit != value.unit || kind->second.higher_is_better != value.higher_is_better) {
          below.refuse(fmt::format("'{}' has another unit or direction than in an earlier line",
                                   core::excerpt(value.name)));
        }
        entry.values.push_back(std::move(value));
      }
      entries.push_back(std::move(entry));
    }
  }
  if (entries.empty()) {
    throw core::DataError("{}: holds no lines of a history", path.string());
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& one, const auto& other) { return one.time < other.time; });
  return entries;
}

}  // namespace ddpm_eval::eval
