#pragma once

#include "base/core/error.h"
#include "base/tensor/named_tensor.h"
#include "ddpm/likelihood.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

// What an evaluation of the bound keeps in its folder: state.safetensors until it is done, then nll.json.
namespace ddpm_eval::eval {

/// What an earlier evaluation has left in its folder cannot be read. Exit code 3, as of other files.
class DamagedEvaluationError final : public core::Error {
 public:
  explicit DamagedEvaluationError(const std::string& message) : Error(core::ExitCode::kBadData, message) {}
};

/// nll.json of `folder` if it is there and whole, with the curve beside it. `key` is what the numbers are a
/// function of. Throws UsageError for the record of another evaluation, DamagedEvaluationError.
std::optional<nlohmann::ordered_json> finished_likelihood(const std::filesystem::path& folder,
                                                          const nlohmann::ordered_json& key);

/// The evaluation's progress on disk.
class LikelihoodState {
 public:
  LikelihoodState(const std::filesystem::path& folder, nlohmann::ordered_json key);

  /// Takes the examples that are done into `sums`, whole micro-batches of fewer than `examples`; returns all
  /// saved tensors, or none. Throws as finished_likelihood().
  tensor::NamedTensors restore(ddpm::BoundSums& sums, int64_t examples, int64_t micro_batch);
  /// Takes what restore() has returned of the micro-batch that was begun.
  static void restore(ddpm::LikelihoodBatch& batch, const tensor::NamedTensors& saved);

  void save(const ddpm::BoundSums& sums, const ddpm::LikelihoodBatch& batch);
  bool due() const;
  void remove() const;

  /// The versions and thread counts that took part, the first one first.
  const nlohmann::ordered_json& makers() const { return makers_; }

 private:
  using Clock = std::chrono::steady_clock;

  tensor::NamedTensors load();

  std::filesystem::path path_;
  nlohmann::ordered_json key_;
  nlohmann::ordered_json makers_;
  Clock::time_point saved_ = Clock::now();
};

}  // namespace ddpm_eval::eval
