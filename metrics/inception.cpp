#include "metrics/inception.h"

#include "base/core/error.h"
#include "base/tensor/convolution.h"
#include "base/tensor/gpu_memory.h"
#include "base/tensor/runtime.h"
#include "base/tensor/shape.h"
#include "metrics/pool.h"
#include "metrics/preprocess.h"

#include <unordered_map>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

constexpr double kBatchNormEps = 0.001;
constexpr int64_t kTileRows = 2;  ///< images that a processor's thread takes through at once
constexpr int64_t kTilesPerThread = 2;
constexpr int64_t kGpuMicroBatch = 256;  ///< with less a GPU is slower

using tensor::FrozenConvolution;

struct FoldedBranch {
  Pool pool = Pool::kNone;
  std::vector<FrozenConvolution> chain;
  std::vector<FrozenConvolution> fork;
};

using FoldedBlock = std::vector<FoldedBranch>;

/// Each convolution multiplies in the type of what it is given: the first, whose input is float32, in
/// float32.
at::Tensor run_block(const FoldedBlock& block, const at::Tensor& input, at::ScalarType dtype) {
  std::vector<at::Tensor> parts;
  for (const FoldedBranch& branch : block) {
    at::Tensor x = pooled(branch.pool, input);
    for (const auto& unit : branch.chain) {
      x = unit(x, x.scalar_type()).to(dtype);
    }
    for (const auto& unit : branch.fork) {
      parts.push_back(unit(x, dtype));
    }
    if (branch.fork.empty()) {
      parts.push_back(std::move(x));
    }
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

/// The spatial features of a map whose first channels they are.
at::Tensor spatial_of(const at::Tensor& map) {
  const auto rows_columns_channels = map.narrow(1, 0, kSpatialChannels).permute({0, 2, 3, 1});
  return rows_columns_channels.to(at::kFloat).flatten(1).contiguous();
}

class Inception final : public FeatureNet {
 public:
  /// `classifier` is undefined for layers below it.
  Inception(std::vector<FoldedBlock> blocks, at::Tensor classifier, const InceptionOptions& options)
      : blocks_(std::move(blocks)),
        classifier_(std::move(classifier)),
        device_(tensor::compute_device()),
        micro_batch_(device_.is_cuda() ? kGpuMicroBatch
                                       : kTilesPerThread * kTileRows * at::get_num_threads()),
        dtype_(tensor::dtype_of(options.precision)),
        preset_(options.preset),
        layer_(options.layer),
        spatial_(options.spatial) {
    DDPM_CHECK(!spatial_ || layer_ == InceptionLayer::kPool3,
               "spatial features beside those of a lower layer");
    info_.name = layer_info(layer_).name;
    info_.weights_sha256 = options.weights_sha256;
    info_.preset = std::string(preset_.name);
    info_.precision = options.precision;
    info_.dim = layer_info(layer_).dim;
    info_.classes = classifier_.defined() ? kInceptionClasses : 0;
    if (options.weights_sha256 != kPublishedInceptionSha256) {
      info_.note = fmt::format(
          "{} is not the published FID Inception (SHA-256 {}...): scores cannot be compared with published "
          "ones",
          options.origin, kPublishedInceptionSha256.substr(0, 8));
    }
  }

  const FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return micro_batch_; }

  at::Tensor prepare(const at::Tensor& images) const override {
    const at::NoGradGuard no_grad;
    return preprocess_on_device(preset_, images, kInceptionSide);
  }

  NetOutput forward(const at::Tensor& input) const override {
    tensor::expect(input, at::kFloat, {micro_batch_, 3, kInceptionSide, kInceptionSide}, "input");
    const at::NoGradGuard no_grad;
    if (device_.is_cuda()) {
      const auto outputs = tensor::halved_when_full({input}, [&](const auto& inputs) {
        const NetOutput part = run(inputs.front());
        return std::vector<at::Tensor>{part.features, part.logits, part.spatial};
      });
      return {outputs[0], outputs[1], outputs[2]};
    }
    // A thread takes its images through the whole network: what a layer leaves stays in its cache, and none
    // waits for another after every layer. Bits depend on no more than the tile.
    const auto room = [&](bool wanted, int64_t columns) {
      return wanted ? at::empty({micro_batch_, columns}, at::kFloat) : at::Tensor();
    };
    NetOutput output{room(true, info_.dim), room(classifier_.defined(), kInceptionClasses),
                     room(spatial_, layer_info(InceptionLayer::kSpatial).dim)};
    at::parallel_for(0, micro_batch_ / kTileRows, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad_here;  // modes belong to threads
      for (int64_t tile = begin; tile < end; ++tile) {
        const auto rows = [&](const at::Tensor& x) { return x.narrow(0, tile * kTileRows, kTileRows); };
        const NetOutput part = run(rows(input));
        for (const auto member : {&NetOutput::features, &NetOutput::logits, &NetOutput::spatial}) {
          if ((part.*member).defined()) {
            rows(output.*member).copy_(part.*member);
          }
        }
      }
    });
    return output;
  }

 private:
  /// The outputs for the images of `input`, on the network's device.
  NetOutput run(const at::Tensor& input) const {
    NetOutput output;
    at::Tensor x = input.contiguous(at::MemoryFormat::ChannelsLast);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      x = run_block(blocks_[i], x, dtype_);
      if (spatial_ && i + 1 == layer_info(InceptionLayer::kSpatial).blocks) {
        output.spatial = spatial_of(x);
      }
    }
    output.features =
        layer_ == InceptionLayer::kSpatial ? spatial_of(x) : x.to(at::kFloat).mean({2, 3}).contiguous();
    if (classifier_.defined()) {
      output.logits = at::linear(output.features, classifier_);
    }
    return output;
  }

  std::vector<FoldedBlock> blocks_;
  at::Tensor classifier_;
  at::Device device_;
  int64_t micro_batch_;
  at::ScalarType dtype_;
  Preset preset_;
  InceptionLayer layer_;
  bool spatial_;
  FeatureNetInfo info_;
};

