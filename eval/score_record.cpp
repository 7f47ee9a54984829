#include "eval/score_record.h"

#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_metrics.h"
#include "metrics/kernel_distance.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

/// Scores that grids have no columns for.
constexpr TableMetric kOtherMetrics[] = {
    {"inception_score_infinity", "IS∞", true},
    {"classifier_score_infinity", "classifier score∞", true},
    {"frechet_inception_distance_infinity", "FID∞"},
    {"spatial_frechet_inception_distance_infinity", "sFID∞"},
    {"frechet_distance_infinity", "Frechet distance∞"},
    {"kernel_inception_distance", "KID"},
    {"kernel_inception_distance_mean", "KID of subsets"},
    {"kernel_distance", "kernel distance"},
    {"kernel_distance_mean", "kernel distance of subsets"},
    {"squared_mmd", "MMD²"},
    {"histogram_kl_divergence", "histogram KL"},
    {"off_manifold_distance_mean", "off the curve, mean"},
    {"off_manifold_distance_q95", "off the curve, 95 %"},
    {"intra_frechet_inception_distance", "intra-FID"},
    {"intra_spatial_frechet_inception_distance", "intra-sFID"},
    {"intra_frechet_distance", "intra Frechet distance"},
    {"precision", "precision", true},
    {"recall", "recall", true},
    {"f_score", "F score", true},
    {"density", "density", true},
    {"coverage", "coverage", true},
    {"authenticity", "authenticity", true},
    {"monge_inception_distance", "MIND"},
    {"monge_distance", "Monge distance"},
    {"memorization_informed_frechet_inception_distance", "MiFID"},
    {"memorization_informed_spatial_frechet_inception_distance", "memorization-informed sFID"},
    {"memorization_informed_frechet_distance", "memorization-informed Frechet distance"},
    {"vendi_score", "Vendi score", true},
    {"sliced_wasserstein_approximation", "sliced Wasserstein, approximate"},
};

const TableMetric* known_metric(const std::string& key) {
  for (const auto all : {table_metrics(), std::span<const TableMetric>(kOtherMetrics)}) {
    if (const auto found = std::ranges::find_if(all, [&](const TableMetric& one) { return one.key == key; });
        found != all.end()) {
      return &*found;
    }
  }
  return nullptr;
}

bool is_score_of_classes(const std::string& key) {
  return key.starts_with("inception_score") || key.starts_with("classifier_score");
}

bool has_no_reference(const std::string& key) { return is_score_of_classes(key) || key == "vendi_score"; }

std::map<std::string, double> read_metrics(const JsonReader& metrics, const core::Json& values) {
  std::map<std::string, double> read;
  for (const auto& [key, unused] : values.items()) {
    const char* name = key.c_str();
    read[key] = key.ends_with("_std") ? metrics.non_negative(name) : metrics.number(name);
  }
  return read;
}

std::optional<int64_t> read_count(const JsonReader& side) {
  return side.has("count") ? std::optional(side.count("count")) : std::nullopt;
}

ScoredSet read_set(const std::string& role, const JsonReader& side, const JsonReader& scored) {
  return {role, side.text("source"), read_count(side),
          read_metrics(scored.below("metrics"), scored.at("metrics"))};
}

std::optional<ScoreInterval> read_interval(const JsonReader& uncertainty, const char* key) {
  const auto interval = uncertainty.maybe_below(key);
  if (!interval) {
    return std::nullopt;
  }
  ScoreInterval read{interval->number("low"), interval->number("high"), interval->text("estimand")};
  if (read.low > read.high) {
    interval->refuse(fmt::format("{} must not be above {}", interval->full("low"), interval->full("high")));
  }
  return read;
}

ScoreUncertainty read_uncertainty(const JsonReader& one) {
  ScoreUncertainty read;
  if (one.has("standard_error")) {
    read.standard_error = one.non_negative("standard_error");
  }
  if (one.has("bias")) {
    read.bias = one.number("bias");
  }
  read.at_count = read_interval(one, "at_count");
  read.at_infinity = read_interval(one, "at_infinity");
  if (read.at_count || read.at_infinity || one.has("level")) {
    read.level = one.number("level");
    if (read.level <= 0 || read.level >= 1) {
      one.refuse(fmt::format("{} must be above 0 and below 1", one.full("level")));
    }
  }
  read.estimand = one.text_or_none("estimand");
  read.method = one.text_or_none("method");
  read.withheld = one.text_or_none("withheld");
  return read;
}

/// Those with a column.
std::vector<std::string> column_keys(const JsonReader& record) {
  const auto& values = record.at("metrics");
  std::vector<std::string> keys;
  for (const auto& [key, unused] : values.items()) {
    if (!key.ends_with("_std") || !values.contains(key.substr(0, key.rfind('_')) + "_mean")) {
      keys.push_back(key);
    }
  }
  if (keys.empty()) {
    record.refuse("metrics must hold a score at least");
  }
  return keys;
}

