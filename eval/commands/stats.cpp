#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/feature_file.h"
#include "base/data/statistics_file.h"
#include "base/data/watched_source.h"
#include "base/tensor/runtime.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/feature_side.h"
#include "eval/name_ending.h"
#include "eval/output.h"
#include "eval/score_options.h"
#include "eval/script_nets.h"
#include "eval/side.h"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct StatsOptions {
  std::string data;
  std::string out;
  std::string features_out;
  std::string json;
  std::string preset;
  std::string features;
  std::string weights;
  std::string convention;
  bool trust_torchscript = false;
  std::optional<tensor::Precision> precision;
  bool strict = false;
  bool spatial = false;
  bool images = false;
};

/// What a set has come to, and the record of that.
struct SetStatistics {
  Side side;
  Json record;
  std::unique_ptr<data::ReferenceWriter> images = nullptr;  ///< has seen them, if they are to be written, too
};

SetStatistics measure_images(const StatsOptions& options, const Session& session) {
  if (!options.preset.empty()) {
    preset_given("--preset", options.preset);
  }
  const SideRequest request{.role = "data",
                            .source = options.data,
                            .strict = options.strict,
                            .keep_features = !options.features_out.empty(),
                            .spatial = options.spatial,
                            .once = options.images};
  const auto images = open_images(request);
  const FeatureRequest wanted{options.features,
                              options.weights,
                              options.preset,
                              options.precision.value_or(tensor::Precision::kFloat32),
                              options.spatial ? "--spatial" : "",
                              options.convention,
                              options.trust_torchscript ? ScriptTrust::kYes : ScriptTrust::kNo};
  const auto net = open_feature_net(wanted, options.data);
  const auto exact = open_exact_net(wanted, options.data, *net);
  SetStatistics result{{}, core::new_record("statistics")};
  auto& side = result.side;
  auto& record = result.record;
  if (options.images && writes_output()) {
    auto& writer = *(result.images = std::make_unique<data::ReferenceWriter>(options.out));
    data::WatchedSource watched(*images, [&writer](const at::Tensor& some) { writer.add(some); });
    side = measure_side(request, watched, *net, session, exact.get());
  } else {
    side = measure_side(request, *images, *net, session, exact.get());
  }
  record["features"] = features_json(net->info());
  add_preset(record["features"], record);
  record["count"] = side.moments.count;
  record["data"] = side.record;
  if (exact) {
    record["precision_effect"] = precision_effect(nullptr, side.control, {});
    print_note(describe_precision_effect(record["precision_effect"]));
  }
  return result;
}

/// Of a file of features, which no network is needed for.
SetStatistics read_features(const StatsOptions& options) {
  for (const auto& [flag, given] : {std::pair{"--features-out", !options.features_out.empty()},
                                    {"--preset", !options.preset.empty()},
                                    {"--features", !options.features.empty()},
                                    {"--weights", !options.weights.empty()},
                                    {"--convention", !options.convention.empty()},
                                    {"--trust-torchscript", options.trust_torchscript},
                                    {"--precision", options.precision.has_value()},
                                    {"--spatial", options.spatial},
                                    {"--images", options.images},
                                    {"--strict", options.strict}}) {
    if (given) {
      throw core::UsageError("{}: is for images, and --data {} holds features", flag, options.data);
    }
  }
  SetStatistics result{read_feature_side({.role = "data", .source = options.data}),
                       core::new_record("statistics")};
  auto& side = result.side;
  auto& record = result.record;
  record["features"] = provenance_features(side);
  if (are_of_unknown_net(side)) {
    print_note(fmt::format(
        "{} does not say which network its features are of, and neither will the statistics", options.data));
  } else {
    add_preset(record["features"], record);
  }
  record["count"] = side.moments.count;
  record["data"] = side.record;
  return result;
}

