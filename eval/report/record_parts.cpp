#include "eval/report/record_parts.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "eval/report/curves.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

std::string field(const Json& record, const char* section, const char* key) {
  if (!record.contains(section) || !record[section].is_object() || !record[section].contains(key)) {
    return {};
  }
  return shown_value(record[section][key]);
}

std::string plain_field(const Json& record, const char* key) {
  return record.contains(key) && !record[key].is_structured() ? shown_value(record[key]) : std::string();
}

}  // namespace

RecordPlace RecordPlace::at(const char* key) const {
  const auto below = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  if (!has(key)) {
    throw core::DataError("{}: not a {} record: {} is missing", file_, kind_, below);
  }
  return {value_.at(key), file_, kind_, below};
}

double RecordPlace::number() const {
  if (!value_.is_number()) {
    throw core::DataError("{}: not a {} record: {} is no number", file_, kind_, path_);
  }
  return value_.get<double>();
}

Html likelihood_part(const Json& json, const std::string& file, const fs::path& curve, Page& page) {
  const RecordPlace record(json, file, "likelihood");
  const auto unit = record.at("unit").text();
  const std::string key = unit == "bits/dim" ? "bits_per_dim" : "nats_per_dim";
  PageTable table{fmt::format("The bound and its parts, {}", unit), {"part", "mean", "standard error"}, {}};
  const auto add = [&](const std::string& name, double mean, double error) {
    table.rows.push_back({text_piece(name), text_piece(fmt::format("{:.5f}", mean)),
                          text_piece(fmt::format("{:.5f}", error))});
  };
  for (const char* part : {"regularisation", "denoising", "reconstruction"}) {
    const auto one = record.at("parts").at(part);
    add(part, one.at("mean").number(), one.at("error").number());
  }
  const auto metrics = record.at("metrics");
  add("total", metrics.at(key.c_str()).number(), metrics.at((key + "_error").c_str()).number());
  Html part = table_element(table);
  part.add(element("p", {},
                   fmt::format("{} examples of {}.", record.at("count").text(), record.at("data").text())));

  std::vector<PlotFigure> figures;
  if (file_exists(curve)) {
    PlotSeries terms{"", read_bound_curve(curve), Marks::kLine, Interval::kBand};
    CurvePlot plot{"t", unit + " per step", {terms}};
    plot.log_y = suits_log_axis(plot.series);
    figures.push_back({"The bound's terms along the chain", "With their standard errors", plot});
  }
  const auto rows = record.at("progressive_coding");
  PageTable coding{"Progressive coding", {"steps", "rate, " + unit, "RMSE"}, {}};
  PlotSeries points{"", {}, Marks::kLineAndPoints};
  for (const auto& one : rows.value()) {
    const auto row = rows.element(one);
    const double rate = row.at("rate").number(), rmse = row.at("rmse").number();
    coding.rows.push_back({text_piece(row.at("steps").text()), text_piece(fmt::format("{:.5f}", rate)),
                           text_piece(fmt::format("{:.5f}", rmse))});
    points.points.push_back({rate, rmse});
  }
  if (!coding.rows.empty()) {
    figures.push_back({"Progressive coding", "Distortion over rate, step by step",
                       CurvePlot{"rate, " + unit, "RMSE", {points}}});
  }
  part.add(figures_element(page.draw(figures)));
  if (!coding.rows.empty()) {
    part.add(details_element("Progressive coding in numbers", table_element(coding)));
  }
  return part;
}

Facts context_facts(const Json& record) {
  const auto version = field(record, "tool", "version");
  Facts facts = {
      {"Made", plain_field(record, "created")},
      {"Program", version.empty()
                      ? std::string()
                      : fmt::format("ddpm-eval {} ({}), {}, {}", version, field(record, "tool", "commit"),
                                    field(record, "tool", "build_type"), field(record, "tool", "compiler"))},
      {"Device", field(record, "runtime", "device")},
      {"Threads", field(record, "runtime", "threads")},
      {"LibTorch", field(record, "runtime", "libtorch")},
      {"Kernels for", field(record, "runtime", "cpu_capability")},
      {"BLAS", field(record, "runtime", "blas")},
      {"Precision", plain_field(record, "precision")},
      {"Features", field(record, "features", "name")},
      {"Weights' SHA-256", field(record, "features", "weights_sha256")},
      {"Preset", plain_field(record, "preset")},
      {"Run", plain_field(record, "run")},
      {"Step", plain_field(record, "step")},
      {"Checkpoint's SHA-256", plain_field(record, "checkpoint_sha256")},
      {"Weights", plain_field(record, "weights")},
      {"Parameters", plain_field(record, "parameters")},
      {"Seed", plain_field(record, "seed")},
      {"Seconds", plain_field(record, "seconds")},
  };
  return facts;
}

}  // namespace ddpm_eval::eval
