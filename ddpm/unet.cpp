#include "ddpm/unet.h"

#include "base/core/error.h"
#include "base/tensor/gpu_memory.h"
#include "base/tensor/shape.h"
#include "ddpm/gpu_layers.h"
#include "ddpm/layers.h"
#include "ddpm/time_embedding.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

// Far above any use; they keep a slip of the keys or a damaged checkpoint from asking for all memory.
constexpr int64_t kMaxLevels = 12;
constexpr int64_t kMaxBlocks = 100;
constexpr int64_t kMaxMultiplier = 64;
constexpr int64_t kMaxChannels = 4096;

/// Images that a thread takes through the network together: enough to use weights several times once they are
/// in cache, few enough to keep activations there.
constexpr int64_t kTileRows = 4;

void require(bool condition, const char* key, const std::string& problem) {
  if (!condition) {
    throw core::UsageError(core::Key{std::string("model.unet.") + key}, "{}", problem);
  }
}

std::vector<int64_t> level_sides(const UNetConfig& config, int64_t side) {
  std::vector<int64_t> sides;
  for (size_t level = 0; level < config.multipliers.size(); ++level) {
    sides.push_back(side >> level);
  }
  return sides;
}

void check(const UNetConfig& config, const UNetShape& shape) {
  const auto levels = static_cast<int64_t>(config.multipliers.size());
  require(levels >= 1 && levels <= kMaxLevels, "multipliers",
          fmt::format("needs 1 to {} levels, found {}", kMaxLevels, levels));
  DDPM_CHECK(shape.in_channels >= 1 && shape.out_channels >= 1, "{} and {} channels", shape.in_channels,
             shape.out_channels);
  require(config.base_channels >= 4 && config.base_channels <= kMaxChannels && config.base_channels % 2 == 0,
          "base_channels",
          fmt::format("{} is not an even number from 4 to {}", config.base_channels, kMaxChannels));
  require(config.res_blocks >= 1 && config.res_blocks <= kMaxBlocks, "res_blocks",
          fmt::format("{} is not within 1..{}", config.res_blocks, kMaxBlocks));
  require(config.dropout >= 0 && config.dropout < 1, "dropout",
          fmt::format("{} is not within [0, 1)", config.dropout));
  require(config.groups >= 1, "groups", fmt::format("{} is not a positive number", config.groups));
  for (const int64_t multiplier : config.multipliers) {
    require(multiplier >= 1 && multiplier <= kMaxMultiplier, "multipliers",
            fmt::format("{} is not within 1..{}", multiplier, kMaxMultiplier));
  }
  // Every other width is a sum of multiples of base_channels.
  require(config.base_channels % config.groups == 0, "groups",
          fmt::format("{} groups do not divide {} base channels", config.groups, config.base_channels));
  const int64_t unit = int64_t{1} << (levels - 1);
  require(shape.image_side >= unit && shape.image_side % unit == 0, "multipliers",
          fmt::format("images of side {} cannot be halved {} times; {} levels need a side divisible by {}",
                      shape.image_side, levels - 1, levels, unit));
  const auto sides = level_sides(config, shape.image_side);
  for (const int64_t resolution : config.attention_resolutions) {
    require(std::find(sides.begin(), sides.end(), resolution) != sides.end(), "attention_resolutions",
            fmt::format("no level has side {}; the levels have {}", resolution, fmt::join(sides, ", ")));
  }
}

/// One resolution of either half. `attention` is empty or has one per block.
struct Level {
  std::vector<ResnetBlock> blocks;
  std::vector<AttentionBlock> attention;
  std::optional<Conv> resample;

  at::Tensor apply(size_t block, const at::Tensor& x, const at::Tensor& shift,
                   const BlockContext& context) const {
    const at::Tensor h = blocks[block](x, shift, context);
    return attention.empty() ? h : attention[block](h);
  }

