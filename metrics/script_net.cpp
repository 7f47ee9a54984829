#include "metrics/script_net.h"

#include "base/core/error.h"
#include "base/data/feature_file.h"
#include "base/tensor/gpu_memory.h"
#include "base/tensor/runtime.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"
#include "metrics/preprocess.h"

#include <charconv>
#include <cstring>
#include <new>
#include <sstream>
#include <string_view>
#include <utility>

#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kCpuScriptBatch = 8;  ///< such networks are large: a padded tail costs little
constexpr int64_t kGpuScriptBatch = 64;
/// Of the root mean square of features: rounding in another order stays far below, another image does not.
constexpr double kBatchTolerance = 1e-3;
constexpr const char* kReturnFeatures = "return_features";

/// The archive in memory, without a copy of it.
class BytesAdapter final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit BytesAdapter(std::span<const char> bytes) : bytes_(bytes) {}
  size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t position, void* out, size_t count, const char* /*what*/) const override {
    if (position >= bytes_.size()) {
      return 0;
    }
    const size_t taken = std::min(count, bytes_.size() - static_cast<size_t>(position));
    std::memcpy(out, bytes_.data() + position, taken);
    return taken;
  }

 private:
  std::span<const char> bytes_;
};

/// What is left of LibTorch's messages without the stack below them. A Python traceback ends in what matters.
std::string essence(const std::exception& error) {
  std::istringstream lines(error.what());
  std::string first, last;
  for (std::string line; std::getline(lines, line);) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line.starts_with("Exception raised from") ||
        line.starts_with("frame #")) {
      continue;
    }
    last = line.substr(begin);
    first = first.empty() ? last : first;
  }
  return first.find("TorchScript interpreter") == std::string::npos ? first : last;
}

/// Throws c10::OutOfMemoryError or std::bad_alloc if `error`, of any type, says that memory ran out:
/// LibTorch's interpreter throws the errors of all operators as std::runtime_error and keeps only their
/// texts.
void throw_if_memory_ran_out(const std::exception& error) {
  const std::string_view text = error.what();
  const auto says = [&](const char* words) { return text.find(words) != std::string_view::npos; };
  if (says("out of memory")) {
    throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, essence(error));
  }
  if (says("can't allocate memory") || says("std::bad_alloc")) {
    throw std::bad_alloc();
  }
}

torch::jit::Module load_module(std::span<const char> bytes, const std::string& origin) {
  try {
    auto module = torch::jit::load(std::make_shared<BytesAdapter>(bytes), tensor::compute_device());
    module.eval();
    return module;
  } catch (const std::exception& error) {
    throw_if_memory_ran_out(error);
    throw core::DataError(
        "{}: is no TorchScript file that this LibTorch loads ({}); write one with torch.jit.trace(...).save",
        origin, essence(error));
  }
}

/// Whether forward() has `return_features` after the images, as NVIDIA's detectors.
bool takes_return_features(const torch::jit::Module& module) {
  const auto forward = module.find_method("forward");
  if (!forward) {
    return false;
  }
  const auto& arguments = forward->function().getSchema().arguments();  // the first is the module itself
  return arguments.size() > 2 && arguments[2].name() == kReturnFeatures;
}

ScriptConvention convention_for(const torch::jit::Module& module, const ScriptNetOptions& options) {
  const bool nvidia = takes_return_features(module);
  if (!options.convention) {
    if (nvidia) {
      return find_script_convention("nvidia-inception");
    }
    std::vector<std::string> names;
    for (const auto& convention : script_conventions()) {
      names.emplace_back(convention.name);
    }
    throw core::UsageError(
        "--features {}: say what the network is given, by --convention {} or a .toml file with size, resize, "
        "range, mean and std",
        options.origin, fmt::format("{}", fmt::join(names, ", ")));
  }
  if (options.convention->call == ScriptCall::kReturnFeatures && !nvidia) {
    throw core::DataError("{}: its forward() takes no {}, as the convention {} has it", options.origin,
                          kReturnFeatures, options.convention->name);
  }
  return *options.convention;
}

/// Images as no two are alike, uint8 [count, 3, side, side].
at::Tensor probe_images(int64_t count, int64_t side) {
  const auto index = torch::arange(count * 3 * side * side, at::kLong);
  return (index * 48'271 % 65'537 % 256).to(at::kByte).view({count, 3, side, side});
}

class ScriptNet final : public FeatureNet {
 public:
  ScriptNet(const torch::jit::Module& module, ScriptConvention convention, const ScriptNetOptions& options)
      : module_(module),
        convention_(std::move(convention)),
        origin_(options.origin),
        device_(tensor::compute_device()),
        micro_batch_(device_.is_cuda() ? kGpuScriptBatch : kCpuScriptBatch) {
    info_.name = options.name;
    info_.weights_sha256 = options.weights_sha256;
    info_.preset = std::string(convention_.name);
    info_.convention = convention_json(convention_);
    probe();
  }

