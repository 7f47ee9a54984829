#include "base/training/checkpoint.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_copy.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/text.h"
#include "base/data/safetensors.h"
#include "base/training/config_difference.h"

#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

namespace ddpm_eval::training {
namespace fs = std::filesystem;
namespace {

using core::Json;
using Metadata = std::map<std::string, std::string>;

constexpr const char* kFormat = "ddpm-eval.checkpoint";
constexpr const char* kContentDigest = "content_sha256";
constexpr const char* kOrigin = "origin";
constexpr const char* kLossWatch = "loss_watch";
constexpr const char* kAdamPrefix = "adam.";

void append_prefixed(const char* prefix, const tensor::NamedTensors& from, tensor::NamedTensors& to) {
  for (const auto& [name, tensor] : from) {
    to.push_back({prefix + name, tensor.detach()});
  }
}

/// Every tensor of the state under its name in the file; the tensors are the state's own.
tensor::NamedTensors state_tensors(const TrainState& state) {
  tensor::NamedTensors all;
  append_prefixed("model.", state.parameters, all);
  append_prefixed("buffer.", state.buffers, all);
  append_prefixed("ema.", state.ema.parameters(), all);
  append_prefixed("ema_buffer.", state.ema.buffers(), all);
  append_prefixed(kAdamPrefix, state.adam.state(), all);
  return all;
}

tensor::NamedTensors with_prefix(const tensor::NamedTensors& all, std::string_view prefix) {
  tensor::NamedTensors found;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) {
      found.push_back({name.substr(prefix.size()), tensor});
    }
  }
  return found;
}

const std::string& metadata_text(const Metadata& metadata, const std::string& key,
                                 const std::string& origin) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) {
    throw core::DataError("{}: not a checkpoint of ddpm-eval (no '{}' in its metadata)", origin, key);
  }
  return found->second;
}

int64_t metadata_count(const Metadata& metadata, const std::string& key, const std::string& origin) {
  const std::string& text = metadata_text(metadata, key, origin);
  const auto count = core::whole_number(text);
  if (count.value_or(-1) < 0) {
    throw core::DataError("{}: its metadata says '{}' for '{}', not a count", origin, text, key);
  }
  return *count;
}

struct Checkpoint {
  std::string origin;
  data::SafeTensors file;
  CheckpointHeader header;
};

[[noreturn]] void refuse_to_resume(const std::string& origin) {
  throw core::UsageError(
      "{}: was imported, and has no state of an optimiser to go on from; it can be sampled and scored",
      origin);
}

/// SHA-256 of all that training goes on from: the tensors in their order, and the metadata that no other
/// digest covers.
std::string content_digest(const tensor::NamedTensors& tensors, const Metadata& metadata) {
  std::vector<std::string> texts;
  for (const char* key : {"step", "log_window"}) {
    const auto found = metadata.find(key);
    texts.push_back(found == metadata.end() ? std::string() : found->second);
  }
  if (const auto origin = metadata.find(kOrigin); origin != metadata.end()) {
    texts.push_back(origin->second);
  }
  if (const auto watch = metadata.find(kLossWatch); watch != metadata.end()) {
    texts.push_back(watch->second);
  }
  return data::content_sha256(tensors, texts);
}

/// Files of earlier versions have no digest of their tensors.
void check_content(const data::SafeTensors& file, const std::string& origin) {
  const auto stored = file.metadata.find(kContentDigest);
  if (stored != file.metadata.end() && stored->second != content_digest(file.tensors, file.metadata)) {
    throw core::DataError("{}: the tensors do not match their digest: the file is damaged", origin);
  }
  for (const auto& [name, tensor] : file.tensors) {
    const bool optimiser = name.starts_with(kAdamPrefix);  // whose squares may overflow
    if (!optimiser && tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      throw core::DataError("{}: tensor '{}' holds NaN or infinity: the run diverged or the file is damaged",
                            origin, name);
    }
  }
}