/// The state dict by name, checked against what the network needs.
class CheckedWeights {
 public:
  CheckedWeights(const tensor::NamedTensors& weights, const std::string& origin) : origin_(origin) {
    for (const auto& [name, tensor] : weights) {
      by_name_[name] = tensor;
    }
    const auto specs = expected_inception_tensors();
    for (const TensorSpec& spec : specs) {
      check(spec);
    }
    for (const auto& entry : weights) {
      const auto same_name = [&](const TensorSpec& spec) { return spec.name == entry.name; };
      if (std::none_of(specs.begin(), specs.end(), same_name)) {
        throw core::DataError("{}: tensor '{}' is not part of the FID Inception-v3{}", origin_, entry.name,
                              entry.name.starts_with("AuxLogits.") ? kTorchvisionHint : "");
      }
    }
  }

  const at::Tensor& operator[](const std::string& name) const { return by_name_.at(name); }

 private:
  static constexpr const char* kTorchvisionHint =
      "; these look like torchvision's weights, which are a different network";

  void check(const TensorSpec& spec) const {
    const auto found = by_name_.find(spec.name);
    if (found == by_name_.end()) {
      if (spec.optional) {
        return;
      }
      throw core::DataError("{}: tensor '{}' is missing; expected the {} tensors of the FID Inception-v3",
                            origin_, spec.name, expected_inception_tensors().size());
    }
    const at::Tensor& tensor = found->second;
    if (!tensor.defined() || tensor.scalar_type() != spec.dtype ||
        tensor.sizes() != at::IntArrayRef(spec.shape)) {
      const bool thousand = spec.name.starts_with("fc.") && tensor.defined() && tensor.size(0) == 1000;
      throw core::DataError("{}: tensor '{}' is {} where {} {} is needed{}", origin_, spec.name,
                            tensor::describe(tensor), spec.dtype == at::kFloat ? "float32" : "int64",
                            tensor::describe(at::IntArrayRef(spec.shape)), thousand ? kTorchvisionHint : "");
    }
    if (spec.dtype == at::kFloat && !at::isfinite(tensor.sum(at::kDouble)).item<bool>()) {
      throw core::DataError("{}: tensor '{}' holds NaN or infinity", origin_, spec.name);
    }
    if (spec.name.ends_with(".running_var") && tensor.min().item<float>() < 0) {
      throw core::DataError("{}: tensor '{}' has a negative variance", origin_, spec.name);
    }
  }

