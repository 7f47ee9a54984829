#include "eval/likelihood_state.h"

#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/data/safetensors.h"
#include "base/tensor/runtime.h"
#include "ddpm/choice.h"
#include "eval/console.h"
#include "eval/run_files.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr auto kSaveEvery = std::chrono::seconds(60);
constexpr const char* kStateFile = "state.safetensors";
constexpr const char* kKey = "evaluation";
constexpr const char* kMakers = "makers";
constexpr const char* kContentDigest = "content_sha256";

/// Reads from the evaluation's own folder.
template <class Read>
auto from_own_folder(const Read& read) {
  try {
    return read();
  } catch (const core::DataError& error) {
    throw DamagedEvaluationError(error.what());
  }
}

/// What evaluations of versions that did not know the key were of; null for what all of them have.
Json default_of(const std::string& key) {
  return key == "network_precision"
             ? Json(ddpm::word_of(tensor::precision_words(), tensor::Precision::kFloat32))
             : Json();
}

void require_same_evaluation(const fs::path& path, const Json& stored, const Json& key) {
  for (const auto& [name, value] : key.items()) {
    if (!stored.is_object() || stored.value(name, default_of(name)) != value) {
      throw core::UsageError("{}: is of an evaluation with another {}; choose another --out, or remove it",
                             path.string(), name);
    }
  }
}

bool has_mean_and_error(const Json& value) {
  return core::has_number(value, "mean") && core::has_number(value, "error");
}

/// Whether a record from the disk has what the command shows of it.
bool is_likelihood_record(const Json& record) {
  if (!record.contains("metrics") || !record.contains("parts") || !record.contains("unit") ||
      !record.contains("progressive_coding")) {
    return false;
  }
  const std::string unit = record["unit"] == "bits/dim" ? "bits_per_dim" : "nats_per_dim";
  const auto& parts = record["parts"];
  const auto& rows = record["progressive_coding"];
  return core::has_number(record["metrics"], unit.c_str()) &&
         core::has_number(record["metrics"], (unit + "_error").c_str()) && record["unit"].is_string() &&
         parts.is_object() && rows.is_array() &&
         std::ranges::all_of(
             std::array{"regularisation", "denoising", "reconstruction"},
             [&](const char* part) { return parts.contains(part) && has_mean_and_error(parts[part]); }) &&
         std::ranges::all_of(rows, [](const Json& row) {
           return core::has_integer(row, "steps") && core::has_number(row, "rate") &&
                  core::has_number(row, "rmse");
         });
}

std::string digest_of(const tensor::NamedTensors& tensors, std::map<std::string, std::string>& metadata) {
  return data::content_sha256(tensors, std::array{metadata[kKey], metadata[kMakers]});
}

}  // namespace

std::optional<Json> finished_likelihood(const fs::path& folder, const Json& key) {
  return from_own_folder([&]() -> std::optional<Json> {
    const auto path = folder / "nll.json";
    if (!fs::exists(path)) {
      return std::nullopt;
    }
    auto record = core::read_record(path);
    require_same_evaluation(path, record, key);
    const bool sound = is_likelihood_record(record) && fs::exists(folder / "curve.csv");
    return sound ? std::optional(std::move(record)) : std::nullopt;
  });
}

LikelihoodState::LikelihoodState(const fs::path& folder, Json key)
    : path_(folder / kStateFile),
      key_(std::move(key)),
      makers_(Json::array({{{"tool", core::new_record("").at("tool")}}})) {
  makers_[0].update(tensor::arithmetic_context());
}

tensor::NamedTensors LikelihoodState::load() {
  std::error_code error;
  if (!fs::exists(path_, error)) {
    return {};
  }
  auto file = data::read_safetensors(path_);
  require_same_evaluation(path_, core::parse_json(file.metadata[kKey]), key_);
  auto makers = core::parse_json(file.metadata[kMakers]);
  if (file.metadata[kContentDigest] != digest_of(file.tensors, file.metadata) || !makers.is_array()) {
    throw core::DataError("{}: does not match its digest: the file is damaged; remove it to begin anew",
                          path_.string());
  }
  if (std::find(makers.begin(), makers.end(), makers_[0]) == makers.end()) {
    print_note(
        fmt::format("{}: begun by another version or with other --threads or --device: last digits may "
                    "differ from an unbroken "
                    "evaluation's",
                    path_.string()));
    makers.push_back(makers_[0]);
  }
  makers_ = std::move(makers);
  return std::move(file.tensors);
}

tensor::NamedTensors LikelihoodState::restore(ddpm::BoundSums& sums, int64_t examples, int64_t micro_batch) {
  return from_own_folder([&] {
    auto saved = load();
    if (!saved.empty()) {
      sums.restore(saved, kStateFile);
      if (sums.count() >= examples || sums.count() % micro_batch != 0) {
        throw core::DataError("{}: holds {} examples, which is no whole part of {}; remove it", kStateFile,
                              sums.count(), examples);
      }
    }
    return saved;
  });
}

void LikelihoodState::restore(ddpm::LikelihoodBatch& batch, const tensor::NamedTensors& saved) {
  from_own_folder([&] { batch.restore(saved, kStateFile); });
}

void LikelihoodState::save(const ddpm::BoundSums& sums, const ddpm::LikelihoodBatch& batch) {
  auto tensors = sums.state();
  for (auto& tensor : batch.state()) {
    tensors.push_back(std::move(tensor));
  }
  std::map<std::string, std::string> metadata = {{kKey, core::json_text(key_)},
                                                 {kMakers, core::json_text(makers_)}};
  metadata[kContentDigest] = digest_of(tensors, metadata);
  data::write_safetensors(path_, tensors, metadata);
  saved_ = Clock::now();
}

bool LikelihoodState::due() const { return Clock::now() - saved_ >= kSaveEvery; }

void LikelihoodState::remove() const {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace ddpm_eval::eval
