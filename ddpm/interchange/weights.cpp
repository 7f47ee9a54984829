#include "ddpm/interchange/weights.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "ddpm/interchange/names.h"

#include <map>
#include <set>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using Shape = std::vector<int64_t>;

constexpr std::string_view kShadow = "/ExponentialMovingAverage";
constexpr const char* kGlobalStep = "global_step";

/// A file's tensors by name, and which of them were taken.
class Stock {
 public:
  Stock(const tensor::NamedTensors& file, std::string origin) : origin_(std::move(origin)) {
    for (const auto& [name, values] : file) {
      if (!left_.emplace(name, values).second) {
        throw core::DataError("{}: there are two tensors '{}'", origin_, name);
      }
    }
  }

  const std::string& origin() const { return origin_; }
  bool contains(const std::string& name) const { return left_.contains(name); }

  /// Removes and returns it; an undefined one if there is none.
  at::Tensor take(const std::string& name) {
    const auto found = left_.find(name);
    if (found == left_.end()) {
      return {};
    }
    at::Tensor values = found->second;
    left_.erase(found);
    return values;
  }

  template <class Predicate>
  int64_t drop_if(const Predicate& predicate) {
    return static_cast<int64_t>(
        std::erase_if(left_, [&](const auto& entry) { return predicate(entry.first); }));
  }

  void require_empty() const {
    if (!left_.empty()) {
      throw core::DataError("{}: tensor '{}' is not part of this network", origin_, left_.begin()->first);
    }
  }

 private:
  std::string origin_;
  std::map<std::string, at::Tensor> left_;
};

bool is_attention_weight(const std::string& name, at::IntArrayRef shape) {
  return shape.size() == 4 && name.find("attn") != std::string::npos;
}

/// Whether a parameter of ours with this shape is a matrix: a dense layer's, or that of a 1x1 convolution.
bool is_matrix(at::IntArrayRef shape) {
  return shape.size() == 2 || (shape.size() == 4 && shape[2] == 1 && shape[3] == 1);
}

/// The shape that our parameter has in a file.
Shape foreign_shape(Naming naming, const std::string& name, at::IntArrayRef shape) {
  if (naming == Naming::kDiffusers && is_attention_weight(name, shape)) {
    return {shape[0], shape[1]};
  }
  if (naming == Naming::kTensorFlow && is_matrix(shape)) {
    return {shape[1], shape[0]};
  }
  if (naming == Naming::kTensorFlow && shape.size() == 4) {
    return {shape[2], shape[3], shape[1], shape[0]};
  }
  return shape.vec();
}

/// `values` of a file in our order of axes, whatever its shape turns out to be.
at::Tensor in_our_order(Naming naming, const at::Tensor& values, at::IntArrayRef shape) {
  if (naming == Naming::kTensorFlow && values.dim() == 4) {
    return values.permute({3, 2, 0, 1});
  }
  const auto matrix = naming == Naming::kTensorFlow && values.dim() == 2 ? values.t() : values;
  const bool is_lower_rank = matrix.dim() == 2 && shape.size() == 4 && is_matrix(shape);
  return is_lower_rank && naming != Naming::kPort ? matrix.unsqueeze(2).unsqueeze(3) : matrix;
}

/// float32 of our shape and order, contiguous.
at::Tensor adapted(Naming naming, const tensor::NamedTensor& wanted, const std::string& foreign_name,
                   const at::Tensor& values, const std::string& origin) {
  const auto shape = wanted.tensor.sizes();
  const auto type = values.scalar_type();
  const bool fits_float32 = type == torch::kFloat32 || type == torch::kFloat16 || type == torch::kBFloat16;
  const auto ours = in_our_order(naming, values, shape);
  if (!fits_float32 || ours.sizes() != shape) {
    throw core::DataError("{}: tensor '{}' is {} where float32 {} is needed", origin, foreign_name,
                          tensor::describe(values),
                          tensor::describe(foreign_shape(naming, wanted.name, shape)));
  }
  const auto plain = ours.to(torch::kFloat32).contiguous();
  if (!plain.isfinite().all().item<bool>()) {
    throw core::DataError("{}: tensor '{}' holds NaN or infinity", origin, foreign_name);
  }
  return plain;
}

/// What our parameter may be called in a file, the present name first.
std::vector<std::string> foreign_names(Naming naming, const std::string& name, int64_t levels) {
  switch (naming) {
    case Naming::kPort:
      return {name};
    case Naming::kDiffusers:
      return {diffusers_name(name, levels), old_diffusers_name(name, levels)};
    case Naming::kTensorFlow:
      return {tensorflow_name(name)};
  }
  DDPM_CHECK(false, "unknown naming");
}

