#include "eval/score.h"

#include "base/core/error.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "metrics/inception_score.h"
#include "metrics/preset.h"

#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A field that holds text, or "" for anything else: provenance comes from a file.
std::string text_field(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// What a statistics file says it was made with, or null.
Json provenance_features(const Side& side) {
  const auto provenance = Json::parse(side.provenance, nullptr, /*allow_exceptions=*/false);
  const bool told =
      provenance.is_object() && provenance.contains("features") && provenance["features"].is_object();
  return told ? provenance["features"] : Json();
}

/// Statistics of other tools do not say what they are: 2048 columns are taken for the FID Inception's, as
/// everywhere.
bool uses_fid_inception(const Json& features, int64_t dim) {
  return features.is_object() ? text_field(features, "name") == kFidInception : dim == 2048;
}

/// Refuses to compare numbers made with different features, unless told to.
void require_same_features(const Json& real, const Json& fake, const ScoreOptions& options, Json& notes) {
  if (real.is_null() || fake.is_null()) {
    notes.push_back(
        "a statistics file does not say which features it was made with: they are taken to be the same");
    return;
  }
  for (const char* key : {"name", "weights_sha256", "preset"}) {
    const auto of_real = text_field(real, key);
    const auto of_fake = text_field(fake, key);
    if (of_real == of_fake) {
      continue;
    }
    const auto difference =
        fmt::format("{} of the features differs: real {}, fake {}", key, of_real, of_fake);
    if (!options.allow_mismatch) {
      throw core::NotComparableError("{}; --allow-mismatch compares them all the same", difference);
    }
    notes.push_back(difference);
  }
}

/// The metrics of one side against the reference, under names that tell the FID Inception from other
/// features.
struct SideScores {
  Json metrics = Json::object();
  Json parts = Json::object();
  std::vector<std::string> notes;
};

SideScores score_side(const metrics::Moments* real, Side& side, const ScoreOptions& options,
                      const metrics::Preset& preset, bool standard) {
  SideScores scores;
  if (options.inception_score) {
    const auto& rule = *preset.inception_score;
    const auto score = metrics::inception_score(side.logits, {rule.splits, rule.shuffle_seed});
    const std::string stem = standard ? "inception_score" : "classifier_score";
    scores.metrics[stem + "_mean"] = score.mean;
    scores.metrics[stem + "_std"] = score.std;
    scores.parts[stem] = {{"splits", score.splits}, {"order", rule.shuffle_seed ? "shuffled" : "given"}};
  }
  if (real != nullptr) {
    const auto start = std::chrono::steady_clock::now();
    auto parts = metrics::frechet_distance(*real, std::move(side.moments), options.sqrt);
    scores.metrics[standard ? "frechet_inception_distance" : "frechet_distance"] = parts.distance;
    scores.parts["frechet"] = {{"mean_term", parts.mean_term},   {"trace_real", parts.trace_real},
                               {"trace_fake", parts.trace_fake}, {"trace_sqrt", parts.trace_sqrt},
                               {"route", parts.route},           {"seconds", seconds_since(start)}};
    scores.notes = std::move(parts.notes);
  }
  return scores;
}

/// Scores each yardstick as the fake side was. Throws UsageError if its count differs: a distance falls with
/// N, so that only equal counts can stand side by side.
Json score_yardsticks(const metrics::Moments& real, int64_t fake_count, const ScoreOptions& options,
                      const metrics::Preset& preset, const metrics::FeatureNet& net, const Session& session) {
  Json yardsticks = Json::array();
  for (const auto& source : options.yardsticks) {
    const SideRequest request{"yardstick", source, options.strict, options.inception_score};
    const auto images = open_images(request);
    auto side = measure_side(request, *images, net, session);
    if (side.moments.count != fake_count) {
      throw core::UsageError("--yardstick {}: {} images, but --fake has {}: counts must be equal", source,
                             side.moments.count, fake_count);
    }
    Json entry = side.record;
    entry["metrics"] = score_side(&real, side, options, preset, net.info().name == kFidInception).metrics;
    yardsticks.push_back(std::move(entry));
  }
  return yardsticks;
}

/// A row for the samples and one for each yardstick, a column for each metric.
void print_beside_yardsticks(const Json& record) {
  const auto print_row = [&](const std::string& label, const Json& side, const Json& metrics) {
    fmt::print("{:<44} {:>7}", label, side.at("count").get<int64_t>());
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
  fmt::print("against {}, N = {}; features {}\n", record["real"]["source"].get<std::string>(),
             record["real"]["count"].get<int64_t>(), text_field(record["features"], "name"));
}

}  // namespace

Json score_images(const ScoreOptions& options, const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const bool with_real = options.frechet;
  const SideRequest real_request{"real", options.real, options.strict, false};
  const SideRequest fake_request{"fake", options.fake, options.strict, options.inception_score};
  const auto& preset = metrics::find_preset(options.preset);
  if (options.inception_score) {
    metrics::require_metric(preset, metrics::kInceptionScore);
    if (is_statistics(options.fake)) {
      throw core::UsageError("--fake {}: a statistics file has no images to take an Inception Score of",
                             options.fake);
    }
  }

  if (!options.yardsticks.empty() && (is_statistics(options.real) || is_statistics(options.fake))) {
    throw core::UsageError("--yardstick needs images on both sides, not statistics files");
  }

  // Everything that can be refused is refused before the network is loaded.
  std::unique_ptr<data::ImageSource> real_images;
  std::unique_ptr<data::ImageSource> fake_images;
  Side real;
  Side fake;
  if (with_real && is_statistics(options.real)) {
    real = read_side(real_request);
  } else if (with_real) {
    real_images = open_images(real_request);
  }
  if (is_statistics(options.fake)) {
    fake = read_side(fake_request);
  } else {
    fake_images = open_images(fake_request);
  }

  auto record = core::new_record("score");
  record["metrics"] = Json::object();
  record["features"] = Json();
  record["notes"] = Json::array();
  std::unique_ptr<metrics::FeatureNet> net;
  Json real_features = provenance_features(real);
  Json fake_features = provenance_features(fake);
  if (real_images || fake_images) {
    net = open_feature_net({options.features, options.weights, options.preset},
                           with_real ? options.real : options.fake);
    if (options.inception_score && net->info().classes == 0) {
      throw core::UsageError("--features {}: these features have no classes to take an Inception Score of",
                             net->info().name);
    }
    const auto used = features_json(net->info());
    real_features = real_images ? used : real_features;
    fake_features = fake_images ? used : fake_features;
  }
  if (with_real) {
    require_same_features(real_features, fake_features, options, record["notes"]);
  }
  if (real_images) {
    real = measure_side(real_request, *real_images, *net, session);
  }
  if (fake_images) {
    fake = measure_side(fake_request, *fake_images, *net, session);
  }
  record["features"] = fake_features.is_null() ? real_features : fake_features;
  if (const auto used = text_field(record["features"], "preset"); !used.empty()) {
    record["preset"] = used;
  }
  if (const auto note = text_field(record["features"], "note"); !note.empty()) {
    record["notes"].push_back(note);
  }
  const bool standard = uses_fid_inception(record["features"], fake.moments.mean.size(0));
  if (with_real) {
    record["real"] = real.record;
  }
  record["fake"] = fake.record;
  const int64_t fake_count = fake.moments.count;
  auto scores = score_side(with_real ? &real.moments : nullptr, fake, options, preset, standard);
  record["metrics"] = std::move(scores.metrics);
  record["parts"] = std::move(scores.parts);
  for (const auto& note : scores.notes) {
    record["notes"].push_back(note);
  }
  if (!options.yardsticks.empty()) {
    record["yardsticks"] = score_yardsticks(real.moments, fake_count, options, preset, *net, session);
  }
  if (options.frechet) {
    record["sqrt"] = options.sqrt == metrics::SqrtMethod::kSymmetric ? "symmetric" : "general";
  }
  record["precision"] = "float32 features, float64 moments";
  record["runtime"] = tensor::runtime_context();
  record["seconds"] = seconds_since(start);
  for (const auto& note : record["notes"]) {
    print_note(note.get<std::string>());
  }
  return record;
}

void print_score(const Json& record) {
  if (record.contains("yardsticks")) {
    print_beside_yardsticks(record);
    return;
  }
  for (const auto& [key, value] : record["metrics"].items()) {
    fmt::print("{:<30} {:.7g}\n", key, value.get<double>());
  }
  const auto print_side = [&](const std::string& role, const Json& side) {
    const auto count = side.contains("count") ? fmt::format(", N = {}", side["count"].get<int64_t>()) : "";
    fmt::print("{:<30} {}{}\n", role, side["source"].get<std::string>(), count);
  };
  for (const char* role : {"real", "fake"}) {
    if (record.contains(role)) {
      print_side(role, record[role]);
    }
  }
  if (record.contains("floor")) {
    fmt::print("{:<30} {:.7g} (real against real, same counts)\n", "floor",
               record["floor"]["sliced_wasserstein_distance"].get<double>());
  }
  if (record.contains("features") && record["features"].is_object()) {
    const auto& features = record["features"];
    fmt::print("{:<30} {}, preset {}, weights {}\n", "features", text_field(features, "name"),
               text_field(features, "preset"), text_field(features, "weights_sha256").substr(0, 12));
  }
}

}  // namespace ddpm_eval::eval
