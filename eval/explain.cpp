#include "eval/explain.h"

#include "base/core/error.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/side.h"
#include "eval/side_notes.h"
#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/inception.h"
#include "metrics/inception_score.h"
#include "metrics/preprocess.h"
#include "metrics/preset.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

using metrics::Preset;

/// The network behind another tool's pre-processing.
class OtherPreset final : public metrics::FeatureNet {
 public:
  OtherPreset(const metrics::FeatureNet& net, const Preset& preset)
      : net_(net), preset_(preset), info_(net.info()) {
    info_.preset = preset.name;
  }

  const metrics::FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return net_.micro_batch(); }
  at::Tensor prepare(const at::Tensor& images_u8) const override {
    return metrics::preprocess_on_device(preset_, images_u8, metrics::kInceptionSide);
  }
  metrics::NetOutput forward(const at::Tensor& input) const override { return net_.forward(input); }

 private:
  const metrics::FeatureNet& net_;
  const Preset& preset_;
  metrics::FeatureNetInfo info_;
};

/// What the images are put through before the network.
bool same_input(const Preset& a, const Preset& b) {
  return a.resampler == b.resampler && a.scaling == b.scaling;
}

/// Presets that share a pass.
struct Pass {
  std::unique_ptr<OtherPreset> net;
  bool needs_logits = false;
};

/// A side that is read once.
struct OpenSide {
  SideRequest request;
  std::unique_ptr<data::ImageSource> images;
};

/// One side through one pass.
struct PassSums {
  metrics::MomentsAccumulator moments;
  data::RowStore logits;
};

/// What presets that share a pass share.
struct PassResult {
  metrics::FrechetParts distance;
  const data::RowStore& logits;  ///< of the fake side, if one of them has an Inception Score
};

std::vector<Preset> wanted_presets(const ExplainOptions& options) {
  if (options.presets.empty()) {
    return {metrics::presets().begin(), metrics::presets().end()};
  }
  std::vector<Preset> wanted;
  for (const auto& name : options.presets) {
    const auto& preset = preset_given("--presets", name);
    if (std::any_of(wanted.begin(), wanted.end(), [&](const Preset& other) { return other.name == name; })) {
      throw core::UsageError("--presets: {} is there twice", name);
    }
    wanted.push_back(preset);
  }
  return wanted;
}

/// The place of a preset's pass among those whose first presets are `firsts`; their number if it has none.
size_t pass_of(const Preset& preset, const std::vector<const Preset*>& firsts) {
  const auto found = std::find_if(firsts.begin(), firsts.end(),
                                  [&](const Preset* first) { return same_input(*first, preset); });
  return static_cast<size_t>(found - firsts.begin());
}

OpenSide open_side(const SideRequest& request) {
  if (is_statistics(request.source)) {
    throw core::UsageError("--{} {}: holds statistics of one preset; explain needs the images", request.role,
                           request.source);
  }
  return {request, open_images(request)};
}

std::vector<PassSums> measure(const OpenSide& open, const std::vector<Pass>& passes, const Session& session,
                              Json& side) {
  const auto& [request, images] = open;
  std::vector<PassSums> measured;
  std::vector<metrics::Extraction> extractions;
  for (const auto& pass : passes) {
    measured.push_back({metrics::MomentsAccumulator(pass.net->info().dim), {}});
  }
  for (size_t i = 0; i < passes.size(); ++i) {
    extractions.push_back(
        {*passes[i].net, [&, i, keep = request.keep_logits](const metrics::NetOutput& output) {
           measured[i].moments.add(output.features);
           if (keep && passes[i].needs_logits) {
             measured[i].logits.add(output.logits);
           }
         }});
  }
  const auto report = metrics::extract_all(
      *images, extractions,
      console_progress("scoring " + request.role + " " + request.source, "images", session.quiet));
  side = side_record(request, *images, report);
  return measured;
}

std::string_view scaling_words(metrics::Scaling scaling) {
  switch (scaling) {
    case metrics::Scaling::kCentredBytes:
      return "(v - 128) / 128";
    case metrics::Scaling::kSignedBytes:
      return "2 (v / 255) - 1 of v clipped to 0..255";
    case metrics::Scaling::kSignedUnit:
      return "2 v / 255 - 1";
  }
  DDPM_CHECK(false, "no such scaling");
}

std::string score_words(const metrics::InceptionScoreRule& rule) {
  const bool chunks = rule.splitting == metrics::Splitting::kChunks;
  return fmt::format("{} {}{}{}", rule.splits, chunks ? "images a split" : "splits",
                     rule.shuffle_seed ? fmt::format(" of a shuffle by RandomState({})", *rule.shuffle_seed)
                                       : " in the order given",
                     rule.softmax == metrics::Softmax::kFloat32 ? ", softmax in float32" : "");
}

