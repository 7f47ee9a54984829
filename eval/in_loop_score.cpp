#include "eval/in_loop_score.h"

#include "base/core/config.h"
#include "base/core/error.h"
#include "eval/run_files.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// What every line of scores.jsonl has.
core::Json line_context(const RunScorer& scorer, const ddpm::RunConfig& config, const ddpm::Model& model) {
  auto context = scorer.context();
  context["weights"] = "ema";
  context["seed"] = config.score.seed;
  context["sampler"] = sampler_record(config, model.process);
  return context;
}

/// Lines of earlier versions have the sampler as it was configured.
bool same_in_lines(const ddpm::RunConfig& config, const std::string& key, const core::Json& stored,
                   const core::Json& here) {
  if (key != "sampler") {
    return stored == here;
  }
  const auto resolved = [&](const core::Json& sampler) {
    return resolved_sampler(sampler, core::Json::parse(core::config_to_json(config.process)),
                            core::Json::parse(core::config_to_json(config.objective)));
  };
  return resolved(stored) == resolved(here);
}

/// The file of best weights must be that of the best score; at a kill between the two it is the checkpoint
/// that the training begins from.
void settle_best(const fs::path& folder, const ddpm::RunConfig& config, const ScoreEntry& best,
                 int64_t step) {
  const auto file = folder / training::kBestFile;
  std::error_code error;
  if (fs::exists(file, error)) {
    const auto run = training::read_header(folder);
    if (training::load_best_weights(folder, run, config.same_run()).step == best.step) {
      return;
    }
  }
  if (best.step != step) {
    throw core::DataError(
        "{}: is not of step {}, which scores.jsonl has as the best; put it back, or remove scores.jsonl to "
        "begin "
        "the choice anew",
        file.string(), best.step);
  }
  training::keep_as_best(folder);
}

/// Why a score could not be had, such as points that are not finite yet; anything but a finding about the
/// samples ends the training.
std::string finding_of(const core::Error& error) {
  if (error.code() != core::ExitCode::kBadData) {
    throw;
  }
  return error.what();
}

}  // namespace

InLoopScores::InLoopScores(const ddpm::RunConfig& config, const ddpm::Model& like, fs::path folder,
                           const training::TrainState& state, const Session& session,
                           std::function<void(const std::string&)> tell)
    : config_(config),
      like_(like),
      folder_(std::move(folder)),
      tell_(std::move(tell)),
      scorer_(make_run_scorer(config.score, like.makes_images(), session)),
      context_(line_context(*scorer_, config, like)),
      log_(std::make_unique<ScoreLog>(folder_ / kScoresFile, context_, state.step,
                                      [&config](const auto& key, const auto& stored, const auto& here) {
                                        return same_in_lines(config, key, stored, here);
                                      })) {
  if (const auto* best = log_->best()) {
    settle_best(folder_, config_, *best, state.step);
  }
}

std::shared_ptr<LoadedRun> InLoopScores::averaged(const tensor::NamedTensors& weights, int64_t seed) const {
  auto run = std::make_shared<LoadedRun>(
      LoadedRun{ddpm::make_model(config_, like_.row_shape), config_.sample, config_, core::Json()});
  run->model.mean = like_.mean;
  run->model.std = like_.std;
  tensor::copy_exactly(weights, run->model.network->parameters(), "the averaged weights");
  run->options.seed = static_cast<uint64_t>(seed);
  return run;
}

std::optional<double> InLoopScores::after_save(const training::TrainState& state) {
  if (!due(state.step) || log_->has(state.step)) {
    return std::nullopt;
  }
  ScoreEntry entry{.step = state.step, .value = {}, .problem = {}};
  const auto run = averaged(state.ema.parameters(), config_.score.seed);
  try {
    entry.value = scorer_->score(run, fmt::format("step {}", state.step));
  } catch (const core::Error& error) {
    entry.problem = finding_of(error);
  }
  const auto* before = log_->best();
  const bool best = entry.value && (before == nullptr || *entry.value < *before->value);
  log_->append(entry);
  if (best) {
    training::keep_as_best(folder_);
  }
  tell_(fmt::format("step {}: {} {} of {} samples against {}, N = {}, seed {}{}", state.step, metric(),
                    entry.value ? fmt::format("{:.5g}", *entry.value) : "none (" + entry.problem + ")",
                    config_.score.num, config_.score.real, context_.at("real_count").get<int64_t>(),
                    config_.score.seed, best ? ": the best so far" : ""));
  return entry.value;
}

core::Json InLoopScores::report() const {
  const auto* best = log_->best();
  if (best == nullptr) {
    return {};
  }
  const auto saved = training::load_best_weights(folder_, training::read_header(folder_), config_.same_run());
  const auto run = averaged(saved.parameters, config_.score.report_seed);
  core::Json json;
  try {
    json["value"] = scorer_->score(run, fmt::format("the best weights, of step {}", best->step));
  } catch (const core::Error& error) {
    json["value"] = core::Json();
    json["problem"] = finding_of(error);
  }
  json.update(context_);
  json["weights"] = "best";
  json["step"] = best->step;
  json["seed"] = config_.score.report_seed;
  json["chosen_by"] = {{"seed", config_.score.seed}, {"value", *best->value}, {"scores", log_->count()}};
  return json;
}

}  // namespace ddpm_eval::eval