  void freeze() {
    for (auto& block : blocks) {
      block.freeze();
    }
    for (auto& block : attention) {
      block.freeze();
    }
    if (resample) {
      resample->freeze();
    }
  }
};

}  // namespace

void UNetConfig::fields(core::ConfigVisitor& v) {
  v.value("base_channels", base_channels);
  v.value("multipliers", multipliers);
  v.value("res_blocks", res_blocks);
  v.value("attention_resolutions", attention_resolutions);
  v.value("dropout", dropout);
  v.value("groups", groups);
}

struct UNet::Layers {
  Layers(ParameterMaker& maker, const UNetConfig& config, const UNetShape& shape)
      : time_width(4 * config.base_channels),
        temb_dense_0(Dense::make(maker, "temb.dense.0", config.base_channels, time_width)),
        temb_dense_1(Dense::make(maker, "temb.dense.1", time_width, time_width)),
        conv_in(Conv::make(maker, "conv_in", shape.in_channels, config.base_channels, 3)) {
    std::vector<int64_t> skips{config.base_channels};
    int64_t channels = add_down(maker, config, shape, skips);
    mid_block_1.emplace(maker, "mid.block_1", channels, channels, time_width, config.groups);
    mid_attn_1.emplace(maker, "mid.attn_1", channels, config.groups);
    mid_block_2.emplace(maker, "mid.block_2", channels, channels, time_width, config.groups);
    channels = add_up(maker, config, shape, skips, channels);
    norm_out = GroupNorm::make(maker, "norm_out", channels, config.groups);
    conv_out = Conv::make(maker, "conv_out", channels, shape.out_channels, 3, kZeroInitScale);
  }

  /// Appends the width of everything that is kept for the way up; returns the last width.
  int64_t add_down(ParameterMaker& maker, const UNetConfig& config, const UNetShape& shape,
                   std::vector<int64_t>& skips) {
    const auto sides = level_sides(config, shape.image_side);
    int64_t channels = config.base_channels;
    for (size_t i = 0; i < sides.size(); ++i) {
      const int64_t width = config.base_channels * config.multipliers[i];
      const std::string name = fmt::format("down.{}", i);
      Level level;
      for (int64_t j = 0; j < config.res_blocks; ++j) {
        add_block(maker, config, level, fmt::format("{}.block.{}", name, j), channels, width);
        skips.push_back(width);
        channels = width;
      }
      add_attention(maker, config, level, name, sides[i], width);
      if (i + 1 < sides.size()) {
        level.resample = Conv::make(maker, name + ".downsample.conv", width, width, 3);
        level.resample->stride = 2;
        skips.push_back(width);
      }
      down.push_back(std::move(level));
    }
    return channels;
  }

  /// Takes the widths off `skips` in the order in which the pass will; returns the last width.
  int64_t add_up(ParameterMaker& maker, const UNetConfig& config, const UNetShape& shape,
                 std::vector<int64_t>& skips, int64_t channels) {
    const auto sides = level_sides(config, shape.image_side);
    up.resize(sides.size());
    for (size_t i = sides.size(); i-- > 0;) {
      const int64_t width = config.base_channels * config.multipliers[i];
      const std::string name = fmt::format("up.{}", i);
      for (int64_t j = 0; j <= config.res_blocks; ++j) {
        add_block(maker, config, up[i], fmt::format("{}.block.{}", name, j), channels + skips.back(), width);
        skips.pop_back();
        channels = width;
      }
      add_attention(maker, config, up[i], name, sides[i], width);
      if (i > 0) {
        up[i].resample = Conv::make(maker, name + ".upsample.conv", width, width, 3);
      }
    }
    DDPM_CHECK(skips.empty(), "{} skip connections are left over", skips.size());
    return channels;
  }

  void add_block(ParameterMaker& maker, const UNetConfig& config, Level& level, const std::string& name,
                 int64_t in, int64_t out) const {
    level.blocks.emplace_back(maker, name, in, out, time_width, config.groups);
  }