  const std::string& origin_;
  std::unordered_map<std::string, at::Tensor> by_name_;
};

FrozenConvolution fold(const Unit& unit, const CheckedWeights& weights) {
  const auto float64 = [&](const char* suffix) { return weights[unit.name + suffix].to(at::kDouble); };
  const at::Tensor scale = float64(".bn.weight") / (float64(".bn.running_var") + kBatchNormEps).sqrt();
  const at::Tensor bias = float64(".bn.bias") - float64(".bn.running_mean") * scale;
  const at::Tensor weight = float64(".conv.weight") * scale.view({-1, 1, 1, 1});
  const auto device = tensor::compute_device();
  const tensor::Sides pad{unit.pad_h, unit.pad_w};
  return {weight.to(at::kFloat).to(device),
          bias.to(at::kFloat).to(device),
          {unit.stride, pad, pad},
          tensor::Rectifier::kRelu};
}

std::vector<FrozenConvolution> fold(const std::vector<Unit>& units, const CheckedWeights& weights) {
  std::vector<FrozenConvolution> folded;
  folded.reserve(units.size());
  for (const Unit& unit : units) {
    folded.push_back(fold(unit, weights));
  }
  return folded;
}

}  // namespace

std::unique_ptr<FeatureNet> make_inception(const tensor::NamedTensors& weights,
                                           const InceptionOptions& options) {
  const at::NoGradGuard no_grad;
  const CheckedWeights checked(weights, options.origin);
  std::vector<FoldedBlock> blocks;
  for (const Block& block : inception_layout(options.layer)) {
    FoldedBlock folded;
    for (const Branch& branch : block.branches) {
      folded.push_back({branch.pool, fold(branch.chain, checked), fold(branch.fork, checked)});
    }
    blocks.push_back(std::move(folded));
  }
  const bool has_classifier = options.layer == InceptionLayer::kPool3;
  auto classifier = has_classifier ? checked["fc.weight"].clone().to(tensor::compute_device()) : at::Tensor();
  return std::make_unique<Inception>(std::move(blocks), std::move(classifier), options);
}

std::vector<TensorSpec> expected_inception_tensors() {
  std::vector<TensorSpec> specs;
  const auto add_unit = [&](const Unit& unit) {
    specs.push_back({unit.name + ".conv.weight", {unit.out, unit.in, unit.kernel_h, unit.kernel_w}});
    for (const char* suffix : {".bn.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var"}) {
      specs.push_back({unit.name + suffix, {unit.out}});
    }
    specs.push_back({unit.name + ".bn.num_batches_tracked", {}, at::kLong, /*optional=*/true});
  };
  for (const Block& block : inception_layout()) {
    for (const Branch& branch : block.branches) {
      std::for_each(branch.chain.begin(), branch.chain.end(), add_unit);
      std::for_each(branch.fork.begin(), branch.fork.end(), add_unit);
    }
  }
  specs.push_back({"fc.weight", {kInceptionClasses, layer_info(InceptionLayer::kPool3).dim}});
  specs.push_back({"fc.bias", {kInceptionClasses}});
  return specs;
}

}  // namespace ddpm_eval::metrics
