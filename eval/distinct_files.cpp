#include "eval/distinct_files.h"

#include "base/core/error.h"
#include "base/data/sinks.h"
#include "base/data/source_spec.h"
#include "eval/run_files.h"

#include <algorithm>

namespace ddpm_eval::eval {
namespace fs = std::filesystem;

namespace {

/// Two names of one file become the same path, also of a file that is not there yet.
fs::path canonical_path(const fs::path& path) {
  std::error_code error;
  const auto whole = fs::absolute(path, error).lexically_normal();
  const auto plain = whole.has_filename() ? whole : whole.parent_path();
  const auto canonical = fs::weakly_canonical(plain, error);
  return error ? plain : canonical;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto ends = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return ends.first == folder.end() && ends.second != path.end();
}

/// Whether writing there could replace anything.
bool is_place(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  const bool device = fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
  return !path.empty() && path != "-" && !device;
}

void require_apart(const FlagFile& output, const FlagFile& other) {
  const auto target = canonical_path(output.path);
  const auto place = canonical_path(other.path);
  if (target == place) {
    throw core::UsageError(
        "{} {}: is a file of {} as well, and one would replace the other; choose another name", output.flag,
        output.path.string(), other.flag);
  }
  if (other.holds_images && data::is_image_name(target) && is_below(target, place)) {
    throw core::UsageError(
        "{} {}: lies in the folder of {}, where it would count as one of the images; choose another",
        output.flag, output.path.string(), other.flag);
  }
}

}  // namespace

std::vector<FlagFile> source_files(const std::string& flag, const std::string& source) {
  const auto spec = data::parse_source(source);
  if (spec.path.empty()) {
    return {};
  }
  std::vector<FlagFile> files = {{flag, spec.path, spec.kind == data::SourceKind::kFolder}};
  if (spec.kind == data::SourceKind::kFolder) {
    files.push_back({flag, spec.path / data::kSampleProvenance});
  } else if (spec.kind == data::SourceKind::kList && fs::is_regular_file(spec.path)) {
    for (auto& image : data::listed_images(spec.path)) {
      files.push_back({flag, std::move(image)});
    }
  } else if (spec.kind == data::SourceKind::kRun) {
    const auto of_run = files_of_run(flag, spec.path);
    files.insert(files.end(), of_run.begin(), of_run.end());
  }
  return files;
}

void require_distinct(const std::vector<FlagFile>& outputs, const std::vector<FlagFile>& inputs) {
  for (auto output = outputs.begin(); output != outputs.end(); ++output) {
    if (!is_place(output->path)) {
      continue;
    }
    const auto check = [&](const FlagFile& other) {
      if (other.flag != output->flag && is_place(other.path)) {
        require_apart(*output, other);
      }
    };
    std::for_each(outputs.begin(), outputs.end(), check);
    std::for_each(inputs.begin(), inputs.end(), check);
  }
}

void require_no_model_in(const FlagFile& folder) {
  std::error_code error;
  for (const char* name : {training::kCheckpointFile, training::kBestFile, kRunRecordFile, "model_index.json",
                           "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"}) {
    if (fs::exists(folder.path / name, error)) {
      throw core::UsageError("{} {}: is the folder of a model ({} is there); choose another", folder.flag,
                             folder.path.string(), name);
    }
  }
}

void require_outside(const FlagFile& output, const FlagFile& folder) {
  std::error_code error;
  if (fs::is_directory(folder.path, error) &&
      is_below(canonical_path(output.path), canonical_path(folder.path))) {
    throw core::UsageError("{} {}: lies in the folder of {}; choose another", output.flag,
                           output.path.string(), folder.flag);
  }
}

}  // namespace ddpm_eval::eval