/// What `preset` does otherwise than `first`, a line each.
std::vector<std::string> differences(const Preset& preset, const Preset& first) {
  std::vector<std::string> lines;
  if (preset.resampler != first.resampler) {
    lines.push_back(fmt::format("resizes by {} instead of {}", preset.resampler_name, first.resampler_name));
  }
  if (preset.scaling != first.scaling) {
    lines.push_back(fmt::format("scales to {} instead of {}", scaling_words(preset.scaling),
                                scaling_words(first.scaling)));
  }
  if (preset.inception_score && first.inception_score &&
      score_words(*preset.inception_score) != score_words(*first.inception_score)) {
    lines.push_back(fmt::format("Inception Score of {} instead of {}", score_words(*preset.inception_score),
                                score_words(*first.inception_score)));
  }
  return lines;
}

Json row_of(const Preset& preset, const Preset& first, const PassResult& result) {
  Json row = {{"preset", preset.name},
              {"resampler", preset.resampler_name},
              {"scaling", scaling_words(preset.scaling)},
              {"differs_by", differences(preset, first)}};
  if (!preset.note.empty()) {
    row["note"] = preset.note;
  }
  row["metrics"]["frechet_inception_distance"] = result.distance.distance;
  if (preset.inception_score) {
    const auto score = metrics::inception_score(result.logits, *preset.inception_score);
    row["metrics"]["inception_score_mean"] = score.mean;
    if (score.std) {
      row["metrics"]["inception_score_std"] = *score.std;
    }
  }
  return row;
}

std::vector<PassResult> results_of(const std::vector<PassSums>& real, const std::vector<PassSums>& fake) {
  std::vector<PassResult> results;
  for (size_t pass = 0; pass < real.size(); ++pass) {
    results.push_back({metrics::frechet_distance(real[pass].moments.finish(), fake[pass].moments.finish()),
                       fake[pass].logits});
  }
  return results;
}

}  // namespace

Json explain_presets(const ExplainOptions& options, const Session& session) {
  const auto presets = wanted_presets(options);
  int64_t splits = 0;
  for (const auto& preset : presets) {
    splits = std::max(splits, preset.inception_score ? metrics::fewest_images(*preset.inception_score) : 0);
  }
  // What cannot be read is told before the network is loaded.
  const auto of_real = open_side({"real", options.real, options.strict, false});
  const auto of_fake = open_side({"fake", options.fake, options.strict, splits > 0, splits});
  const auto net = open_feature_net({.features = "inception", .weights = options.weights}, options.real);
  std::vector<Pass> passes;
  std::vector<const Preset*> firsts;
  for (const auto& preset : presets) {
    const size_t place = pass_of(preset, firsts);
    if (place == firsts.size()) {
      firsts.push_back(&preset);
      passes.push_back({std::make_unique<OtherPreset>(*net, preset), false});
    }
    passes[place].needs_logits |= preset.inception_score.has_value();
  }
  auto record = core::new_record("explain");
  const auto real = measure(of_real, passes, session, record["real"]);
  const auto fake = measure(of_fake, passes, session, record["fake"]);
  const auto results = results_of(real, fake);
  for (const auto& preset : presets) {
    record["rows"].push_back(row_of(preset, presets.front(), results[pass_of(preset, firsts)]));
  }
  record["features"] = features_json(net->info());
  record["features"].erase("preset");
  record["notes"] = Json::array();
  note_unlike_files(record["real"], record["fake"], record["notes"]);
  for (const auto& result : results) {
    add_notes(result.distance.notes, record["notes"]);
  }
  if (!net->info().note.empty()) {
    record["notes"].push_back(net->info().note);
  }
  record["precision"] = "float32 features, float64 moments";
  record["runtime"] = tensor::runtime_context();
  for (const auto& note : record["notes"]) {
    print_note(note.get<std::string>());
  }
  return record;
}

void print_explanation(const Json& record) {
  const auto& rows = record.at("rows");
  const double first = rows.front().at("metrics").at("frechet_inception_distance").get<double>();
  constexpr double kRounding = 1e-6;  // of a set against itself, of which there are no shares
  fmt::print("{:<28} {:>12} {:>9}  {}\n", "preset", "FID", "change", "Inception Score");
  for (const auto& row : rows) {
    const auto& metrics = row.at("metrics");
    const double distance = metrics.at("frechet_inception_distance").get<double>();
    std::string score = "-";
    if (metrics.contains("inception_score_mean")) {
      score = fmt::format("{:.5g}", metrics["inception_score_mean"].get<double>());
      if (metrics.contains("inception_score_std")) {
        score += fmt::format(" (splits: {:.2g})", metrics["inception_score_std"].get<double>());
      }
    }
    const auto change = first > kRounding ? fmt::format("{:+.2f}%", 100 * (distance / first - 1)) : "-";
    fmt::print("{:<28} {:>12.7g} {:>9}  {}\n", row.at("preset").get<std::string>(), distance, change, score);
  }
  for (const auto& row : rows) {
    for (const auto& line : row.at("differs_by")) {
      print_line("{}: {}", row.at("preset").get<std::string>(), line.get<std::string>());
    }
    if (row.contains("note")) {
      print_line("{}: {}", row.at("preset").get<std::string>(), row.at("note").get<std::string>());
    }
  }
}

}  // namespace ddpm_eval::eval
