#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "metrics/small_net.h"
#include "metrics/small_net_layout.h"

#include <cmath>
#include <utility>

namespace ddpm_eval::metrics {
namespace {

/// More is a slip, which would ask for all memory.
constexpr int64_t kMaxClassifierBatch = 1'000'000;
constexpr double kNormEpsilon = 1e-3;  // as in the FID network
constexpr double kNormMomentum =
    0.05;  // of the running statistics, which have to settle in a few hundred steps

void check_dataset(const SmallNetOptions& options, const data::ImageDataset& dataset) {
  const auto& images = dataset.images_u8;
  const auto& labels = dataset.labels;
  if (!labels.defined()) {
    throw core::DataError("{} has no labels, and a classifier is trained on labels", dataset.name);
  }
  tensor::expect(images, at::kByte, {-1, -1, -1, -1}, "images");
  tensor::expect(labels, at::kLong, {images.size(0)}, "labels");
  if (images.size(0) == 0) {
    throw core::DataError("{} is empty", dataset.name);
  }
  if (images.sizes().slice(1) != at::IntArrayRef({options.channels, options.side, options.side})) {
    throw core::DataError("{} has images of {} and the network takes {} channels of {} x {} pixels",
                          dataset.name, tensor::describe(images.sizes().slice(1)), options.channels,
                          options.side, options.side);
  }
  if (labels.min().item<int64_t>() < 0 || labels.max().item<int64_t>() >= options.classes) {
    throw core::DataError("{} has labels from {} to {}, and the network {} classes", dataset.name,
                          labels.min().item<int64_t>(), labels.max().item<int64_t>(), options.classes);
  }
}

/// Normal with variance 2 / fan-in (He et al. 2015), by (seed, name).
at::Tensor initial_weight(int64_t seed, const std::string& name, at::IntArrayRef shape, double gain) {
  const int64_t index[] = {0};
  const auto fan_in = static_cast<double>(c10::multiply_integers(shape.slice(1)));
  const std::string purpose = "small-net-" + name;
  auto weight = tensor::normal_rows({static_cast<uint64_t>(seed), purpose}, index, 0, shape).squeeze(0);
  weight.mul_(std::sqrt(gain / fan_in));
  // A convolution runs channels-last if its input or its weight is, and greyscale input could be either.
  return weight.dim() == 4 ? weight.contiguous(at::MemoryFormat::ChannelsLast) : weight;
}

/// Each image of uint8 [n, C, S, S] moved by (shift[2i] - max, shift[2i + 1] - max) pixels, zeros moving in.
at::Tensor shift_images(const at::Tensor& images, const at::Tensor& shifts, int64_t max_shift) {
  const int64_t side = images.size(3);
  const auto padded = at::constant_pad_nd(images, {max_shift, max_shift, max_shift, max_shift});
  auto result = torch::empty_like(images);
  const auto offset = shifts.accessor<int64_t, 1>();
  for (int64_t i = 0; i < images.size(0); ++i) {
    result[i].copy_(padded[i].narrow(1, offset[2 * i], side).narrow(2, offset[2 * i + 1], side));
  }
  return result;
}

}  // namespace

void SmallNetOptions::fields(core::ConfigVisitor& v) {
  v.value("channels", channels);
  v.value("side", side);
  v.value("classes", classes);
  v.value("width", width);
}

void SmallNetOptions::validate() const {
  const auto within = [](const char* key, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most) {
      throw core::UsageError(core::Key{key}, "{} is not within {}..{}", value, least, most);
    }
  };
  within("net.side", side, 8, 256);
  within("net.classes", classes, 2, 1000);
  within("net.width", width, 8, 128);
  if (width % 8 != 0) {
    throw core::UsageError(core::Key{"net.width"}, "{} is no multiple of 8", width);
  }
  if (channels != 1 && channels != 3) {
    throw core::UsageError(core::Key{"net.channels"}, "{} is neither 1 nor 3", channels);
  }
}

void SmallNetTraining::fields(core::ConfigVisitor& v) {
  v.value("batch_size", batch_size);
  v.value("max_shift", max_shift);
  v.value("flip", flip);
  v.value("seed", seed);
}

void SmallNetTraining::validate() const {
  if (batch_size < 2 || batch_size > kMaxClassifierBatch) {
    throw core::UsageError(core::Key{"classifier.batch_size"},
                           "{} is not within 2..{}; batch norm needs two images", batch_size,
                           kMaxClassifierBatch);
  }
  if (max_shift < 0 || max_shift > 64) {
    throw core::UsageError(core::Key{"classifier.max_shift"}, "{} is not within 0..64 pixels", max_shift);
  }
  if (seed < 0) {
    throw core::UsageError(core::Key{"classifier.seed"}, "{} is below 0", seed);
  }
}

