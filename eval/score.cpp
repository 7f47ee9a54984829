#include "eval/score.h"

#include "base/core/error.h"
#include "base/core/seconds_since.h"
#include "base/data/statistics_file.h"
#include "base/tensor/runtime.h"
#include "eval/class_scores.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/feature_scores.h"
#include "eval/feature_side.h"
#include "eval/repeats.h"
#include "eval/score_checks.h"
#include "eval/score_request.h"
#include "eval/side_notes.h"
#include "eval/side_scores.h"
#include "metrics/inception_score.h"
#include "metrics/preset.h"

#include <chrono>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

/// A side from its opening to its measurement.
struct Entrant {
  SideRequest request;
  std::unique_ptr<data::ImageSource> images;  ///< null for what is stored, which is read at once
  Side side;

  /// Statistics or features, which need no network.
  bool is_stored() const { return images == nullptr; }
  bool is_statistics() const { return is_stored() && !side.features.defined(); }
  const char* kind() const { return is_statistics() ? "statistics" : "rows"; }
  std::optional<int64_t> size() const {
    return images                    ? images->size()
           : side.features.defined() ? std::optional(side.features.size(0))
                                     : std::nullopt;
  }
};

Entrant open_entrant(const SideRequest& request, const std::string& features) {
  if (is_statistics(request.source)) {
    return {request, nullptr, read_side(request, features)};
  }
  if (is_features(request.source)) {
    return {request, nullptr, read_feature_side(request)};
  }
  return {request, open_images(request), {}};
}

/// All that a score reads, in the order in which it is measured.
struct Field {
  std::optional<Entrant> real;
  Entrant fake;
  std::vector<Entrant> yardsticks;

  bool needs_net() const { return !fake.is_stored() || (real && !real->is_stored()); }
  bool has_rows() const { return !fake.is_statistics() || (real && !real->is_statistics()); }

  /// What a file of statistics or features says of the features to use, or null.
  Json told_features() const {
    const auto by_real = real ? provenance_features(real->side) : Json();
    return by_real.is_null() ? provenance_features(fake.side) : by_real;
  }
};

/// Opens the sides. An Inception Score that cannot be had is refused as soon as the features are known, which
/// the real side may tell.
Field open_field(const ScoreOptions& options) {
  const auto& wanted = options.wanted;
  Field field;
  const bool interval = options.interval && wanted.frechet;
  if (wanted.pairs()) {
    field.real = open_entrant(
        {"real", options.real, options.strict, false, 0, wanted.images() || interval || options.by_class,
         wanted.spatial_frechet, options.by_class},
        options.features);
  }
  int64_t splits = 0;
  if (wanted.classes()) {
    const auto told = field.real ? provenance_features(field.real->side) : Json();
    const auto request = completed_request(told, options);
    require_classifier(request);
    metrics::require_metric(preset_of(request), metrics::kInceptionScore);
    splits = metrics::fewest_images(*preset_of(request).inception_score);
  }
  const auto scored = [&](const char* role, const std::string& source, bool keep_features,
                          bool labels = false) {
    return open_entrant({role, source, options.strict, wanted.classes(), splits, keep_features,
                         wanted.spatial_frechet, labels},
                        options.features);
  };
  field.fake =
      scored("fake", options.fake, wanted.fake_images() || interval || options.by_class, options.by_class);
  for (const auto& source : options.yardsticks) {
    field.yardsticks.push_back(scored("yardstick", source, wanted.fake_images()));
  }
  return field;
}

/// A distance falls with N, so that only equal counts can stand side by side.
void require_count(const std::string& yardstick, int64_t count, int64_t fake_count) {
  if (count != fake_count) {
    throw core::UsageError("--yardstick {}: {} images, but --fake has {}: counts must be equal", yardstick,
                           count, fake_count);
  }
}