void run_stats(const StatsOptions& options, const Session& session) {
  // Not by the parser: `stats merge` has no --data.
  if (options.data.empty()) {
    throw core::UsageError("--data is required");
  }
  if (options.out.empty() && options.features_out.empty()) {
    throw core::UsageError("--out is required, or --features-out for the features themselves");
  }
  for (const auto& [flag, given] : {std::pair{"--spatial", options.spatial}, {"--images", options.images}}) {
    if (given && options.out.empty()) {
      throw core::UsageError("{}: is for statistics, which go to --out; it is not given", flag);
    }
  }
  auto inputs = source_files("--data", options.data);
  inputs.push_back({"--weights", options.weights});
  for (const auto& file : feature_files(options.features, options.convention)) {
    inputs.push_back({"--features", file});
  }
  require_distinct(
      {{"--out", options.out}, {"--features-out", options.features_out}, {"--json", options.json}}, inputs);
  if (!options.out.empty()) {
    require_ending("--out", options.out, {".npz"});
  }
  if (!options.features_out.empty()) {
    require_ending("--features-out", options.features_out, {".safetensors"});
  }
  require_json_target(options.json);
  for (const auto& target : {options.out, options.features_out}) {
    if (!target.empty()) {
      require_writable_output(target);
    }
  }
  auto [side, record, images] =
      is_features(options.data) ? read_features(options) : measure_images(options, session);
  record["runtime"] = tensor::runtime_context();
  if (!options.out.empty() && writes_output()) {
    std::optional<data::SpatialStatistics> spatial;
    if (side.spatial) {
      spatial = {side.spatial->mean, side.spatial->covariance};
    }
    const data::Statistics statistics{side.moments.mean, side.moments.covariance,
                                      are_of_unknown_net(side) ? "" : core::json_text(record), options.out};
    if (images) {
      images->finish(statistics, spatial);
    } else {
      data::write_statistics(options.out, statistics, spatial);
    }
  }
  if (!options.features_out.empty() && writes_output()) {
    data::write_features(options.features_out, side.features, core::json_text(record));
  }
  if (write_json(options.json, record)) {
    return;
  }
  if (!options.out.empty()) {
    const int64_t dim = side.moments.mean.size(0);
    print_line("{}: mu [{}], sigma [{} x {}] of {} images", options.out, dim, dim, dim, side.moments.count);
  }
  if (!options.features_out.empty()) {
    print_line("{}: features [{} x {}]", options.features_out, side.moments.count, side.features.size(1));
  }
}

}  // namespace

void add_stats_command(CLI::App& program, Session& session) {
  auto* command =
      program.add_subcommand("stats", "Mean and covariance of a set's features, or these, for later scores");
  auto options = std::make_shared<StatsOptions>();
  command->add_option("--data", options->data, "Required: the images, a source; or a file of features");
  command->add_option(
      "--out", options->out,
      "The .npz file to write, mu, sigma and their provenance. Required but for --features-out");
  command->add_option(
      "--features-out", options->features_out,
      "Write the features too, a row for each image: a .safetensors file, a source for fid, kid "
      "and prdc");
  add_preset_option(*command, options->preset, "torch-fidelity");
  add_features_options(*command, options->features, options->weights);
  add_torchscript_options(*command, options->convention, options->trust_torchscript);
  add_feature_precision_option(*command, options->precision);
  command->add_flag(
      "--spatial", options->spatial,
      "Also mu_s and sigma_s of the FID Inception's spatial features, for sFID, as ADM's files hold them");
  command->add_flag(
      "--images", options->images,
      "Also the images, of one size, as arr_0: with --spatial and --preset adm the reference file "
      "of ADM's evaluator");
  command->add_flag("--strict", options->strict, "An unreadable image is an error, not a warning");
  add_json_option(*command, options->json);
  add_stats_merge_command(*command, session);
  command->callback([command, options, &session] {
    if (command->get_subcommands().empty()) {
      session.shared = true;
      session.action = [options, &session] { run_stats(*options, session); };
      return;
    }
    // Theirs have been asked already, and these would be without effect.
    for (const auto* option : command->get_options()) {
      if (option->count() > 0) {
        session.action = [name = option->get_name()] {
          throw core::UsageError("{}: is of `stats`; write what `stats merge` takes after the word merge",
                                 name);
        };
      }
    }
  });
}

}  // namespace ddpm_eval::eval
