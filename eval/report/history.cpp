#include "eval/report/history.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/rank_tests.h"
#include "base/core/text.h"
#include "eval/compare/suite.h"
#include "eval/json_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// Of a suite's series; none of a hash, which is no number.
std::optional<HistoryValue> summary_of(const SuiteSeries& series) {
  if (series.kind == SeriesKind::kHash) {
    return std::nullopt;
  }
  HistoryValue value{series.name, series.unit, series.higher_is_better};
  if (series.kind == SeriesKind::kQuality) {
    value.median = value.low = value.high = series.value;
    value.count = 1;
    return value;
  }
  const auto [least, most] = std::ranges::minmax(series.repetitions);
  const auto estimate = core::median(series.repetitions, 0.95);
  value.median = estimate.value;
  value.low = std::max(estimate.low, least);
  value.high = std::min(estimate.high, most);
  value.count = static_cast<int64_t>(series.repetitions.size());
  return value;
}

std::optional<HistoryValue> read_value(const JsonReader& reader, size_t index) {
  if (reader.has("kind")) {
    return summary_of(read_suite_series(reader, index));
  }
  HistoryValue value;
  value.name = reader.text("name");
  value.unit = reader.text("unit");
  value.higher_is_better = reader.second_of("better", "lower", "higher");
  value.median = reader.number("median");
  value.low = reader.number("low");
  value.high = reader.number("high");
  value.count = reader.count("n");
  if (value.low > value.median || value.median > value.high) {
    reader.refuse(fmt::format("low <= median <= high does not hold for '{}'", core::excerpt(value.name)));
  }
  return value;
}

std::string context_label(const JsonReader& context) {
  const auto threads = context.count("threads");
  auto text = fmt::format("{}, {} thread{}, {}", context.text("cpu"), threads, threads == 1 ? "" : "s",
                          context.text("build"));
  const auto add = [&](const char* key, const char* before, std::string_view usual) {
    if (context.has(key) && context.text(key) != usual) {
      text += fmt::format(", {}{}", before, context.text(key));
    }
  };
  add("instruction_set", "", "");
  add("libtorch", "LibTorch ", "");
  add("device", "", "cpu");
  add("precision", "", "float32");
  return text;
}

HistoryEntry read_entry(const JsonReader& reader) {
  reader.require_schema(kHistorySchema);
  HistoryEntry entry;
  entry.time = reader.time("time");
  entry.time_text = reader.text("time");
  entry.commit = reader.text("commit");
  entry.context = context_label(reader.below("context"));
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
      const JsonReader reader(object, place, "a line of a history");
      auto entry = read_entry(reader);
      std::unordered_set<std::string> names;
      size_t index = 0;
      for (const auto& one : reader.list("series")) {
        const JsonReader below(one, place, reader.what());
        const auto read = read_value(below, index++);
        if (!read) {
          continue;
        }
        const auto& value = *read;
        if (!names.insert(value.name).second) {
          below.refuse(fmt::format("'{}' is there twice", core::excerpt(value.name)));
        }
        const auto [kind, is_new] = kinds.try_emplace(value.name, Kind{value.unit, value.higher_is_better});
        if (kind->second.unit != value.unit || kind->second.higher_is_better != value.higher_is_better) {
          below.refuse(fmt::format("'{}' has another unit or direction than in an earlier line",
                                   core::excerpt(value.name)));
        }
        entry.values.push_back(value);
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
