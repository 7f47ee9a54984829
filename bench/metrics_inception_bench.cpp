#include "base/tensor/named_tensor.h"
#include "bench/support.h"
#include "metrics/filter_resample.h"
#include "metrics/inception.h"
#include "metrics/inception_layout.h"
#include "metrics/resample.h"
#include "tests/support/synthetic_inception.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include <torch/types.h>

// The FID Inception and what comes before it; items are images.
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::once;

/// The network unit by unit with LibTorch's operators, batch norm not folded: what the published graph says.
class InceptionByUnits {
 public:
  explicit InceptionByUnits(const tensor::NamedTensors& weights) {
    for (const auto& [name, tensor] : weights) {
      weights_[name] = tensor;
    }
  }

  NetOutput forward(at::Tensor x) {
    for (const Block& block : inception_layout()) {
      std::vector<at::Tensor> parts;
      for (const Branch& branch : block.branches) {
        auto part = pooled(branch.pool, x);
        for (const Unit& unit : branch.chain) {
          part = run(unit, part);
        }
        for (const Unit& unit : branch.fork) {
          parts.push_back(run(unit, part));
        }
        if (branch.fork.empty()) {
          parts.push_back(part);
        }
      }
      x = torch::cat(parts, 1);
    }
    NetOutput output;
    output.features = x.mean({2, 3});
    output.logits = torch::mm(output.features, weights_.at("fc.weight").t());
    flop_ += 2 * double(weights_.at("fc.weight").numel() * x.size(0));
    return output;
  }

  /// Operations of all that was run, convolutions and the classifier alone.
  double flop() const { return flop_; }

 private:
  static at::Tensor pooled(Pool pool, const at::Tensor& x) {
    const auto ones = torch::ones_like(x);
    switch (pool) {
      case Pool::kNone:
        return x;
      case Pool::kAverage:  // of those that are there
        return torch::avg_pool2d(x, 3, 1, 1) / torch::avg_pool2d(ones, 3, 1, 1);
      case Pool::kMax:
        return torch::max_pool2d(x, 3, 1, 1);
      case Pool::kMaxStride2:
        return torch::max_pool2d(x, 3, 2);
    }
    return {};
  }

  at::Tensor run(const Unit& unit, const at::Tensor& x) {
    const auto& weight = weights_.at(unit.name + ".conv.weight");
    const auto y = torch::conv2d(x, weight, {}, unit.stride, {unit.pad_h, unit.pad_w});
    flop_ += 2 * double(y.numel()) * double(weight.numel() / weight.size(0));
    const auto of = [&](const char* name) { return weights_.at(unit.name + name).view({1, -1, 1, 1}); };
    const auto normalised = (y - of(".bn.running_mean")) / (of(".bn.running_var") + 1e-3).sqrt();
    return torch::relu(normalised * of(".bn.weight") + of(".bn.bias"));
  }

  std::map<std::string, at::Tensor> weights_;
  double flop_ = 0;
};

template <tensor::Precision kPrecision>
void inception(benchmark::State& state) {
  constexpr bool kRounded = kPrecision == tensor::Precision::kBFloat16;
  const at::NoGradGuard no_grad;
  static const auto weights = testing::synthetic_inception_weights();
  static const auto net = make_inception(weights, {.precision = kPrecision});
  static double flop = 0;
  const int64_t batch = net->micro_batch();
  const at::Tensor input =
      net->prepare(testing::synthetic_images("bench", batch, /*height=*/32, /*width=*/32));
  once({}, [&] {
    InceptionByUnits slow(weights);
    const auto wanted = slow.forward(input.narrow(0, batch - 1, 1).contiguous());
    const auto got = net->forward(input);
    const double tolerance = kRounded ? 1e-2 : 1e-4;
    expect_close("the Inception's features", got.features.narrow(0, batch - 1, 1), wanted.features,
                 tolerance);
    expect_close("the Inception's logits", got.logits.narrow(0, batch - 1, 1), wanted.logits, tolerance);
    flop = slow.flop();
  });
  measure(state,
          {.items = double(batch),
           .flop = flop * double(batch),
           .peak = kRounded ? bench::Peak::kNone : bench::Peak::kFloat32},
          [&] { return net->forward(input).features; });
}
BENCHMARK(inception<tensor::Precision::kFloat32>)
    ->Name("inception_forward")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(inception<tensor::Precision::kBFloat16>)
    ->Name("inception_forward_bf16")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// The rules of metrics/resample.h pixel by pixel.
