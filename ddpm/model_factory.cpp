#include "ddpm/model_factory.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

/// No channel count or side of a checkpoint is above this; more would be a damaged file asking for memory.
constexpr int64_t kMaxSide = 65'536;

std::unique_ptr<DiffusionNetwork> make_network(const RunConfig& config, at::IntArrayRef row_shape,
                                               ParameterMaker maker) {
  const auto& source = config.data.source;
  if (config.model.is_for_points()) {
    const bool gated = config.model.kind == NetworkKind::kGatedMlp;
    if (row_shape.size() != 1) {
      throw core::UsageError(core::Key{"model.kind"}, "'{}' is for points, and {} has images; use 'unet'",
                             network_word(config.model.kind), source);
    }
    const int64_t outputs = config.objective.parameterisation.output_channels(row_shape[0]);
    if (gated) {
      return std::make_unique<GatedMlp>(config.model.gated_mlp, row_shape[0], outputs, config.process.steps,
                                        std::move(maker));
    }
    return std::make_unique<Mlp>(config.model.mlp, row_shape[0], outputs, std::move(maker));
  }
  if (row_shape.size() != 3) {
    throw core::UsageError(core::Key{"model.kind"}, "'unet' is for images, and {} has points; use 'mlp'",
                           source);
  }
  if (row_shape[1] != row_shape[2]) {
    throw core::UsageError(core::Key{"model.kind"}, "'unet' needs square images, and {} has {} x {}", source,
                           row_shape[2], row_shape[1]);
  }
  const UNetShape shape{.in_channels = row_shape[0],
                        .out_channels = config.objective.parameterisation.output_channels(row_shape[0]),
                        .image_side = row_shape[1]};
  return std::make_unique<UNet>(config.model.unet, shape, std::move(maker));
}

/// Takes the data's mean and standard deviation into the model and returns the standardised points.
at::Tensor standardise(Model& model, const at::Tensor& points) {
  const auto exact = points.to(torch::kFloat64);
  const auto mean = exact.mean(0);
  const auto std = (exact - mean).pow(2).mean(0).sqrt();
  if (!(std.isfinite() & (std > 0)).all().item<bool>()) {
    throw core::DataError(
        "the training points cannot be standardised: a coordinate is constant or not finite");
  }
  model.mean.copy_(mean);
  model.std.copy_(std);
  return (points - model.mean) / model.std;
}

Model assemble(const RunConfig& config, at::IntArrayRef row_shape, ParameterMaker maker) {
  Model model{.network = make_network(config, row_shape, std::move(maker)),
              .process = DiffusionProcess(make_betas(config.process)),
              .parameterisation = config.objective.parameterisation,
              .row_shape = row_shape.vec(),
              .mean = {},
              .std = {}};
  if (!model.makes_images()) {
    model.mean = torch::zeros({row_shape[0]}, torch::kFloat32);
    model.std = torch::ones({row_shape[0]}, torch::kFloat32);
  }
  return model;
}

/// Runs `make`; a configuration that does not suit is a damaged file here, nothing that the user has written.
template <class Make>
auto from_stored_config(const std::string& origin, Make make) {
  try {
    return make();
  } catch (const core::UsageError& error) {
    throw core::DataError("{}: the checkpoint's configuration is not usable: {}", origin, error.what());
  }
}

}  // namespace

tensor::NamedTensors Model::buffers() const {
  tensor::NamedTensors buffers{{"data.shape", torch::tensor(row_shape, torch::kInt64)}};
  if (!makes_images()) {
    buffers.push_back({"data.mean", mean});
    buffers.push_back({"data.std", std});
  }
  return buffers;
}

Model make_model(const RunConfig& config, at::IntArrayRef row_shape) {
  return assemble(config, row_shape, ParameterMaker(static_cast<uint64_t>(config.train.seed)));
}

void check_model(const RunConfig& config, at::IntArrayRef row_shape) {
  make_network(config, row_shape, ParameterMaker::layout());
}

std::unique_ptr<DdpmTask> make_task(const RunConfig& config, Model& model, const at::Tensor& data) {
  DDPM_CHECK(data.sizes().slice(1) == at::IntArrayRef(model.row_shape), "data is {}", tensor::describe(data));
  const bool standardises = !model.makes_images() && config.data.standardise && data.size(0) > 0;
  const ObjectiveOptions options{.batch_size = config.train.batch_size,
                                 .flip = config.train.flip,
                                 .seed = static_cast<uint64_t>(config.train.seed),
                                 .precision = config.train.precision,
                                 .objective = config.objective};
  return std::make_unique<DdpmTask>(*model.network, model.process,
                                    standardises ? standardise(model, data) : data, options, model.buffers());
}

RunConfig restore_config(const std::string& config_json, const std::string& origin) {
  return from_stored_config(origin, [&] {
    auto tree = core::ConfigTree::from_json(config_json, origin);
    RunConfig config;
    core::read_config(tree, config);
    config.validate();
    return config;
  });
}

Model restore_model(const training::SavedWeights& weights, const std::string& origin) {
  const auto config = restore_config(weights.config_json, origin);
  const at::Tensor shape = tensor::find(weights.buffers, "data.shape");
  const bool readable = shape.defined() && shape.scalar_type() == torch::kInt64 && shape.dim() == 1 &&
                        (shape.numel() == 1 || shape.numel() == 3) && shape.min().item<int64_t>() >= 1 &&
                        shape.max().item<int64_t>() <= kMaxSide;
  if (!readable) {
    throw core::DataError("{}: not a checkpoint of a diffusion model: no usable tensor 'data.shape'", origin);
  }
  const at::Tensor plain = shape.contiguous();
  const at::IntArrayRef row_shape(plain.data_ptr<int64_t>(), static_cast<size_t>(plain.numel()));
  Model model = from_stored_config(
      origin, [&] { return assemble(config, row_shape, ParameterMaker(weights.parameters, origin)); });
  tensor::NamedTensors buffers;  // without the state of the objective, which sampling does not need
  std::copy_if(weights.buffers.begin(), weights.buffers.end(), std::back_inserter(buffers),
               [](const auto& buffer) { return !buffer.name.starts_with("objective."); });
  tensor::copy_exactly(buffers, model.buffers(), origin);
  return model;
}

at::Tensor sample_data(const Model& model, const SampleOptions& options, std::span<const int64_t> indices,
                       const SampleProgress& progress) {
  const auto x_0 = sample(*model.network, model.process, model.parameterisation, options, indices,
                          model.row_shape, progress);
  return model.makes_images() ? to_u8(x_0, options.rounding) : x_0 * model.std + model.mean;
}

}  // namespace ddpm_eval::ddpm
