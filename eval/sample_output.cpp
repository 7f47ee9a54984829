#include "eval/sample_output.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/data/array_source.h"
#include "base/data/image_folder.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace fs = std::filesystem;

namespace {

using core::Json;

constexpr const char* kRecordKind = "samples";
constexpr const char* kNpySha256 = "npy_sha256";
constexpr int64_t kMaxProvenance = 1 << 20;  ///< bytes of a record of how samples were made

bool is_npz(const fs::path& path) { return path.extension() == ".npz"; }

/// Of points, which an .npy has no room for beside it: points.npy has points.samples.json.
fs::path provenance_file(const fs::path& source) {
  return source.extension() == ".npy" ? points_provenance_file(source) : source / data::kSampleProvenance;
}

/// Whether a file tells of samples of this program, whichever they are.
bool is_samples_record(const fs::path& path) {
  try {
    const auto json = core::parse_json(core::read_text(path, kMaxProvenance), core::kMaxEmbeddedJsonDepth);
    return json.is_object() && json.contains("kind") && json["kind"] == kRecordKind;
  } catch (const core::Error&) {
    return false;
  }
}

/// Samples may only be added to others of the same making.
void require_same_making(const fs::path& folder, const Json& there, const Json& here) {
  // Samples of earlier versions have the sampler as it was configured.
  const auto comparable = [&](const char* key, const Json& value) {
    return std::string_view(key) == "sampler"
               ? resolved_sampler(value, here.at("process"), here.at("objective"))
               : value;
  };
  for (const char* key : {"kind", "schema", "checkpoint_sha256", "weights", "sampler", "seed"}) {
    const Json stored = there.is_object() && there.contains(key) ? there[key] : Json();
    if (comparable(key, stored) != comparable(key, here.at(key))) {
      throw core::UsageError("{}: holds samples with another {}: {} there, {} here; choose another folder",
                             folder.string(), key, core::json_text(stored), core::json_text(here.at(key)));
    }
  }
  const auto stored_or_none = [](const Json& json, const char* key) {
    return json.is_object() ? json.value(key, Json()) : Json();
  };
  for (const char* key : {"tool", "threads", "device", "tf32"}) {
    if (stored_or_none(there, key) != stored_or_none(here, key)) {
      print_note(
          fmt::format("{}: begun with another {}: single grey levels may differ from an unbroken call's",
                      folder.string(), key));
    }
  }
}

int64_t continue_folder(const fs::path& folder, const Json& provenance, int64_t micro_batch) {
  const auto stored = folder / data::kSampleProvenance;
  if (fs::exists(stored)) {
    require_same_making(folder, core::read_record(stored), provenance);
  } else if (data::holds_png(folder)) {
    throw core::UsageError("{}: holds PNG files of unknown making; name another folder or remove them",
                           folder.string());
  }
  const auto count = provenance.at("count").get<int64_t>();
  const int64_t present = data::count_png_sequence(folder);
  if (present > count) {
    throw core::UsageError("{}: holds {} samples already, more than --num {}; choose another folder",
                           folder.string(), present, count);
  }
  core::remove_abandoned_files(folder);
  core::write_record(stored, provenance);
  return present == count ? count : present / micro_batch * micro_batch;
}

}  // namespace

Json sample_provenance(const LoadedRun& run, int64_t count) {
  auto provenance = core::new_record(kRecordKind);
  provenance.erase("created");
  for (const auto& [key, value] : run.record.items()) {
    if (key != "run") {
      provenance[key] = value;
    }
  }
  provenance["count"] = count;
  provenance.update(tensor::arithmetic_context());
  return provenance;
}

bool holds_samples(const fs::path& source, const Json& provenance) {
  auto found = read_sample_provenance(source);
  if (found.is_object()) {
    found.erase(kNpySha256);
  }
  return found == provenance;
}

fs::path points_provenance_file(const fs::path& points) {
  return fs::path(points).replace_extension(data::kSampleProvenance);
}