training::LoopConfig small_net_loop(int64_t steps) {
  training::LoopConfig loop;
  loop.steps = steps;
  loop.learning_rate = 3e-3;
  loop.warmup_steps = std::min<int64_t>(200, steps / 10);
  loop.lr_schedule = "cosine";
  loop.weight_decay = 0.01;
  loop.clip_norm = 0;
  loop.ema_decay = 0;
  loop.checkpoint_every = 500;
  return loop;
}

SmallNetTask::SmallNetTask(const SmallNetOptions& options, const SmallNetTraining& training,
                           data::ImageDataset dataset)
    : options_(options),
      training_(training),
      dataset_(std::move(dataset)),
      order_(static_cast<uint64_t>(training.seed), std::max<int64_t>(training.batch_size, 1),
             std::max<int64_t>(dataset_.images_u8.size(0), 1)) {
  options_.validate();
  training_.validate();
  check_dataset(options_, dataset_);
  const auto layout = small_net::make_layout(options_);
  const auto add = [&](const std::string& name, const at::Tensor& value) {
    parameters_.push_back({name, value.requires_grad_(true)});
  };
  for (const auto& unit : small_net::units(layout)) {
    add(unit.name + ".weight",
        initial_weight(training_.seed, unit.name, {unit.out, unit.in, unit.kernel, unit.kernel}, 2.0));
    add(unit.name + ".norm.weight", torch::ones({unit.out}));
    add(unit.name + ".norm.bias", torch::zeros({unit.out}));
    buffers_.push_back({unit.name + ".norm.running_mean", torch::zeros({unit.out})});
    buffers_.push_back({unit.name + ".norm.running_var", torch::ones({unit.out})});
  }
  add("classifier.weight", initial_weight(training_.seed, "classifier", {options_.classes, layout.dim}, 1.0));
}

tensor::NamedTensors SmallNetTask::parameters() { return parameters_; }
tensor::NamedTensors SmallNetTask::buffers() { return buffers_; }

SmallNetTask::Batch SmallNetTask::batch(int64_t step) {
  const auto indices = order_.indices(step);
  auto images = dataset_.images_u8.index_select(0, indices);
  if (training_.max_shift > 0) {
    const tensor::NoiseKey key{static_cast<uint64_t>(training_.seed), "small-net-shift"};
    const auto slots = tensor::index_range(0, 2 * training_.batch_size);
    const auto shifts = tensor::integers(key, slots, step, 2 * training_.max_shift + 1);
    images = shift_images(images, shifts, training_.max_shift);
  }
  if (training_.flip) {
    const auto flips =
        training::horizontal_flips(static_cast<uint64_t>(training_.seed), step, training_.batch_size);
    images = training::flip_horizontally(images, flips);
  }
  return {small_net::scale_images(images), dataset_.labels.index_select(0, indices)};
}

at::Tensor SmallNetTask::loss(int64_t step, training::StepLog& log) {
  const auto now = batch(step);
  size_t parameter = 0;
  size_t buffer = 0;
  // Units come in the order of registration: three parameters and two buffers each.
  const auto apply = [&](const small_net::ConvUnit& unit, const at::Tensor& input) {
    const auto* p = &parameters_[parameter];
    const auto* b = &buffers_[buffer];
    parameter += 3;
    buffer += 2;
    const auto conv = at::conv2d(input, p[0].tensor, {}, unit.stride, unit.kernel / 2);
    return at::batch_norm(conv, p[1].tensor, p[2].tensor, b[0].tensor, b[1].tensor, /*training=*/true,
                          kNormMomentum, kNormEpsilon, /*cudnn_enabled=*/false)
        .relu();
  };
  const auto features = small_net::run(small_net::make_layout(options_), now.images, apply);
  const auto logits = at::linear(features, parameters_.back().tensor);
  log["accuracy"] = logits.detach().argmax(1).eq(now.labels).to(at::kDouble).mean().item<double>();
  return at::cross_entropy_loss(logits, now.labels);
}

tensor::NamedTensors SmallNetTask::folded() const {
  const at::NoGradGuard no_grad;
  tensor::NamedTensors result;
  for (const auto& unit : small_net::units(small_net::make_layout(options_))) {
    const auto get = [&](const char* key) {
      return tensor::find(parameters_, unit.name + key).to(at::kDouble);
    };
    const auto get_buffer = [&](const char* key) {
      return tensor::find(buffers_, unit.name + key).to(at::kDouble);
    };
    const auto scale = get(".norm.weight") / (get_buffer(".norm.running_var") + kNormEpsilon).sqrt();
    const auto bias = get(".norm.bias") - get_buffer(".norm.running_mean") * scale;
    result.push_back({unit.name + ".weight", (get(".weight") * scale.view({-1, 1, 1, 1})).to(at::kFloat)});
    result.push_back({unit.name + ".bias", bias.to(at::kFloat)});
  }
  result.push_back({"classifier.weight", parameters_.back().tensor.detach().clone()});
  return result;
}

}  // namespace ddpm_eval::metrics
