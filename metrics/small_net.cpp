#include "metrics/small_net.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/tensor/runtime.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"
#include "metrics/small_net_layout.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace ddpm_eval::metrics {
namespace {

constexpr const char* kFormat = "ddpm-eval small-net 1";
constexpr int64_t kMicroBatch = 128;

/// The folded network.
class SmallNet final : public FeatureNet {
 public:
  SmallNet(const SmallNetOptions& options, FeatureNetInfo info, tensor::NamedTensors weights)
      : options_(options),
        layout_(small_net::make_layout(options)),
        info_(std::move(info)),
        weights_(std::move(weights)) {
    for (auto& weight : weights_) {
      weight.tensor = weight.tensor.to(tensor::compute_device());
    }
  }

  const FeatureNetInfo& info() const override { return info_; }
  int64_t micro_batch() const override { return kMicroBatch; }

  at::Tensor prepare(const at::Tensor& images_u8) const override {
    tensor::expect(images_u8, at::kByte, {-1, 3, -1, -1}, "images");
    if (images_u8.size(2) != options_.side || images_u8.size(3) != options_.side) {
      throw core::DataError(
          "images are {} x {} pixels, and {} scores {} x {} alone: choose another feature network",
          images_u8.size(3), images_u8.size(2), info_.name, options_.side, options_.side);
    }
    if (options_.channels == 3) {
      return small_net::scale_images(images_u8);
    }
    // Exact where the three channels are one: 3 v / 3 = v.
    return small_net::scale_images(images_u8.to(at::kFloat).sum(1, /*keepdim=*/true).div_(3.0));
  }

  NetOutput forward(const at::Tensor& input) const override {
    tensor::expect(input, at::kFloat, {kMicroBatch, options_.channels, options_.side, options_.side},
                   "input");
    const at::NoGradGuard no_grad;
    size_t next = 0;
    const auto apply = [&](const small_net::ConvUnit& unit, const at::Tensor& x) {
      const auto& weight = weights_[next++].tensor;
      const auto& bias = weights_[next++].tensor;
      return at::conv2d(x, weight, bias, unit.stride, unit.kernel / 2).relu_();
    };
    const auto& classifier = weights_.back().tensor;
    const auto features = small_net::run(layout_, tensor::send(input, classifier.device()), apply);
    return {features, at::linear(features, classifier)};
  }

 private:
  SmallNetOptions options_;
  small_net::Layout layout_;
  FeatureNetInfo info_;
  tensor::NamedTensors
      weights_;  ///< weight and bias of each unit in the order of evaluation, then the classifier
};

const std::string& metadata_value(const std::map<std::string, std::string>& metadata, const std::string& key,
                                  const std::string& origin) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) {
    throw core::DataError("{}: the metadata has no '{}': this is no small feature network of ddpm-eval",
                          origin, key);
  }
  return found->second;
}

template <class Number>
Number metadata_number(const std::map<std::string, std::string>& metadata, const std::string& key,
                       const std::string& origin) {
  const auto& text = metadata_value(metadata, key, origin);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw core::DataError("{}: the metadata's '{}' is '{}', which is no number", origin, key, text);
  }
  return value;
}

SmallNetOptions read_options(const std::map<std::string, std::string>& metadata, const std::string& origin) {
  const auto& format = metadata_value(metadata, "format", origin);
  if (format != kFormat) {
    throw core::DataError("{}: the format is '{}', and this version reads '{}'", origin, format, kFormat);
  }
  const auto number = [&](const char* key) { return metadata_number<int64_t>(metadata, key, origin); };
  const SmallNetOptions options{number("channels"), number("side"), number("classes"), number("width")};
  try {
    options.validate();
  } catch (const core::UsageError& error) {
    throw core::DataError("{}: {}", origin, error.what());
  }
  return options;
}