at::Tensor resample_slowly(const at::Tensor& images_u8, int64_t out_side, bool half_pixel) {
  const int64_t height = images_u8.size(2), width = images_u8.size(3);
  auto out = torch::empty({images_u8.size(0), 3, out_side, out_side}, torch::kFloat64);
  const auto in = images_u8.accessor<uint8_t, 4>();
  auto to = out.accessor<double, 4>();
  const auto position = [&](int64_t o, int64_t size) {
    const double scale = double(size) / double(out_side);
    return half_pixel ? std::max(0.0, (double(o) + 0.5) * scale - 0.5) : double(o) * scale;
  };
  for (int64_t i = 0; i < out.size(0) * 3; ++i) {
    for (int64_t y = 0; y < out_side; ++y) {
      for (int64_t x = 0; x < out_side; ++x) {
        const double v = position(y, height), u = position(x, width);
        const auto top = int64_t(v), left = int64_t(u);
        const auto at = [&](int64_t row, int64_t column) {
          return double(in[i / 3][i % 3][std::min(row, height - 1)][std::min(column, width - 1)]);
        };
        const double down = v - double(top), right = u - double(left);
        const double above = at(top, left) * (1 - right) + at(top, left + 1) * right;
        const double below = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right;
        to[i / 3][i % 3][y][x] = (above * (1 - down) + below * down) / (half_pixel ? 255 : 1);
      }
    }
  }
  return out;
}

template <at::Tensor (*Resample)(const at::Tensor&, int64_t, int64_t)>
void resample(benchmark::State& state) {
  constexpr int64_t kCount = 4;
  const int64_t height = state.range(0), width = state.range(1);
  const at::Tensor images = testing::synthetic_images("bench", kCount, height, width);
  once({height, width}, [&] {
    expect_close("resampling", Resample(images, kInceptionSide, kInceptionSide),
                 resample_slowly(images, kInceptionSide, Resample == resample_half_pixel_bilinear), 1e-5);
  });
  const int64_t pixels = kCount * 3 * kInceptionSide * kInceptionSide;
  // Of large images, four pixels are read for each that is written.
  const double read = double(std::min(images.numel(), 4 * pixels));
  measure(state, {.items = double(kCount), .bytes = read + 4.0 * double(pixels)},
          [&] { return Resample(images, kInceptionSide, kInceptionSide); });
}
BENCHMARK(resample<resample_tf1_bilinear>)->Args({32, 32})->Args({1500, 2000})->UseRealTime();
BENCHMARK(resample<resample_half_pixel_bilinear>)->Args({32, 32})->Args({1500, 2000})->UseRealTime();

/// Those that antialias, beside LibTorch's operators of the same filters.
template <at::Tensor (*Resample)(const at::Tensor&, int64_t, int64_t)>
void filter(benchmark::State& state) {
  constexpr int64_t kCount = 4;
  const int64_t height = state.range(0), width = state.range(1);
  const at::Tensor images = testing::synthetic_images("bench", kCount, height, width);
  once({height, width}, [&] {
    const std::vector<int64_t> side{kInceptionSide, kInceptionSide};
    const at::Tensor x = images.to(torch::kFloat32);
    const at::Tensor wanted =
        Resample == resample_pillow_bicubic
            ? at::_upsample_bicubic2d_aa(x, side, /*align_corners=*/false).clamp_(0, 255)
            : at::_upsample_bilinear2d_aa(x, side, /*align_corners=*/false);
    expect_close("filtering", Resample(images, kInceptionSide, kInceptionSide), wanted, 1e-4);
  });
  const int64_t pixels = kCount * 3 * kInceptionSide * kInceptionSide;
  measure(state, {.items = double(kCount), .bytes = double(images.numel()) + 4.0 * double(pixels)},
          [&] { return Resample(images, kInceptionSide, kInceptionSide); });
}
BENCHMARK(filter<resample_pillow_bicubic>)->Args({32, 32})->Args({1024, 1024})->UseRealTime();
BENCHMARK(filter<resample_antialiased_bilinear>)->Args({32, 32})->Args({1024, 1024})->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::metrics