CheckpointHeader parse_header(const Metadata& metadata, const std::string& origin) {
  if (const std::string& format = metadata_text(metadata, "format", origin); format != kFormat) {
    throw core::DataError("{}: a '{}' file, not a checkpoint of ddpm-eval", origin, format);
  }
  const int64_t version = metadata_count(metadata, "format_version", origin);
  if (version > kCheckpointVersion) {
    throw core::DataError("{}: format version {} is newer than the {} that this program reads; update it",
                          origin, version, kCheckpointVersion);
  }
  CheckpointHeader header{.step = metadata_count(metadata, "step", origin),
                          .config_json = metadata_text(metadata, "config", origin),
                          .imported_from = {}};
  if (metadata_text(metadata, "config_sha256", origin) != core::sha256_hex(header.config_json)) {
    throw core::DataError("{}: the stored configuration does not match its digest: the file is damaged",
                          origin);
  }
  if (const auto imported = metadata.find(kOrigin); imported != metadata.end()) {
    header.imported_from = imported->second;
    if (!Json::accept(header.imported_from)) {
      throw core::DataError("{}: its metadata says '{}' for '{}', which is not JSON", origin,
                            header.imported_from, kOrigin);
    }
  }
  return header;
}

/// `sha256`, if given, becomes that of the file's bytes as they were read.
Checkpoint read_checkpoint(const fs::path& path, std::string* sha256 = nullptr) {
  Checkpoint checkpoint;
  checkpoint.origin = path.string();
  data::FileStream file(path);
  if (sha256 != nullptr) {
    data::DigestStream digest(file);
    checkpoint.file = data::read_safetensors(digest);
    *sha256 = digest.sha256();
  } else {
    checkpoint.file = data::read_safetensors(file);
  }
  checkpoint.header = parse_header(checkpoint.file.metadata, checkpoint.origin);
  check_content(checkpoint.file, checkpoint.origin);
  return checkpoint;
}

std::optional<ConfigDifference> difference_of(const CheckpointHeader& stored, const std::string& config_json,
                                              const SameRun& same, const std::string& origin) {
  const Json there = core::parse_json(stored.config_json);
  if (!there.is_object()) {
    throw core::DataError("{}: the stored configuration is not a JSON object", origin);
  }
  return config_difference(there, Json::parse(config_json), same);
}

SavedWeights load_weights(const fs::path& path, std::string_view parameters, std::string_view buffers) {
  std::string sha256;
  Checkpoint checkpoint = read_checkpoint(path, &sha256);
  SavedWeights weights{.parameters = with_prefix(checkpoint.file.tensors, parameters),
                       .buffers = with_prefix(checkpoint.file.tensors, buffers),
                       .step = checkpoint.header.step,
                       .config_json = std::move(checkpoint.header.config_json),
                       .sha256 = std::move(sha256),
                       .imported_from = std::move(checkpoint.header.imported_from)};
  if (weights.parameters.empty() && !weights.imported_from.empty()) {
    throw core::DataError("{}: was imported, and has the averaged weights alone", checkpoint.origin);
  }
  return weights;
}

/// Writes the checkpoint and then its readable copy.
void write_checkpoint(const fs::path& folder, const tensor::NamedTensors& tensors, Metadata metadata,
                      const tensor::NamedTensors& parameters) {
  metadata["format"] = kFormat;
  metadata["format_version"] = std::to_string(kCheckpointVersion);
  metadata["config_sha256"] = core::sha256_hex(metadata.at("config"));
  metadata[kContentDigest] = content_digest(tensors, metadata);
  core::make_folders(folder);
  data::write_safetensors(folder / kCheckpointFile, tensors, metadata);

  int64_t weights = 0;
  for (const auto& [name, parameter] : parameters) {
    weights += parameter.numel();
  }
  Json summary;
  summary["format"] = kFormat;
  summary["format_version"] = kCheckpointVersion;
  summary["file"] = kCheckpointFile;
  summary["step"] = std::stoll(metadata.at("step"));
  summary["parameters"] = weights;
  summary["parameter_tensors"] = parameters.size();
  summary["config_sha256"] = metadata.at("config_sha256");
  if (const auto origin = metadata.find(kOrigin); origin != metadata.end()) {
    summary[kOrigin] = Json::parse(origin->second);
  }
  summary["config"] = Json::parse(metadata.at("config"));
  core::write_file(folder / kReadableFile, summary.dump(2) + "\n");
}

}  // namespace

TrainState new_state(TrainTask& task, const LoopConfig& config) {
  TrainState state;
  state.parameters = task.parameters();
  state.buffers = task.buffers();
  std::set<std::string_view> names;
  for (const auto& [name, parameter] : state.parameters) {
    DDPM_CHECK(parameter.is_leaf() && parameter.requires_grad(), "'{}' cannot be trained", name);
    DDPM_CHECK(names.insert(name).second, "two parameters are called '{}'", name);
  }
  state.adam = Adam(
      state.parameters,
      {.beta1 = config.beta1, .beta2 = config.beta2, .eps = config.eps, .weight_decay = config.weight_decay});
  state.ema = Ema(state.parameters, state.buffers, {.decay = config.ema_decay, .ramp = config.ema_ramp});
  return state;
}