/// What can be refused without the network.
void check_field(const Field& field, const ScoreOptions& options) {
  if (options.wanted.classes() && field.fake.is_stored()) {
    const bool by_default = options.wanted.frechet && !options.metrics_given;
    throw core::UsageError("--fake {}: a file of {} has no images to take an Inception Score of{}",
                           options.fake, field.fake.is_statistics() ? "statistics" : "features",
                           by_default ? "; say which scores are wanted, as --metrics fid" : "");
  }
  if (options.by_class) {
    require_classes({field.real->request, field.real->images.get()},
                    {field.fake.request, field.fake.images.get()});
    if (!field.yardsticks.empty()) {
      throw core::UsageError("--by-class and --yardstick: score the yardstick by a call of its own");
    }
  }
  // An interval against a reference of statistics is conditional on them; all else needs the images.
  for (const auto& [entrant, needs_images] :
       {std::pair{field.real ? &*field.real : nullptr, options.wanted.images()},
        {&field.fake, field.fake.request.keep_features}}) {
    if (entrant != nullptr && entrant->is_statistics() && needs_images) {
      throw core::UsageError(
          "--{} {}: a statistics file has no images or rows of features, which kid, prdc, "
          "sliced-wasserstein, mind, mifid, vendi, fid-infinity and --interval need{}",
          entrant->request.role, entrant->request.source,
          data::holds_images_too(entrant->request.source)
              ? fmt::format("; {}?as=images is the images in that file", entrant->request.source)
              : "");
    }
  }
  if (!field.needs_net()) {
    const bool rules = takes_rules(options.wanted);
    for (const auto& [given, words] : {std::pair{!options.features.empty(), "--features " + options.features},
                                       {!options.weights.empty(), "--weights " + options.weights},
                                       {!options.convention.empty(), "--convention " + options.convention},
                                       {options.trust_torchscript, "--trust-torchscript"},
                                       {!options.preset.empty() && !rules, "--preset " + options.preset},
                                       {options.precision.has_value(), "--precision"}}) {
      if (given) {
        throw core::UsageError("{}: both sides are {} files, whose features are settled", words,
                               field.has_rows() ? "feature or statistics" : "statistics");
      }
    }
  }
  for (const auto& yardstick : field.yardsticks) {
    if (yardstick.is_stored() || field.fake.is_stored() || (field.real && field.real->is_stored())) {
      throw core::UsageError("--yardstick needs images on both sides, not files of statistics or features");
    }
    if (yardstick.images->size() && field.fake.images->size()) {
      require_count(yardstick.request.source, *yardstick.images->size(), *field.fake.images->size());
    }
  }
}

void require_dimension(const Entrant& entrant, const metrics::FeatureNetInfo& net) {
  const int64_t dim = entrant.side.moments.mean.size(0);
  if (dim != net.dim) {
    throw core::UsageError("{}: {} of {} features, but '{}' gives {}; choose others with --features",
                           entrant.request.source, entrant.kind(), dim, net.name, net.dim);
  }
}

/// Two files of as many features each.
void require_one_dimension(const Entrant& real, const Entrant& fake) {
  const int64_t of_real = real.side.moments.mean.size(0);
  const int64_t of_fake = fake.side.moments.mean.size(0);
  if (of_real != of_fake) {
    throw core::NotComparableError(
        "--real {} holds {} of {} features and --fake {} of {}: make both with the same --features",
        real.request.source, real.kind(), of_real, fake.request.source, of_fake);
  }
}

/// Opens the network that the images need, and refuses sides that cannot be compared. Null where there are
/// statistics alone.
std::unique_ptr<metrics::FeatureNet> open_net(const Field& field, const FeatureRequest& request,
                                              const ScoreOptions& options, Json& record) {
  std::unique_ptr<metrics::FeatureNet> net;
  if (!field.needs_net()) {
    if (field.real) {
      require_one_dimension(*field.real, field.fake);
    }
  } else {
    net = open_feature_net(request, field.real ? options.real : options.fake);
    if (options.wanted.classes() && net->info().classes == 0) {
      throw core::UsageError("--features {}: these features have no classes to take an Inception Score of",
                             net->info().name);
    }
  }
  const auto features_of = [&](const Entrant& entrant) {
    if (entrant.is_stored()) {
      return provenance_features(entrant.side);
    }
    return features_json(net->info());
  };
  const auto fake = features_of(field.fake);
  record["features"] = fake;
  if (field.real) {
    const auto real = features_of(*field.real);
    require_same_features(real, fake, options.allow_mismatch, record["notes"]);
    record["features"] = fake.is_null() ? real : fake;
  }
  if (net) {
    for (const auto* entrant : {field.real ? &*field.real : nullptr, &field.fake}) {
      if (entrant != nullptr && entrant->is_stored()) {
        require_dimension(*entrant, net->info());
      }
    }
  }
  if (const auto used = text_field(record["features"], "preset"); !used.empty()) {
    record["preset"] = used;
  }
  add_preset(record["features"], record);
  if (const auto note = text_field(record["features"], "note"); !note.empty()) {
    record["notes"].push_back(note);
  }
  return net;
}

}  // namespace