  static void add_attention(ParameterMaker& maker, const UNetConfig& config, Level& level,
                            const std::string& name, int64_t side, int64_t width) {
    const auto& wanted = config.attention_resolutions;
    if (std::find(wanted.begin(), wanted.end(), side) == wanted.end()) {
      return;
    }
    for (size_t j = 0; j < level.blocks.size(); ++j) {
      level.attention.emplace_back(maker, fmt::format("{}.attn.{}", name, j), width, config.groups);
    }
  }

  void freeze() {
    temb_dense_0.freeze();
    temb_dense_1.freeze();
    conv_in.freeze();
    for (auto* levels : {&down, &up}) {
      for (auto& level : *levels) {
        level.freeze();
      }
    }
    mid_block_1->freeze();
    mid_attn_1->freeze();
    mid_block_2->freeze();
    conv_out.freeze();
  }

  /// What the time adds in each residual block, in the order in which they run.
  std::vector<at::Tensor> shifts(const at::Tensor& t, int64_t base_channels) const {
    const at::Tensor embedded = time_embedding(t, base_channels);
    const at::Tensor time = torch::silu(temb_dense_1(torch::silu(temb_dense_0(embedded))));
    std::vector<at::Tensor> result;
    const auto add_level = [&](const Level& level) {
      for (const auto& block : level.blocks) {
        result.push_back(block.shift(time));
      }
    };
    std::for_each(down.begin(), down.end(), add_level);
    result.push_back(mid_block_1->shift(time));
    result.push_back(mid_block_2->shift(time));
    std::for_each(up.rbegin(), up.rend(), add_level);
    return result;
  }

  /// The pass of a batch, in `dtype` between the first and the last convolution.
  at::Tensor run(const at::Tensor& x_t, const std::vector<at::Tensor>& shifts, at::ScalarType dtype,
                 const BlockContext& context) const {
    auto shift = shifts.begin();
    std::vector<at::Tensor> skips{conv_in(to_channels_last(x_t)).to(dtype)};
    for (const Level& level : down) {
      for (size_t j = 0; j < level.blocks.size(); ++j) {
        skips.push_back(level.apply(j, skips.back(), *shift++, context));
      }
      if (level.resample) {
        skips.push_back((*level.resample)(skips.back()));
      }
    }
    at::Tensor h = (*mid_block_1)(skips.back(), *shift++, context);
    h = (*mid_block_2)((*mid_attn_1)(h), *shift++, context);
    for (size_t i = up.size(); i-- > 0;) {
      const Level& level = up[i];
      for (size_t j = 0; j < level.blocks.size(); ++j) {
        h = level.apply(j, concat_channels(h, skips.back()), *shift++, context);
        skips.pop_back();
      }
      if (level.resample) {
        h = (*level.resample)(upsample_nearest(h));
      }
    }
    return conv_out(norm_out(h, Activation::kSwish), torch::kFloat32);
  }

  int64_t time_width;
  Dense temb_dense_0, temb_dense_1;
  Conv conv_in;
  std::vector<Level> down, up;
  std::optional<ResnetBlock> mid_block_1, mid_block_2;
  std::optional<AttentionBlock> mid_attn_1;
  GroupNorm norm_out;
  Conv conv_out;
};

UNet::UNet(const UNetConfig& config, const UNetShape& shape, ParameterMaker maker)
    : config_(config), shape_(shape) {
  check(config, shape);
  layers_ = std::make_unique<Layers>(maker, config, shape);
  parameters_ = maker.take();
  std::vector<at::Tensor> leaves;
  for (const auto& [name, parameter] : parameters_) {
    leaves.push_back(parameter);
  }
  replayed_ = std::make_unique<tensor::ReplayedFunction>(std::move(leaves));
}

UNet::~UNet() = default;

