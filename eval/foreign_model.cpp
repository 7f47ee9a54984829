#include "eval/foreign_model.h"

#include "base/core/config.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "base/data/torch_file.h"
#include "ddpm/interchange/diffusers_config.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxJsonBytes = 1 << 20;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The first of `names` that is in `folder` or in its part `below`, as diffusers looks for them.
fs::path find_in(const fs::path& folder, const char* below, const std::vector<std::string>& names) {
  for (const auto& place : {folder / below, folder}) {
    for (const auto& name : names) {
      if (is_file(place / name)) {
        return place / name;
      }
    }
  }
  throw core::DataError("{}: has no {}, nor has its folder {}", folder.string(), core::join_or(names), below);
}

/// The tensors of a file, by its ending.
tensor::NamedTensors read_weights(const fs::path& path) {
  const auto ending = path.extension();
  if (ending == ".safetensors") {
    return data::read_safetensors(path).tensors;
  }
  if (ending == ".npz") {
    const data::NpzReader archive(path);
    tensor::NamedTensors tensors;
    for (const auto& name : archive.names()) {
      tensors.push_back({name, archive.read(name)});
    }
    return tensors;
  }
  return data::read_torch_file(path);
}

void add_file(core::Json& origin, const fs::path& path) {
  origin["files"].push_back({{"name", path.filename().string()}, {"sha256", core::sha256_of_file(path)}});
}

/// The layout that the configuration asks for.
ddpm::UNetLayout layout_of(const ForeignModel& model) {
  model.config.validate();
  const auto& parameterisation = model.config.objective.parameterisation;
  return {model.config.model.unet,
          {.in_channels = model.row_shape[0],
           .out_channels = parameterisation.output_channels(model.row_shape[0]),
           .image_side = model.row_shape[1]}};
}

/// The same of a folder; what does not suit is told by the file and its own key.
ddpm::UNetLayout layout_of_folder(const ForeignModel& model, const fs::path& network,
                                  const fs::path& scheduler) {
  try {
    return layout_of(model);
  } catch (const core::UsageError& error) {
    if (const auto key = ddpm::diffusers_key(error.key())) {
      throw core::DataError("{}: {}: {}", (key->is_of_scheduler ? scheduler : network).string(), key->name,
                            error.problem());
    }
    throw core::DataError("{}: {}", network.string(), error.what());
  }
}

void take_weights(ForeignModel& model, ddpm::Naming naming, const tensor::NamedTensors& file,
                  const ddpm::UNetLayout& layout, const fs::path& path) {
  model.weights = ddpm::from_foreign(naming, file, layout, path.string());
  model.origin["layout"] = ddpm::naming_word(naming);
  add_file(model.origin, path);
}

ForeignModel read_folder(const ImportRequest& request) {
  if (!request.config.empty()) {
    throw core::UsageError("--config {}: a folder of diffusers has a configuration; leave this out",
                           request.config);
  }
  const auto network = find_in(request.source, "unet", {"config.json"});
  const auto weights =
      find_in(request.source, "unet", {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"});
  const auto scheduler = request.scheduler.empty()
                             ? find_in(request.source, "scheduler", {"scheduler_config.json"})
                             : request.scheduler;
  const auto text = [](const fs::path& path) {
    return ddpm::NamedText{core::read_text(path, kMaxJsonBytes), path.string()};
  };
  auto found = ddpm::from_diffusers(text(network), text(scheduler), request.side);
  ForeignModel model;
  model.config = std::move(found.config);
  model.row_shape = std::move(found.row_shape);
  const auto layout = layout_of_folder(model, network, scheduler);
  take_weights(model, ddpm::Naming::kDiffusers, read_weights(weights), layout, weights);
  model.weights.notes.insert(model.weights.notes.begin(), found.notes.begin(), found.notes.end());
  add_file(model.origin, network);
  add_file(model.origin, scheduler);
  return model;
}

ForeignModel read_file(const ImportRequest& request) {
  if (!request.scheduler.empty()) {
    throw core::UsageError(
        "--scheduler {}: is for a folder of diffusers; --config says the process of a file",
        request.scheduler.string());
  }
  if (request.config.empty()) {
    throw core::UsageError(
        "{}: a file of weights says nothing of its process; name the configuration with "
        "--config (configs/cifar10.toml)",
        request.source.string());
  }
  if (!request.side) {
    throw core::UsageError("{}: a file of weights does not say the images' side; name it with --side",
                           request.source.string());
  }
  ForeignModel model;
  auto tree = core::ConfigTree::from_file(request.config);
  model.config = ddpm::read_run_config(tree);
  if (model.config.model.kind != ddpm::NetworkKind::kUNet) {
    throw core::UsageError("{}: model.kind: only 'unet' has a form in other programs", request.config);
  }
  const auto file = read_weights(request.source);
  const auto naming = ddpm::naming_of(file, request.source.string());
  model.row_shape = {ddpm::input_channels(naming, file, request.source.string()), *request.side,
                     *request.side};
  const auto layout = core::named_as_given(tree, [&] { return layout_of(model); });
  take_weights(model, naming, file, layout, request.source);
  return model;
}

}  // namespace

ForeignModel read_foreign_model(const ImportRequest& request) {
  if (request.side && (*request.side < 1 || *request.side > ddpm::kMaxImageSide)) {
    throw core::UsageError("--side {}: is not within 1..{}", *request.side, ddpm::kMaxImageSide);
  }
  std::error_code error;
  if (!fs::exists(request.source, error)) {
    throw core::DataError("{}: there is no such file or folder", request.source.string());
  }
  auto model = fs::is_directory(request.source, error) ? read_folder(request) : read_file(request);
  model.config.data.source = request.data;
  try {
    model.config.validate();  // it was sound before
  } catch (const core::UsageError& unsuited) {
    throw core::UsageError("--data {}: {}", request.data, unsuited.what());
  }
  const auto whole = fs::absolute(request.source).lexically_normal();
  model.origin["name"] = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  model.origin["notes"] = model.weights.notes;
  return model;
}

}  // namespace ddpm_eval::eval