/// One set of the layout's parameters; `suffix` follows every name in the file.
tensor::NamedTensors take_set(Naming naming, Stock& stock, const UNetLayout& layout,
                              std::string_view suffix) {
  tensor::NamedTensors parameters;
  for (const auto& wanted : layout.parameters) {
    at::Tensor values;
    const auto names = foreign_names(naming, wanted.name, layout.levels);
    for (const auto& name : names) {
      const auto whole = name + std::string(suffix);
      values = stock.take(whole);
      if (values.defined()) {
        parameters.push_back({wanted.name, adapted(naming, wanted, whole, values, stock.origin())});
        break;
      }
    }
    if (!values.defined()) {
      throw core::DataError("{}: tensor '{}{}' is missing", stock.origin(), names.front(), suffix);
    }
  }
  return parameters;
}

/// "model/conv_in/W:0", as a graph names it, without the output's number.
tensor::NamedTensors without_output_numbers(tensor::NamedTensors file) {
  for (auto& named : file) {
    if (named.name.ends_with(":0")) {
      named.name.resize(named.name.size() - 2);
    }
  }
  return file;
}

ForeignWeights from_tensorflow(const tensor::NamedTensors& file, const UNetLayout& layout,
                               const std::string& origin) {
  Stock stock(without_output_numbers(file), origin);
  ForeignWeights weights;
  if (const auto step = stock.take(kGlobalStep);
      step.defined() && step.numel() == 1 && !step.is_floating_point()) {
    weights.step = std::max<int64_t>(0, step.item<int64_t>());
  }
  const auto is_of_adam = [](const std::string& name) {
    return name.ends_with("/Adam") || name.ends_with("/Adam_1") || name == "beta1_power" ||
           name == "beta2_power";
  };
  if (const auto left_out = stock.drop_if(is_of_adam); left_out > 0) {
    weights.notes.push_back(fmt::format("{} tensors of Adam's state are left out", left_out));
  }
  const auto first = tensorflow_name(layout.parameters.front().name);
  const bool has_averages = stock.contains(first + std::string(kShadow));
  weights.averaged = take_set(Naming::kTensorFlow, stock, layout, has_averages ? kShadow : "");
  if (has_averages && stock.contains(first)) {
    weights.last = take_set(Naming::kTensorFlow, stock, layout, "");
  }
  if (!has_averages) {
    weights.notes.emplace_back("there are no averages in the file: its variables are taken for them");
  }
  stock.require_empty();
  return weights;
}

}  // namespace

std::string naming_word(Naming naming) {
  switch (naming) {
    case Naming::kPort:
      return "pytorch-port";
    case Naming::kDiffusers:
      return "diffusers";
    case Naming::kTensorFlow:
      return "tensorflow";
  }
  DDPM_CHECK(false, "unknown naming");
}

Naming naming_of(const tensor::NamedTensors& tensors, const std::string& origin) {
  for (const auto& named : tensors) {
    const std::string_view name = named.name;
    if (name.starts_with("temb.") || name.starts_with("down.")) {
      return Naming::kPort;
    }
    if (name.starts_with("time_embedding.") || name.starts_with("down_blocks.")) {
      return Naming::kDiffusers;
    }
    if (name.starts_with("model/")) {
      return Naming::kTensorFlow;
    }
  }
  throw core::DataError(
      "{}: no tensor has a name of the official U-Net ('temb.dense.0.weight', 'model/temb/dense0/W') or of "
      "diffusers' ('time_embedding.linear_1.weight')",
      origin);
}

int64_t input_channels(Naming naming, const tensor::NamedTensors& tensors, const std::string& origin) {
  const bool is_tensorflow = naming == Naming::kTensorFlow;
  const std::string name = is_tensorflow ? tensorflow_name("conv_in.weight") : "conv_in.weight";
  for (const auto& candidate : {name, name + std::string(kShadow), name + ":0"}) {
    const auto values = tensor::find(tensors, candidate);
    if (values.defined() && values.dim() == 4) {
      return values.size(is_tensorflow ? 2 : 1);
    }
  }
  throw core::DataError("{}: tensor '{}' is missing", origin, name);
}

UNetLayout::UNetLayout(const UNetConfig& config, const UNetShape& shape)
    : parameters(UNet(config, shape, ParameterMaker::layout()).parameters()),
      levels(static_cast<int64_t>(config.multipliers.size())) {}

ForeignWeights from_foreign(Naming naming, const tensor::NamedTensors& file, const UNetLayout& layout,
                            const std::string& origin) {
  if (naming == Naming::kTensorFlow) {
    return from_tensorflow(file, layout, origin);
  }
  Stock stock(file, origin);
  ForeignWeights weights;
  weights.averaged = take_set(naming, stock, layout, "");
  stock.require_empty();
  return weights;
}

tensor::NamedTensors to_diffusers(const tensor::NamedTensors& parameters, int64_t levels) {
  tensor::NamedTensors renamed;
  for (const auto& [name, values] : parameters) {
    const auto shape = foreign_shape(Naming::kDiffusers, name, values.sizes());
    renamed.push_back({diffusers_name(name, levels), values.detach().reshape(shape)});
  }
  return renamed;
}

}  // namespace ddpm_eval::ddpm
