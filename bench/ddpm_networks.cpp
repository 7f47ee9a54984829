#include "bench/ddpm_networks.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm::bench_networks {
namespace {

/// The side of the map that the convolution called `name` writes; 1 for a layer of the time embedding.
int64_t side_of(const std::string& name, int64_t image_side, int64_t levels) {
  const auto level_after = [&](size_t position) {
    int64_t level = 0;
    std::from_chars(name.data() + position, name.data() + name.size(), level);
    return level;
  };
  if (name.starts_with("temb") || name.find("temb_proj") != std::string::npos) {
    return 1;
  }
  if (name.starts_with("down.")) {
    return image_side >> (level_after(5) + (name.find(".downsample.") != std::string::npos ? 1 : 0));
  }
  if (name.starts_with("up.")) {
    return image_side >> (level_after(3) - (name.find(".upsample.") != std::string::npos ? 1 : 0));
  }
  return name.starts_with("mid.") ? image_side >> (levels - 1) : image_side;
}

}  // namespace

std::unique_ptr<UNet> UNetCase::make() const {
  auto net = std::make_unique<UNet>(config, shape, ParameterMaker(1));
  wake(net->parameters());
  return net;
}

std::vector<int64_t> UNetCase::rows(int64_t count) const {
  return {count, shape.in_channels, shape.image_side, shape.image_side};
}

double UNetCase::flop() const {
  const UNet net(config, shape, ParameterMaker(1));
  double sum = 0;
  for (const auto& [name, parameter] : net.parameters()) {
    if (parameter.dim() < 2) {
      continue;
    }
    const auto positions =
        std::pow(double(side_of(name, shape.image_side, std::ssize(config.multipliers))), 2);
    sum += 2 * positions * double(parameter.numel());
    if (name.ends_with(".proj_out.weight")) {  // of attention: scores, and what they mix
      sum += 2 * 2 * positions * positions * double(parameter.size(0));
    }
  }
  return sum;
}

UNetCase paper_unet(double dropout) {
  UNetConfig config;
  config.dropout = dropout;
  return {config, {.in_channels = 3, .out_channels = 3, .image_side = 32}};
}

UNetCase small_unet() {
  UNetConfig config;
  config.base_channels = 16;
  config.multipliers = {1, 2, 4};
  config.res_blocks = 1;
  config.attention_resolutions = {7};
  config.dropout = 0;
  config.groups = 4;
  return {config, {.in_channels = 1, .out_channels = 1, .image_side = 28}};
}

void wake(const tensor::NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.dim() >= 2 && parameter.abs().max().item<double>() < 1e-4) {
      parameter.copy_(
          bench::normal(name, parameter.sizes()).mul_(1 / std::sqrt(double(parameter[0].numel()))));
    }
  }
}

tensor::Precision precision_at(const benchmark::State& state, size_t argument) {
  return state.range(argument) == 0 ? tensor::Precision::kFloat32 : tensor::Precision::kBFloat16;
}

double tolerance_of(tensor::Precision precision) {
  return precision == tensor::Precision::kFloat32 ? 1e-5 : 3e-2;
}

bench::Peak peak_of(tensor::Precision precision) {
  return precision == tensor::Precision::kFloat32 ? bench::Peak::kFloat32 : bench::Peak::kNone;
}

}  // namespace ddpm_eval::ddpm::bench_networks
