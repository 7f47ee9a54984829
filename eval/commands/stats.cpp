#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/feature_file.h"
#include "base/data/statistics_file.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/name_ending.h"
#include "eval/output.h"
#include "eval/score_options.h"
#include "eval/script_nets.h"
#include "eval/side.h"

#include <CLI/CLI.hpp>
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
};

void run_stats(const StatsOptions& options, const Session& session) {
  // Not by the parser: `stats merge` has no --data.
  if (options.data.empty()) {
    throw core::UsageError("--data is required");
  }
  if (options.out.empty() && options.features_out.empty()) {
    throw core::UsageError("--out is required, or --features-out for the features themselves");
  }
  if (options.spatial && options.out.empty()) {
    throw core::UsageError("--spatial: is for statistics, which go to --out; it is not given");
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
  if (!options.preset.empty()) {
    preset_given("--preset", options.preset);
  }
  const SideRequest request{.role = "data",
                            .source = options.data,
                            .strict = options.strict,
                            .keep_features = !options.features_out.empty(),
                            .spatial = options.spatial};
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
  auto side = measure_side(request, *images, *net, session, exact.get());
  const auto& info = net->info();
  auto record = core::new_record("statistics");
  record["features"] = features_json(info);
  add_preset(record["features"], record);
  record["count"] = side.moments.count;
  record["data"] = side.record;
  if (exact) {
    record["precision_effect"] = precision_effect(nullptr, side.control, {});
    print_note(describe_precision_effect(record["precision_effect"]));
  }
  record["runtime"] = tensor::runtime_context();
  if (!options.out.empty() && writes_output()) {
    std::optional<data::SpatialStatistics> spatial;
    if (side.spatial) {
      spatial = {side.spatial->mean, side.spatial->covariance};
    }
    data::write_statistics(options.out,
                           {side.moments.mean, side.moments.covariance, core::json_text(record), options.out},
                           spatial);
  }
  if (!options.features_out.empty() && writes_output()) {
    data::write_features(options.features_out, side.features, core::json_text(record));
  }
  if (write_json(options.json, record)) {
    return;
  }
  if (!options.out.empty()) {
    print_line("{}: mu [{}], sigma [{} x {}] of {} images", options.out, info.dim, info.dim, info.dim,
               side.moments.count);
  }
  if (!options.features_out.empty()) {
    print_line("{}: features [{} x {}]", options.features_out, side.moments.count, info.dim);
  }
}

}  // namespace

void add_stats_command(CLI::App& program, Session& session) {
  auto* command =
      program.add_subcommand("stats", "Mean and covariance of a set's features, or these, for later scores");
  auto options = std::make_shared<StatsOptions>();
  command->add_option("--data", options->data, "Required: the images, a source");
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