bool has_checkpoint(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(folder / kCheckpointFile, ignored));
}

void save_checkpoint(const fs::path& folder, const TrainState& state, const std::string& config_json) {
  Metadata metadata{
      {"step", std::to_string(state.step)}, {"config", config_json}, {"log_window", state.window.to_json()}};
  if (!state.watch.empty()) {
    metadata[kLossWatch] = state.watch.to_json();
  }
  write_checkpoint(folder, state_tensors(state), std::move(metadata), state.parameters);
}

void save_imported(const fs::path& folder, const ImportedWeights& weights) {
  DDPM_CHECK(!weights.imported_from.empty(), "imported from nowhere");
  tensor::NamedTensors all;
  append_prefixed("model.", weights.last, all);
  append_prefixed("buffer.", weights.last.empty() ? tensor::NamedTensors() : weights.buffers, all);
  append_prefixed("ema.", weights.averaged, all);
  append_prefixed("ema_buffer.", weights.buffers, all);
  write_checkpoint(folder, all,
                   {{"step", std::to_string(weights.step)},
                    {"config", weights.config_json},
                    {kOrigin, weights.imported_from}},
                   weights.averaged);
}

void require_resumable(const fs::path& folder) {
  const fs::path path = folder / kCheckpointFile;
  if (data::read_safetensors_metadata(path).contains(kOrigin)) {
    refuse_to_resume(path.string());
  }
}

void load_checkpoint(const fs::path& folder, const std::string& config_json, const SameRun& same,
                     TrainState& state) {
  const Checkpoint checkpoint = read_checkpoint(folder / kCheckpointFile);
  if (!checkpoint.header.imported_from.empty()) {
    refuse_to_resume(checkpoint.origin);
  }
  if (const auto difference = difference_of(checkpoint.header, config_json, same, checkpoint.origin)) {
    throw core::UsageError(
        "{}: {} was {} and is {} now; resume with the same configuration, or train into another folder",
        checkpoint.origin, difference->key, difference->stored, difference->now);
  }
  LogWindow window = LogWindow::from_json(
      metadata_text(checkpoint.file.metadata, "log_window", checkpoint.origin), checkpoint.origin);
  const auto stored_watch = checkpoint.file.metadata.find(kLossWatch);
  LossWatch watch = stored_watch == checkpoint.file.metadata.end()
                        ? LossWatch()
                        : LossWatch::from_json(stored_watch->second, checkpoint.origin);
  tensor::copy_exactly(checkpoint.file.tensors, state_tensors(state), checkpoint.origin);
  state.window = std::move(window);
  state.watch = std::move(watch);
  state.step = checkpoint.header.step;
}

void keep_as_best(const fs::path& folder) { core::keep_copy(folder / kCheckpointFile, folder / kBestFile); }

CheckpointHeader read_header(const fs::path& folder) {
  const fs::path path = folder / kCheckpointFile;
  return parse_header(data::read_safetensors_metadata(path), path.string());
}

SavedWeights load_ema_weights(const fs::path& folder) {
  return load_weights(folder / kCheckpointFile, "ema.", "ema_buffer.");
}

SavedWeights load_best_weights(const fs::path& folder, const CheckpointHeader& run, const SameRun& same) {
  const fs::path path = folder / kBestFile;
  auto weights = load_weights(path, "ema.", "ema_buffer.");
  const CheckpointHeader header{weights.step, weights.config_json, weights.imported_from};
  const auto refuse = [&](const std::string& why) {
    throw core::DataError("{}: is of another run than {} beside it: {}; put the right one back",
                          path.string(), kCheckpointFile, why);
  };
  if (const auto difference = difference_of(header, run.config_json, same, path.string())) {
    refuse(fmt::format("{} is {} there and {} here", difference->key, difference->stored, difference->now));
  }
  if (weights.imported_from != run.imported_from) {
    refuse("the two were not imported from the same files");
  }
  if (weights.step > run.step) {
    refuse(fmt::format("step {} there, and the run is at {}", weights.step, run.step));
  }
  return weights;
}

SavedWeights load_model_weights(const fs::path& folder) {
  return load_weights(folder / kCheckpointFile, "model.", "buffer.");
}

}  // namespace ddpm_eval::training