Json score_images(const ScoreOptions& options, const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  auto record = core::new_record("score");
  record["metrics"] = Json::object();
  record["features"] = Json();
  record["notes"] = Json::array();

  // Everything that can be refused is refused before the network is loaded, and the rest before it runs.
  check_score_options(options);
  Field field = open_field(options);
  check_field(field, options);
  const auto told = field.told_features();
  const auto request = field.needs_net() ? completed_request(told, options) : settled_request(told, options);
  const auto& preset = preset_of(request);
  require_presets_metrics(options.wanted, preset);
  SideRules rules{options, preset};
  require_counts(rules, field.real ? field.real->size() : std::nullopt, field.fake.size());
  const auto of_net = request_of_net(request, options);
  const auto net = open_net(field, of_net, options, record);
  const auto exact = net ? open_exact_net(of_net, field.real ? options.real : options.fake, *net) : nullptr;

  const auto measure = [&](Entrant& entrant, const metrics::FeatureNet* beside) {
    if (entrant.images) {
      entrant.side = measure_side(entrant.request, *entrant.images, *net, session, beside);
      entrant.images.reset();
    }
  };
  if (field.real) {
    measure(*field.real, exact.get());
    record["real"] = field.real->side.record;
  }
  auto& fake = field.fake.side;
  measure(field.fake, exact.get());
  record["fake"] = fake.record;
  if (field.real) {
    note_unlike_files(record["real"], record["fake"], record["notes"]);
  }
  const auto* real = field.real ? &field.real->side : nullptr;
  const int64_t fake_count = fake.moments.count;
  const bool unknown = are_of_unknown_net(fake) || (real != nullptr && are_of_unknown_net(*real));
  const bool of_inception = uses_fid_inception(record["features"], fake.moments.mean.size(0));
  rules.standard = !unknown && of_inception;
  rules.standard_classes = of_inception;  // those of the fake side, which a network has measured
  rules.frechet_key =
      unknown ? "frechet_distance" : frechet_key(record["features"], fake.moments.mean.size(0));
  if (unknown && takes_rules(options.wanted)) {
    record["preset"] = preset.name;
  }
  const auto sources = options.repeats ? repeated_sources(options.fake, *options.repeats)
                                       : std::vector<std::string>{options.fake};
  const auto control = fake.control;
  const auto score_sample = [&](const std::string& source) {
    if (source != sources.front()) {
      auto again = field.fake.request;
      again.source = source;
      field.fake = open_entrant(again, options.features);
      measure(field.fake, nullptr);
    }
    rules.tells_bias = source == sources.front();  // that of the others is much the same
    auto scores = score_side(real, fake, rules, session);
    fake.features = at::Tensor();  // as large as the set, and more sets are still to come
    fake.logits = {};
    add_notes(scores.notes, record["notes"]);
    return SampleScore{fake.record, std::move(scores)};
  };
  add_scores(sources, score_sample, record);
  fake.control = control;
  if (exact) {
    record["precision_effect"] =
        precision_effect(field.real ? &field.real->side.control : nullptr, fake.control,
                         {.sqrt = options.sqrt, .inception_score = options.wanted.inception_score});
    record["notes"].push_back(describe_precision_effect(record["precision_effect"]));
  }
  auto without_interval = options;
  without_interval.interval.reset();
  const SideRules of_yardsticks{without_interval,  preset, rules.standard, rules.standard_classes,
                                rules.frechet_key, false};
  for (auto& yardstick : field.yardsticks) {
    measure(yardstick, nullptr);
    require_count(yardstick.request.source, yardstick.side.moments.count, fake_count);
    Json entry = yardstick.side.record;
    entry["metrics"] = score_side(real, yardstick.side, of_yardsticks, session).metrics;
    record["yardsticks"].push_back(std::move(entry));
    yardstick.side = {};
  }
  if (options.wanted.frechet || options.wanted.spatial_frechet || options.wanted.memorization_informed) {
    record["sqrt"] = options.sqrt == metrics::SqrtMethod::kSymmetric ? "symmetric" : "general";
  }
  const auto word = text_field(record["features"], "precision");
  record["precision"] = (word.empty() ? "float32" : word) + " features, float64 moments";
  record["runtime"] = tensor::runtime_context();
  record["seconds"] = core::seconds_since(start);
  for (const auto& note : record["notes"]) {
    print_note(note.get<std::string>());
  }
  return record;
}

}  // namespace ddpm_eval::eval