Json read_sample_provenance(const fs::path& source) {
  std::error_code error;
  if (!is_npz(source) && !fs::is_regular_file(provenance_file(source), error)) {
    return {};
  }
  std::string text;
  try {
    text = is_npz(source) ? data::NpzReader(source).read_text(data::kSampleProvenance)
                          : core::read_text(provenance_file(source), kMaxProvenance);
  } catch (const core::DataError&) {
    return {};
  }
  auto json = core::parse_json(text, core::kMaxEmbeddedJsonDepth);
  if (!json.is_object()) {
    return {};
  }
  if (source.extension() == ".npy") {  // which another program may have replaced
    const bool same = json.contains(kNpySha256) && json[kNpySha256] == core::sha256_of_file(source);
    return same ? json : Json();
  }
  return json;
}

void require_replaceable(const fs::path& target) {
  std::error_code error;
  const auto beside = target.extension() == ".npy" ? points_provenance_file(target) : fs::path();
  if (fs::exists(beside, error) && !is_samples_record(beside)) {
    throw core::UsageError(
        "--out {}: what is known of the samples would go into {}, which is there and is something else; "
        "choose "
        "another name, or remove it first",
        target.string(), beside.string());
  }
  if (fs::is_regular_file(target, error) && read_sample_provenance(target).is_null()) {
    throw core::UsageError(
        "--out {}: is there, and not samples of this program; choose another name, or remove it first",
        target.string());
  }
}

void write_points(const fs::path& target, const at::Tensor& points, Json provenance) {
  const auto npy = data::to_npy(points);
  provenance[kNpySha256] = core::sha256_hex(npy);
  // First, so that a kill in between leaves no points that nothing is known of.
  core::write_record(points_provenance_file(target), provenance);
  core::write_file(target, {npy.data(), npy.size()});
}

SampleOutput open_sample_output(const fs::path& target, const Json& provenance, int64_t micro_batch) {
  auto& group = tensor::process_group();
  group.require_same("--num", provenance.at("count").dump());
  SampleOutput output;
  output.resumable = !is_npz(target);
  if (group.is_first() && !output.resumable) {
    output.sink = data::make_npz_sink(target, core::record_text(provenance));
  } else if (group.is_first()) {
    core::make_folders(target);
    output.lock = std::make_unique<core::FolderLock>(target);
    output.first = continue_folder(target, provenance, micro_batch);
    output.sink = data::make_png_folder_sink(target, output.first);
  }
  output.first = group.number_from_first(output.first);
  return output;
}

void draw_samples(const LoadedRun& run, const SampleOutput& output, int64_t count,
                  const std::function<void(int64_t done)>& stop, const ProgressFn& progress) {
  const int64_t round = samples_of_a_round(run);
  for (int64_t begin = output.first; begin < count; begin += round) {
    const int64_t end = std::min(count, begin + round);
    const auto samples = draw(run, begin, end, [&] { stop(begin); });
    if (output.sink) {
      output.sink->write(samples);
    }
    progress(end, count);
  }
  if (output.sink) {
    output.sink->finish();
  }
}

void write_sample_grid(const fs::path& samples, int64_t images, const fs::path& target) {
  const data::Subset first{.first = 0, .count = images};
  const auto source =
      is_npz(samples) ? data::open_array_source(samples, first)
                      : data::open_image_folder(
                            samples, {.on_bad_file = data::OnBadFile::kFail, .subset = first, .threads = 1});
  std::vector<at::Tensor> parts;
  for (at::Tensor part; (part = source->next(images)).defined();) {
    parts.push_back(part);
  }
  const auto rgb = torch::cat(parts);
  const auto grey = rgb.narrow(1, 0, 1);
  write_grid(target, rgb.eq(grey).all().item<bool>() ? grey.contiguous() : rgb);
}

}  // namespace ddpm_eval::eval
