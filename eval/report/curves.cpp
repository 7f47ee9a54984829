#include "eval/report/curves.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "eval/run_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr size_t kCurveColumns = 5;
constexpr uint64_t kMaxLogBytes = uint64_t{1} << 30;
constexpr double kPositiveShare = 0.95;

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// The numbers of a line, or nothing if it does not hold just so many.
std::vector<double> numbers_of(const std::string& line) {
  std::vector<double> numbers;
  const char* at = line.data();
  const char* end = at + line.size();
  for (;;) {
    double number = 0;
    const auto [after, problem] = std::from_chars(at, end, number);
    if (problem != std::errc() || (after != end && *after != ',')) {
      return {};
    }
    numbers.push_back(number);
    if (after == end) {
      return numbers.size() == kCurveColumns ? numbers : std::vector<double>{};
    }
    at = after + 1;
  }
}

}  // namespace

std::vector<Json> read_log(const fs::path& path) {
  std::istringstream lines(core::read_text(path, kMaxLogBytes));
  std::vector<Json> entries;
  for (std::string line; std::getline(lines, line);) {
    auto entry = core::parse_json(line);
    if (entry.is_object()) {
      entries.push_back(std::move(entry));
    } else if (!lines.eof()) {
      throw core::DataError("{}:{}: not a line of a training log", path.string(), entries.size() + 1);
    }
  }
  return entries;
}

std::vector<PlotPoint> log_curve(const std::vector<Json>& log, const std::string& key) {
  std::vector<PlotPoint> points;
  for (const auto& entry : log) {
    if (core::has_integer(entry, "step") && core::has_number(entry, key.c_str()) &&
        !entry.contains("event")) {
      points.push_back({entry["step"].get<double>(), entry[key].get<double>()});
    }
  }
  return points;
}

std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, size_t most) {
  if (points.size() <= most) {
    return points;
  }
  std::vector<PlotPoint> parts;
  for (size_t part = 0; part < most; ++part) {
    const auto begin = points.begin() + static_cast<int64_t>(part * points.size() / most);
    const auto end = points.begin() + static_cast<int64_t>((part + 1) * points.size() / most);
    PlotPoint mean{(begin->x + (end - 1)->x) / 2, 0, INFINITY, -INFINITY};
    for (auto point = begin; point != end; ++point) {
      mean.y += point->y / static_cast<double>(end - begin);
      mean.low = std::min(mean.low, std::isfinite(point->low) ? point->low : point->y);
      mean.high = std::max(mean.high, std::isfinite(point->high) ? point->high : point->y);
    }
    parts.push_back(mean);
  }
  return parts;
}

std::vector<PlotPoint> over_seeds(const std::vector<std::vector<PlotPoint>>& curves) {
  if (curves.size() == 1) {
    auto single = curves[0];
    for (auto& point : single) {
      point.low = point.high = kNoNumber;
    }
    return single;
  }
  std::map<double, std::vector<double>> values;
  for (const auto& curve : curves) {
    for (const auto& point : curve) {
      values[point.x].push_back(point.y);
    }
  }
  std::vector<PlotPoint> medians;
  for (const auto& [x, list] : values) {
    const auto [low, high] = std::minmax_element(list.begin(), list.end());
    medians.push_back({x, median_of(list), *low, *high});
  }
  return medians;
}

std::vector<PlotPoint> read_bound_curve(const fs::path& path) {
  std::istringstream lines(core::read_text(path));
  std::string line;
  if (!std::getline(lines, line) || line != kBoundCurveHead) {
    throw core::DataError("{}:1: not the curve of a bound: its first line must be {}", path.string(),
                          kBoundCurveHead);
  }
  std::vector<PlotPoint> points;
  for (size_t number = 2; std::getline(lines, line); ++number) {
    const auto numbers = numbers_of(line);
    if (numbers.empty()) {
      throw core::DataError("{}:{}: not {} numbers", path.string(), number, kCurveColumns);
    }
    const double term = numbers[2], error = numbers[3];
    points.push_back({numbers[0] + (numbers[1] - 1) / 2, term, term - error, term + error});
  }
  return points;
}

bool suits_log_axis(const std::vector<PlotSeries>& series, double decades) {
  double low = INFINITY, high = 0;
  size_t positive = 0, count = 0;
  for (const auto& one : series) {
    for (const auto& point : one.points) {
      ++count;
      if (point.y > 0) {
        ++positive;
        low = std::min(low, point.y);
        high = std::max(high, point.y);
      }
    }
  }
  return positive > 0 && static_cast<double>(positive) >= kPositiveShare * static_cast<double>(count) &&
         std::log10(high / low) > decades;
}

}  // namespace ddpm_eval::eval
