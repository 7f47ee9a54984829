#include "eval/ablation/grid_job.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/tensor/runtime.h"
#include "base/training/train_log.h"
#include "eval/console.h"
#include "eval/likelihood_run.h"
#include "eval/sampling.h"
#include "eval/training_run.h"

#include <chrono>
#include <system_error>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

double seconds_from(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The sampler of a cell over the one that the run was trained with.
std::vector<Setting> sampler_settings(const ddpm::RunConfig& config, const std::string& cell) {
  std::vector<Setting> settings;
  const auto sampler = Json::parse(core::config_to_json(config.sample));
  for (const auto& [key, value] : sampler.items()) {
    settings.push_back(
        {"sample." + key + "=" + core::json_text(value), fmt::format("cell '{}': sample.{}", cell, key)});
  }
  return settings;
}

class Job {
 public:
  Job(const GridFolder& folder, const GridJob& job, const CellScorer& scorer, const Session& session)
      : grid_(folder.grid()),
        job_(job),
        cell_(grid_.cells.at(job.cell)),
        config_(grid_.config_of(job.cell, job.seed)),
        place_(folder.job_folder(job)),
        owner_place_(folder.owner_folder(job)),
        scorer_(scorer),
        session_(session) {}

  void run(const GridFolder& folder) {
    core::remove_abandoned_files(place_);
    core::write_record(place_ / kDefinitionFile, job_definition(grid_, job_));
    auto training = folder.training(job_);
    if (!training) {
      DDPM_CHECK(place_ == owner_place_, "the training of {} is not there", place_.string());
      training = train();
      core::write_record(place_ / kTrainingFile, *training);
    }
    auto record = core::new_record(kJobKind);
    record["cell"] = cell_.name;
    record["seed"] = job_.seed;
    record["outcome"] = training->at("outcome");
    if (record["outcome"] == "diverged") {
      record["divergence"] = training->at("divergence");
    } else {
      score(*training, record);
    }
    record["runtime"] = tensor::runtime_context();
    core::write_record(place_ / kJobRecordFile, record);
  }

 private:
  Json train() {
    const auto start = std::chrono::steady_clock::now();
    auto training = core::new_record(kTrainingKind);
    training["outcome"] = "trained";
    try {
      const auto run = train_run(config_, place_ / "run", Start::kResume, session_);
      training["step"] = run.at("step");
      training["parameters"] = run.at("parameters");
      training["seconds"] = run.at("seconds");
    } catch (const core::DivergedError& error) {
      print_note(error.what());
      const auto divergence = core::read_record(place_ / "run" / training::kDivergenceFile);
      training["outcome"] = "diverged";
      for (const char* key : {"first_step", "step", "reason", "loss", "grad_norm"}) {
        training["divergence"][key] = divergence.at(key);
      }
      return training;
    }
    CellScores bound;
    evaluate_bound(sampling_request({}), bound);
    training["metrics"] = bound.metrics;
    training["problems"] = bound.problems;
    training["seconds_here"] = seconds_from(start);
    return training;
  }

  SamplingRequest sampling_request(std::vector<Setting> settings) const {
    return {owner_place_ / "run", std::move(settings), static_cast<uint64_t>(grid_.score.seed)};
  }

  /// A term that is not finite is a problem of the model. A damaged run or a damaged state of the evaluation
  /// is none: the one fails the job, the other is put aside once.
  void evaluate_bound(const SamplingRequest& run, CellScores& scores) const {
    if (grid_.likelihood.data.empty()) {
      return;
    }
    LikelihoodRequest request;
    request.run = run;
    request.data = grid_.likelihood.data;
    request.settings = {
        {fmt::format("strata={}", grid_.likelihood.strata), "likelihood.strata"},
        {fmt::format("micro_batch={}", grid_.likelihood.micro_batch), "likelihood.micro_batch"}};
    request.seed = static_cast<uint64_t>(grid_.likelihood.seed);
    request.out = place_ / "nll";
    const std::string metric = grid_.is_for_points() ? "nats_per_dim" : "bits_per_dim";
    load_run(run);
    for (const bool last_try : {false, true}) {
      std::error_code ignored;
      const bool goes_on = fs::exists(request.out, ignored);
      try {
        const auto record = evaluate_likelihood(request, session_);
        scores.metrics[metric] = record.at("metrics").at(metric);
        scores.metrics[metric + "_error"] = record.at("metrics").at(metric + "_error");
        return;
      } catch (const core::DataError& error) {
        fs::remove_all(request.out, ignored);
        if (last_try || !goes_on) {
          scores.problems[metric] = error.what();
          return;
        }
      }
    }
  }

  void score(const Json& training, Json& record) const {
    const auto start = std::chrono::steady_clock::now();
    const auto settings = sampler_settings(config_, cell_.name);
    const auto run = load_run(sampling_request(settings));
    auto scores = scorer_.score(run, place_);
    const bool same_weights = config_.sample.weights == grid_.cells.at(cell_.owner).config.sample.weights;
    if (same_weights) {
      scores.metrics.update(training.at("metrics"));
      scores.problems.update(training.at("problems"));
    } else {
      evaluate_bound(sampling_request(settings), scores);
    }
    record["metrics"] = std::move(scores.metrics);
    record["problems"] = std::move(scores.problems);
    record["score"] = scorer_.context();
    record["run"] = run.record;
    record["training"] = {{"cell", grid_.cells.at(cell_.owner).name},
                          {"step", training.at("step")},
                          {"parameters", training.at("parameters")},
                          {"seconds", training.at("seconds")}};
    record["seconds"] =
        seconds_from(start) + (place_ == owner_place_ ? training.at("seconds_here").get<double>() : 0);
  }

  const Grid& grid_;
  GridJob job_;
  const GridCell& cell_;
  ddpm::RunConfig config_;
  fs::path place_;
  fs::path owner_place_;
  const CellScorer& scorer_;
  const Session& session_;
};

}  // namespace

void run_grid_job(const GridFolder& folder, const GridJob& job, const CellScorer& scorer,
                  const Session& session) {
  Job(folder, job, scorer, session).run(folder);
}

}  // namespace ddpm_eval::eval