/// The tensor `name` of this shape, finite, or DataError.
at::Tensor read_weight(const tensor::NamedTensors& tensors, const std::string& name, at::IntArrayRef shape,
                       const std::string& origin) {
  const auto found = tensor::find(tensors, name);
  if (!found.defined()) {
    throw core::DataError("{}: the tensor '{}' is missing", origin, name);
  }
  if (found.scalar_type() != at::kFloat || found.sizes() != shape) {
    throw core::DataError("{}: the tensor '{}' is {} and should be float32 {}", origin, name,
                          tensor::describe(found), tensor::describe(shape));
  }
  if (!at::isfinite(found).all().item<bool>()) {
    throw core::DataError("{}: the tensor '{}' holds NaN or infinity", origin, name);
  }
  return found.dim() == 4 ? found.contiguous(at::MemoryFormat::ChannelsLast) : found.contiguous();
}

}  // namespace

data::SafeTensors small_net_file(const SmallNetOptions& options, const SmallNetCard& card,
                                 tensor::NamedTensors folded) {
  return {std::move(folded),
          {{"format", kFormat},
           {"name", card.name},
           {"channels", std::to_string(options.channels)},
           {"side", std::to_string(options.side)},
           {"classes", std::to_string(options.classes)},
           {"width", std::to_string(options.width)},
           {"data", card.data},
           {"command", card.command},
           {"seed", std::to_string(card.seed)},
           {"steps", std::to_string(card.steps)},
           {"test_data", card.test_data},
           {"test_accuracy", fmt::format("{}", card.test_accuracy)}}};
}

SmallNetCard small_net_card(const std::map<std::string, std::string>& metadata, const std::string& origin) {
  read_options(metadata, origin);
  SmallNetCard card;
  card.name = metadata_value(metadata, "name", origin);
  card.data = metadata_value(metadata, "data", origin);
  card.command = metadata_value(metadata, "command", origin);
  card.seed = metadata_number<int64_t>(metadata, "seed", origin);
  card.steps = metadata_number<int64_t>(metadata, "steps", origin);
  card.test_data = metadata_value(metadata, "test_data", origin);
  card.test_accuracy = metadata_number<double>(metadata, "test_accuracy", origin);
  return card;
}

std::unique_ptr<FeatureNet> make_small_net(const data::SafeTensors& file, const std::string& origin,
                                           const std::string& sha256) {
  const auto options = read_options(file.metadata, origin);
  const auto layout = small_net::make_layout(options);
  tensor::NamedTensors weights;
  const auto take = [&](const std::string& name, at::IntArrayRef shape) {
    weights.push_back({name, read_weight(file.tensors, name, shape, origin)});
  };
  for (const auto& unit : small_net::units(layout)) {
    take(unit.name + ".weight", {unit.out, unit.in, unit.kernel, unit.kernel});
    take(unit.name + ".bias", {unit.out});
  }
  take("classifier.weight", {options.classes, layout.dim});
  FeatureNetInfo info;
  info.name = metadata_value(file.metadata, "name", origin);
  info.weights_sha256 = sha256;
  info.preset = "ddpm-eval";
  info.dim = layout.dim;
  info.classes = options.classes;
  return std::make_unique<SmallNet>(options, std::move(info), std::move(weights));
}

std::unique_ptr<FeatureNet> load_small_net(const std::filesystem::path& path) {
  data::FileStream file(path);
  data::DigestStream digest(file);
  const auto net = data::read_safetensors(digest);
  return make_small_net(net, path.string(), digest.sha256());
}

double accuracy(const FeatureNet& net, const at::Tensor& images_u8, const at::Tensor& labels) {
  const int64_t count = images_u8.size(0);
  DDPM_CHECK(count > 0, "no images");
  tensor::expect(labels, at::kLong, {count}, "labels");
  int64_t right = 0;
  for (int64_t begin = 0; begin < count; begin += net.micro_batch()) {
    const int64_t size = std::min(net.micro_batch(), count - begin);
    auto input = net.prepare(images_u8.narrow(0, begin, size).expand({size, 3, -1, -1}));
    if (size < net.micro_batch()) {
      input = at::constant_pad_nd(input, {0, 0, 0, 0, 0, 0, 0, net.micro_batch() - size});
    }
    const auto guess = net.forward(input).logits.narrow(0, 0, size).argmax(1).cpu();
    right += guess.eq(labels.narrow(0, begin, size)).sum().item<int64_t>();
  }
  return static_cast<double>(right) / static_cast<double>(count);
}

}  // namespace ddpm_eval::metrics