  const FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return micro_batch_; }

  at::Tensor prepare(const at::Tensor& images_u8) const override {
    tensor::expect(images_u8, at::kByte, {-1, 3, -1, -1}, "images");
    if (convention_.square && images_u8.size(2) != images_u8.size(3)) {
      throw core::DataError(
          "an image is {} x {} pixels, and {} takes square ones: cut the middle out with ?crop=center",
          images_u8.size(3), images_u8.size(2), convention_.name);
    }
    const at::NoGradGuard no_grad;
    const auto sent = tensor::send(images_u8, device_);
    return tensor::halved_when_full({sent}, [&](const std::vector<at::Tensor>& inputs) {
      return std::vector<at::Tensor>{
          scaled(resample(convention_.resampler, inputs.front(), convention_.size))};
    })[0];
  }

  NetOutput forward(const at::Tensor& input) const override {
    tensor::expect(input, at::kFloat, {micro_batch_, 3, convention_.size, convention_.size}, "input");
    auto features = run(tensor::send(input, device_));
    if (features.size(1) != info_.dim) {
      throw core::DataError("{}: gives {} features of some images and {} of others", origin_, info_.dim,
                            features.size(1));
    }
    return {std::move(features), {}};
  }

 private:
  at::Tensor scaled(at::Tensor x) const {
    if (convention_.range != ScriptRange::kBytes) {
      x.div_(255);
    }
    if (convention_.range == ScriptRange::kSigned) {
      x.mul_(2).sub_(1);
    }
    const auto of_colours = [&](const std::array<double, 3>& values) {
      return tensor::send(torch::tensor({values[0], values[1], values[2]}, at::kFloat).view({1, 3, 1, 1}),
                          device_);
    };
    if (convention_.mean != std::array<double, 3>{0, 0, 0}) {
      x.sub_(of_colours(convention_.mean));
    }
    if (convention_.deviation != std::array<double, 3>{1, 1, 1}) {
      x.div_(of_colours(convention_.deviation));
    }
    return x;
  }

  /// The features of any number of prepared images, float32 [n, d].
  at::Tensor run(const at::Tensor& input) const {
    const at::NoGradGuard no_grad;
    const torch::jit::GraphOptimizerEnabledGuard as_written(false);
    const auto body = [&](const std::vector<at::Tensor>& inputs) -> std::vector<at::Tensor> {
      try {
        return {features_of(call(inputs.front()), inputs.front().size(0))};
      } catch (const core::Error&) {
        throw;
      } catch (const std::exception& error) {
        throw_if_memory_ran_out(error);
        throw;
      }
    };
    try {
      return tensor::halved_when_full({input.contiguous()}, body)[0];
    } catch (const core::Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::exception& error) {
      throw core::DataError("{}: fails on images {}: {}", origin_, tensor::describe(input.sizes()),
                            essence(error));
    }
  }

  c10::IValue call(const at::Tensor& images) const {
    std::vector<c10::IValue> arguments{images};
    if (convention_.call == ScriptCall::kReturnFeatures) {
      arguments.emplace_back(true);
    }
    return module_.get_method("forward")(std::move(arguments));
  }

  /// The tensor that the convention names in what forward() gave.
  at::Tensor chosen(const c10::IValue& output) const {
    const auto& wanted = convention_.output;
    if (output.isTensor() && wanted.empty()) {
      return output.toTensor();
    }
    std::vector<std::string> names;
    std::vector<c10::IValue> values;
    if (output.isGenericDict()) {
      for (const auto& entry : output.toGenericDict()) {
        names.push_back(entry.key().isString() ? entry.key().toStringRef() : "?");
        values.push_back(entry.value());
      }
    } else if (output.isTuple() || output.isList()) {
      values = output.isTuple() ? output.toTupleRef().elements().vec() : output.toListRef().vec();
      for (size_t i = 0; i < values.size(); ++i) {
        names.push_back(std::to_string(i));
      }
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (names[i] == wanted && values[i].isTensor()) {
        return values[i].toTensor();
      }
    }
    if (values.empty()) {
      throw core::DataError("{}: gives {}, where {} is needed", origin_, output.tagKind(),
                            wanted.empty() ? "a tensor" : "something with an output " + wanted);
    }
    throw core::DataError("{}: gives {}{}; name one as output in the convention's .toml file", origin_,
                          fmt::join(names, ", "), wanted.empty() ? "" : " and no tensor " + wanted);
  }

  at::Tensor features_of(const c10::IValue& output, int64_t count) const {
    const auto features = chosen(output);
    if (!features.is_floating_point() || features.dim() != 2) {
      throw core::DataError(
          "{}: gives {} of {} images, where features are floating point [{}, d]; flatten or choose them when "
          "exporting",
          origin_, tensor::describe(features), count, count);
    }
    if (features.size(0) != count) {
      throw core::DataError("{}: gives {} rows of {} images; export it so that a batch may have any size",
                            origin_, features.size(0), count);
    }
    if (features.size(1) < 1 || features.size(1) > data::kMostFeatures) {
      throw core::DataError(
          "{}: gives {} features an image, where 1 to {} are taken; flatten less when exporting", origin_,
          features.size(1), data::kMostFeatures);
    }
    return features.to(at::kFloat).contiguous();
  }

  /// Learns the number of features, and that they are an image's own.
  void probe() {
    const auto images = prepare(probe_images(micro_batch_, convention_.size));
    const auto features = run(images);
    info_.dim = features.size(1);
    if (!at::isfinite(features).all().item<bool>()) {
      throw core::DataError("{}: gives NaN or infinity of ordinary images under the convention {}", origin_,
                            convention_.name);
    }
    const auto again = run(images.roll(1, 0)).roll(-1, 0);
    const double size = features.square().mean().sqrt().item<double>();
    const double apart = (again - features).square().mean().sqrt().item<double>();
    if (!(apart <= kBatchTolerance * size)) {
      throw core::DataError(
          "{}: gives an image other features when it is asked again, beside the same images in another "
          "order; "
          "export the network in eval mode",
          origin_);
    }
  }

  torch::jit::Module module_;
  ScriptConvention convention_;
  std::string origin_;
  at::Device device_;
  int64_t micro_batch_;
  FeatureNetInfo info_;
};

}  // namespace

std::unique_ptr<FeatureNet> make_script_net(std::span<const char> bytes, const ScriptNetOptions& options) {
  const auto module = load_module(bytes, options.origin);
  auto convention = convention_for(module, options);
  return std::make_unique<ScriptNet>(module, std::move(convention), options);
}

}  // namespace ddpm_eval::metrics