at::Tensor UNet::run(const at::Tensor& x_t, const at::Tensor& t,
                     const std::optional<TrainingPass>& pass) const {
  tensor::expect(x_t, torch::kFloat32, {-1, shape_.in_channels, shape_.image_side, shape_.image_side}, "x_t");
  tensor::expect(t, torch::kInt64, {x_t.size(0)}, "t");
  if (pass && x_t.is_cuda()) {
    return train_on_gpu(x_t, t, *pass);
  }
  const auto dtype = pass ? tensor::dtype_of(pass->precision) : torch::kFloat32;
  return layers_->run(x_t, layers_->shifts(t, config_.base_channels), dtype, {config_.dropout, pass});
}

at::Tensor UNet::train_on_gpu(const at::Tensor& x_t, const at::Tensor& t, const TrainingPass& pass) const {
  const auto body = [&](const std::vector<at::Tensor>& inputs) {
    return layers_->run(inputs[0], layers_->shifts(inputs[1], config_.base_channels),
                        tensor::dtype_of(pass.precision), {config_.dropout, pass, inputs[2]});
  };
  const auto place = mask_place(pass.first_row, pass.step, x_t.device());
  const auto variant = fmt::format("seed {} precision {}", pass.seed, static_cast<int>(pass.precision));
  return (*replayed_)(variant, {x_t, t, place}, body);
}

/// Rows go through the network in tiles, one thread each: a core works on activations in its own cache, and
/// no thread waits for another at the end of every layer.
struct UNet::Frozen final : DiffusionNetwork {
  Frozen(const UNet& net, tensor::Precision wanted)
      : config(net.config_),
        shape(net.shape_),
        dtype(tensor::dtype_of(wanted)),
        weights(net.parameters_),
        maker(net.parameters_, "the network itself"),
        layers(maker, config, shape) {
    const at::NoGradGuard no_grad;
    layers.freeze();
  }

  const tensor::NamedTensors& parameters() const override { return weights; }

  at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                 const std::optional<TrainingPass>& pass) const override {
    DDPM_CHECK(!pass, "a network prepared for evaluation is not trained");
    tensor::expect(x_t, torch::kFloat32, {-1, shape.in_channels, shape.image_side, shape.image_side}, "x_t");
    tensor::expect(t, torch::kInt64, {x_t.size(0)}, "t");
    const at::NoGradGuard no_grad;
    if (!x_t.device().is_cpu()) {
      return run_on_gpu(x_t, t);
    }
    const auto shifts = layers.shifts(t, config.base_channels);
    const int64_t rows = x_t.size(0);
    const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
    at::Tensor output = torch::empty({rows, shape.out_channels, shape.image_side, shape.image_side});
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
      const at::NoGradGuard no_grad_here;  // modes belong to threads
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t first = tile * kTileRows;
        const int64_t count = std::min(kTileRows, rows - first);
        std::vector<at::Tensor> own;
        for (const auto& shift : shifts) {
          own.push_back(shift.narrow(0, first, count));
        }
        output.narrow(0, first, count).copy_(layers.run(x_t.narrow(0, first, count), own, dtype, {}));
      }
    });
    return output;
  }

  at::Tensor run_on_gpu(const at::Tensor& x_t, const at::Tensor& t) const {
    const auto body = [this](const std::vector<at::Tensor>& inputs) {
      return layers.run(inputs[0], layers.shifts(inputs[1], config.base_channels), dtype, {});
    };
    const auto outputs = tensor::halved_when_full({x_t, t}, [&](const std::vector<at::Tensor>& inputs) {
      return std::vector<at::Tensor>{(*replayed)("", inputs, body)};
    });
    return outputs.front();
  }

  UNetConfig config;
  UNetShape shape;
  at::ScalarType dtype;
  tensor::NamedTensors weights;
  ParameterMaker maker;
  Layers layers;
  std::unique_ptr<tensor::ReplayedFunction> replayed = std::make_unique<tensor::ReplayedFunction>();
};

std::unique_ptr<const DiffusionNetwork> UNet::prepare(tensor::Precision precision) const {
  return std::make_unique<Frozen>(*this, precision);
}

}  // namespace ddpm_eval::ddpm
