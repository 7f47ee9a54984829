#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/score.h"
#include "eval/score_record.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

// A score's record for people.
namespace ddpm_eval::eval {
namespace {

/// What is known of how far a score may be off, or null.
Json uncertainty_of(const Json& record, const std::string& metric) {
  const auto all = record.find("uncertainty");
  return all != record.end() && all->contains(metric) ? all->at(metric) : Json();
}

/// " +- 0.0012" where the score's standard error is known, else "".
std::string error_text(const Json& uncertainty) {
  return uncertainty.contains("standard_error")
             ? fmt::format(" +- {:.2g}", uncertainty["standard_error"].get<double>())
             : "";
}

/// " (x 1000: 20)" of a kernel distance, as papers give it, else "".
std::string scaled_text(const std::string& metric, double value) {
  return is_kernel_distance(metric) ? fmt::format(" (x 1000: {:.4g})", 1000 * value) : std::string();
}

/// Of a score of infinitely many images: the line through those of fewer that it is the end of.
void print_fit(const Json& record, const std::string& metric) {
  const auto parts = record.find("parts");
  if (!metric.ends_with("_infinity") || parts == record.end() || !parts->contains(metric)) {
    return;
  }
  const auto& fit = parts->at(metric);
  print_line("{:<30} {:.7g} {} {:.5g} / N through N = {} to {}, {} sizes, R^2 = {:.4f}", "  fit",
             record["metrics"][metric].get<double>(), fit["slope"].get<double>() < 0 ? "-" : "+",
             std::abs(fit["slope"].get<double>()), fit["sizes"].front().get<int64_t>(),
             fit["sizes"].back().get<int64_t>(), fit["sizes"].size(), fit["r_squared"].get<double>());
}

void print_intervals(const Json& uncertainty) {
  for (const char* key : {"at_count", "at_infinity"}) {
    if (uncertainty.contains(key)) {
      const auto& interval = uncertainty[key];
      print_line("{:<30} {:.7g} to {:.7g}: {}",
                 fmt::format("  {:.0f} %", 100 * uncertainty["level"].get<double>()),
                 interval["low"].get<double>(), interval["high"].get<double>(),
                 interval["estimand"].get<std::string>());
    }
  }
}

/// " (fresh real points: 0.03)" where it is known what those read.
std::string floor_text(const Json& record, const std::string& metric) {
  const auto floor = record.find("floor");
  return floor != record.end() && floor->contains(metric)
             ? fmt::format(" (fresh real points: {:.4g})", floor->at(metric).get<double>())
             : "";
}

/// The distance of each class.
void print_classes(const Json& classes) {
  const auto metric = classes["metric"].get<std::string>();
  print_line("  {:<26} {:>7} {:>7}  {}", "class", "N real", "N fake", metric);
  for (const auto& one : classes["each"]) {
    print_line("  {:<26} {:>7} {:>7}  {:.7g}", one["class"].get<std::string>(),
               one["real_count"].get<int64_t>(), one["fake_count"].get<int64_t>(), one[metric].get<double>());
  }
}

/// The deviations over the samples of --repeats, whose means are the metrics.
void print_repeats(const Json& record) {
  const auto& repeats = record["repeats"];
  const auto& samples = repeats["samples"];
  print_line(
      "means over {} samples, seeds {} to {}; their standard deviations:", repeats["count"].get<int64_t>(),
      samples.front()["seed"].get<uint64_t>(), samples.back()["seed"].get<uint64_t>());
  for (const auto& [key, deviation] : repeats["deviations"].items()) {
    fmt::print("  {:<28} {:.4g}\n", key, deviation.get<double>());
  }
}

/// A row for the samples and one for each yardstick, a column for each metric.
void print_beside_yardsticks(const Json& record) {
  const auto print_row = [&](const std::string& label, const Json& side, const Json& metrics) {
    fmt::print("{:<44} {:>7}", core::printable(label), side.at("count").get<int64_t>());
    for (const auto& [key, value] : metrics.items()) {
      fmt::print("  {:>{}.5g}", value.get<double>(), key.size());
    }
    fmt::print("\n");
  };
  fmt::print("{:<44} {:>7}", "images", "N");
  for (const auto& [key, unused] : record["metrics"].items()) {
    fmt::print("  {}", key);
  }
  fmt::print("\n");
  print_row(record["fake"]["source"].get<std::string>(), record["fake"], record["metrics"]);
  for (const auto& yardstick : record["yardsticks"]) {
    print_row("yardstick " + yardstick["source"].get<std::string>(), yardstick, yardstick["metrics"]);
  }
  if (record.contains("real")) {
    fmt::print("against {}, N = {}; ", core::printable(record["real"]["source"].get<std::string>()),
               record["real"]["count"].get<int64_t>());
  }
  fmt::print("features {}\n", text_field(record["features"], "name"));
  for (const auto& [key, value] : record["metrics"].items()) {
    const auto uncertainty = uncertainty_of(record, key);
    if (const auto text = error_text(uncertainty); !text.empty()) {
      fmt::print("{:<30} {:.7g}{}{}\n", key, value.get<double>(), text,
                 scaled_text(key, value.get<double>()));
      print_intervals(uncertainty);
      print_fit(record, key);
    }
  }
}

}  // namespace

void print_score(const Json& record) {
  if (record.contains("yardsticks")) {
    print_beside_yardsticks(record);
    if (record.contains("repeats")) {
      print_repeats(record);
    }
    return;
  }
  for (const auto& [key, value] : record["metrics"].items()) {
    const auto uncertainty = uncertainty_of(record, key);
    fmt::print("{:<30} {:.7g}{}{}\n", key, value.get<double>(), error_text(uncertainty),
               scaled_text(key, value.get<double>()) + floor_text(record, key));
    print_intervals(uncertainty);
    print_fit(record, key);
  }
  if (const auto kernel = unusual_kernel({record, "the record", "a score record"}); !kernel.empty()) {
    print_line("{:<30} {}", "kernel", kernel);
  }
  if (record.contains("parts") && record["parts"].contains("classes")) {
    print_classes(record["parts"]["classes"]);
  }
  if (record.contains("repeats")) {
    print_repeats(record);
  }
  const auto print_side = [&](const std::string& role, const Json& side) {
    const auto count = side.contains("count") ? fmt::format(", N = {}", side["count"].get<int64_t>()) : "";
    print_line("{:<30} {}{}", role, side["source"].get<std::string>(), count);
  };
  for (const char* role : {"real", "fake"}) {
    if (record.contains(role)) {
      print_side(role, record[role]);
    }
  }
  if (record.contains("features") && record["features"].is_object()) {
    const auto& features = record["features"];
    fmt::print("{:<30} {}, preset {}, weights {}\n", "features", text_field(features, "name"),
               text_field(features, "preset"), text_field(features, "weights_sha256").substr(0, 12));
  }
}

}  // namespace ddpm_eval::eval
