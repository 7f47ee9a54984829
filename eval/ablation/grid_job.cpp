#include "eval/ablation/grid_job.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/not_finite.h"
#include "base/core/record.h"
#include "base/core/seconds_since.h"
#include "base/tensor/runtime.h"
#include "base/training/checkpoint.h"
#include "base/training/config_difference.h"
#include "base/training/train_log.h"
#include "eval/ablation/grid_definition.h"
#include "eval/console.h"
#include "eval/likelihood_run.h"
#include "eval/likelihood_state.h"
#include "eval/run_files.h"
#include "eval/sampling.h"
#include "eval/training_run.h"

#include <chrono>
#include <system_error>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

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
  Job(const GridFolder& folder, const GridJob& job, const GridTools& tools)
      : grid_(folder.grid()),
        job_(job),
        cell_(grid_.cells.at(job.cell)),
        config_(grid_.config_of(job.cell, job.seed)),
        place_(folder.job_folder(job)),
        owner_place_(folder.owner_folder(job)),
        tools_(tools) {}

  void run(const GridFolder& folder) {
    core::remove_abandoned_files(place_);
    keep_definition();
    if (folder.training(job_) == nullptr) {
      DDPM_CHECK(place_ == owner_place_, "the training of {} is not there", place_.string());
      core::write_record(place_ / kTrainingFile, train());
    }
    const auto& training = *folder.training(job_);
    auto record = new_record_of_job(kJobKind);
    record["outcome"] = training.at("outcome");
    if (record["outcome"] == "diverged") {
      record["divergence"] = training.at("divergence");
    } else {
      score(training, record);
    }
    record["runtime"] = tensor::runtime_context();
    core::write_record(place_ / kJobRecordFile, record);
  }

 private:
  /// That which results were made from stays, as they name it, though keys may have changed that no number
  /// depends on.
  void keep_definition() {
    const auto path = place_ / kDefinitionFile;
    if (!has_results(place_) || !file_exists(path)) {
      core::write_record(path, job_definition(grid_, job_));
    }
    digest_ = definition_digest(core::read_record(path));
  }

  Json new_record_of_job(const char* kind) const {
    auto record = core::new_record(kind);
    record["cell"] = cell_.name;
    record["seed"] = job_.seed;
    record[kDefinitionDigest] = digest_;
    return record;
  }

  Json train() const {
    auto training = new_record_of_job(kTrainingKind);
    training["outcome"] = "trained";
    try {
      const auto run = train_run(config_, place_ / "run", Start::kResume, tools_.session, &tools_.sets);
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
    const auto start = std::chrono::steady_clock::now();
    CellScores bound;
    evaluate_bound(sampling_request({}), bound);
    training["metrics"] = bound.metrics;
    training["problems"] = bound.problems;
    // Of the training over all processes that it took; of the bound in the last of them.
    training["seconds_here"] = training["seconds"].get<double>() + core::seconds_since(start);
    return training;
  }

  SamplingRequest sampling_request(std::vector<Setting> settings) const {
    return {owner_place_ / "run", std::move(settings), static_cast<uint64_t>(grid_.score.seed)};
  }

  /// A checkpoint that was put there from another cell or seed would be sampled without a word.
  void require_own_run(const Json& training) const {
    const auto run = owner_place_ / "run";
    const auto header = training::read_header(run);
    const auto own = grid_.config_of(cell_.owner, job_.seed);
    const auto difference = training::config_difference(
        core::parse_json(header.config_json), Json::parse(core::config_to_json(own)), own.same_run());
    if (difference || header.step != training.at("step")) {
      throw core::DataError(
          "{}: is of another run: {} there, {} here; put the job's own back, or remove {} to train it again",
          (run / training::kCheckpointFile).string(),
          difference ? fmt::format("{} is {}", difference->key, difference->stored)
                     : fmt::format("step {}", header.step),
          difference ? difference->now : core::json_text(training.at("step")), owner_place_.string());
    }
  }

  /// A term that is not finite is a problem of the model. A damaged state of the evaluation is none: it is
  /// removed, once, and made anew.
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
    for (const bool last_try : {false, true}) {
      try {
        const auto record = evaluate_likelihood(request, tools_.session, &tools_.sets);
        scores.metrics[metric] = record.at("metrics").at(metric);
        scores.metrics[metric + "_error"] = record.at("metrics").at(metric + "_error");
        return;
      } catch (const core::NotFiniteError& error) {
        scores.problems[metric] = error.what();
        return;
      } catch (const core::UsageError& error) {  // the settings were checked: it is what lies there
        throw core::DataError("{}", error.what());
      } catch (const DamagedEvaluationError&) {
        std::error_code ignored;
        if (last_try || fs::remove_all(request.out, ignored) == 0) {
          throw;
        }
      }
    }
  }

  void score(const Json& training, Json& record) const {
    const auto start = std::chrono::steady_clock::now();
    require_own_run(training);
    const auto settings = sampler_settings(config_, cell_.name);
    const auto run = load_run(sampling_request(settings));
    auto scores = tools_.scorer.score(run, place_);
    const bool same_weights = config_.sample.weights == grid_.cells.at(cell_.owner).config.sample.weights;
    if (same_weights) {
      scores.metrics.update(training.at("metrics"));
      scores.problems.update(training.at("problems"));
    } else {
      evaluate_bound(sampling_request(settings), scores);
    }
    record["metrics"] = std::move(scores.metrics);
    record["problems"] = std::move(scores.problems);
    record["score"] = tools_.scorer.context();
    record["run"] = run.record;
    record["training"] = {{"cell", grid_.cells.at(cell_.owner).name},
                          {"step", training.at("step")},
                          {"parameters", training.at("parameters")},
                          {"seconds", training.at("seconds")}};
    record["seconds"] =
        core::seconds_since(start) + (place_ == owner_place_ ? training.at("seconds_here").get<double>() : 0);
  }

  const Grid& grid_;
  GridJob job_;
  const GridCell& cell_;
  ddpm::RunConfig config_;
  fs::path place_;
  fs::path owner_place_;
  const GridTools& tools_;
  std::string digest_;  ///< of the definition
};

}  // namespace

void run_grid_job(const GridFolder& folder, const GridJob& job, const GridTools& tools) {
  Job(folder, job, tools).run(folder);
}

}  // namespace ddpm_eval::eval