ScoreRepeats read_repeats(const JsonReader& repeats, const std::vector<std::string>& keys) {
  ScoreRepeats read{repeats.count("count"), {}};
  if (read.count < 2) {
    repeats.refuse(fmt::format("{} must be at least 2", repeats.full("count")));
  }
  const auto deviations = repeats.below("deviations");
  for (const auto& key : keys) {
    read.deviations[key] = deviations.non_negative(key.c_str());
  }
  return read;
}

ScoredSet read_floor(const JsonReader& floor, const std::vector<std::string>& keys) {
  ScoredSet set{"floor", "fresh real points, median", std::nullopt, {}};
  for (const auto& key : keys) {
    if (floor.has(key.c_str())) {
      set.metrics[key] = floor.number(key.c_str());
    }
  }
  return set;
}

}  // namespace

const ScoreUncertainty* ScoreRecord::uncertainty_of(const std::string& key) const {
  const auto found = std::ranges::find_if(uncertainty, [&](const auto& one) { return one.first == key; });
  return found != uncertainty.end() ? &found->second : nullptr;
}

std::string unusual_kernel(const JsonReader& record) {
  const auto parts = record.maybe_below("parts");
  const auto kernel = parts ? parts->maybe_below("kernel") : std::nullopt;
  const auto formula = kernel ? kernel->text_or_none("kernel") : std::string();
  return formula == metrics::describe(metrics::Kernel()) ? std::string() : formula;
}

ScoreRecord read_score(const JsonReader& record) {
  ScoreRecord read;
  read.sets.push_back(read_set("samples", record.below("fake"), record));
  read.keys = column_keys(record);
  if (record.has("yardsticks")) {
    for (const auto& yardstick : record.objects("yardsticks")) {
      read.sets.push_back(read_set("yardstick", yardstick, yardstick));
    }
  }
  if (const auto floor = record.maybe_below("floor")) {
    read.sets.push_back(read_floor(*floor, read.keys));
  }
  if (const auto all = record.maybe_below("uncertainty")) {
    for (const auto& [key, unused] : record.at("uncertainty").items()) {
      read.uncertainty.emplace_back(key, read_uncertainty(all->below(key.c_str())));
    }
  }
  if (const auto repeats = record.maybe_below("repeats")) {
    read.repeats = read_repeats(*repeats, read.keys);
  }
  if (record.has("real") || !std::ranges::all_of(read.keys, has_no_reference)) {
    const auto real = record.below("real");
    read.reference = real.text("source");
    read.reference_count = read_count(real);
  }
  if (const auto features = record.maybe_below("features")) {
    read.features = features->text("name");
  }
  read.preset = record.text_or_none("preset");
  read.kernel = unusual_kernel(record);
  if (record.has("notes")) {
    read.notes = record.texts("notes");
  }
  return read;
}

std::string spread_key(const std::string& key) {
  return key.ends_with("_mean") ? key.substr(0, key.rfind('_')) + "_std" : std::string();
}

std::string metric_name(const std::string& key) {
  const auto* known = known_metric(key);
  return known == nullptr ? key : std::string(known->name);
}

std::string score_heading(const ScoreRecord& record, const std::string& key) {
  auto text = metric_name(key);
  if (const auto* known = known_metric(key)) {
    text += known->higher_is_better ? " ↑" : " ↓";
  }
  if (record.repeats) {
    return text + fmt::format(", ± over {} samples", record.repeats->count);
  }
  if (record.sets.front().metrics.contains(spread_key(key))) {
    return text + (is_score_of_classes(key) ? ", ± over splits" : ", ± over subsets");
  }
  const auto* uncertainty = record.uncertainty_of(key);
  return text + (uncertainty != nullptr && uncertainty->standard_error ? ", ± standard error" : "");
}

std::string score_text(const ScoreRecord& record, size_t set, const std::string& key, double scale) {
  const auto& metrics = record.sets.at(set).metrics;
  const auto found = metrics.find(key);
  if (found == metrics.end()) {
    return "–";
  }
  if (record.repeats) {
    return with_deviation(scale * found->second, set == 0 ? scale * record.repeats->deviations.at(key) : 0);
  }
  const auto spread = metrics.find(spread_key(key));
  const auto* uncertainty = set == 0 ? record.uncertainty_of(key) : nullptr;
  const double error = uncertainty != nullptr ? uncertainty->standard_error.value_or(0) : 0;
  return with_deviation(scale * found->second, scale * (spread != metrics.end() ? spread->second : error));
}

std::string samples_text(const ScoreRecord& record, size_t set) {
  if (record.sets.at(set).role == "floor") {
    return "–";
  }
  return fmt::format("{}", set == 0 && record.repeats ? record.repeats->count : 1);
}

bool is_kernel_distance(const std::string& key) {
  return key.starts_with("kernel_") && !key.ends_with("_std");
}

}  // namespace ddpm_eval::eval
