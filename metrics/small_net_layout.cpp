#include "metrics/small_net_layout.h"

#include <torch/types.h>

namespace ddpm_eval::metrics::small_net {
namespace {

constexpr int64_t kUnitsOfWidth = 8;  ///< channel counts are multiples of width / 8

/// A chain of units from `in` channels on, as {channels, kernel, stride} each.
struct Step {
  int64_t out;
  int64_t kernel;
  int64_t stride = 1;
};
Branch chain(const std::string& name, int64_t in, Pool pool, const std::vector<Step>& steps) {
  Branch branch{pool, {}};
  for (const auto& step : steps) {
    const auto number = std::to_string(branch.units.size() + 1);
    branch.units.push_back({name + "." + number, in, step.out, step.kernel, step.stride});
    in = step.out;
  }
  return branch;
}

at::Tensor apply_pool(Pool pool, const at::Tensor& input) {
  switch (pool) {
    case Pool::kNone:
      return input;
    case Pool::kAverage:
      return at::avg_pool2d(input, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
    case Pool::kMax:
      return at::max_pool2d(input, 3, 1, 1);
    case Pool::kMaxHalving:
      return at::max_pool2d(input, 3, 2, 1);
  }
  return input;
}

}  // namespace

// The shapes of Szegedy et al. 2016 at a thousandth of the cost, 5.4 M multiply-adds for 28 x 28: a stem that
// halves the image, a block, a halving block and two more, the last with a max pool as in the FID network.
Layout make_layout(const SmallNetOptions& options) {
  const int64_t u = options.width / kUnitsOfWidth;
  Layout layout;
  layout.blocks = {
      {chain("stem", options.channels, Pool::kNone, {{4 * u, 5, 2}, {8 * u, 3}})},
      {chain("mixed1.branch1x1", 8 * u, Pool::kNone, {{3 * u, 1}}),
       chain("mixed1.branch3x3", 8 * u, Pool::kNone, {{3 * u, 1}, {4 * u, 3}}),
       chain("mixed1.branch3x3dbl", 8 * u, Pool::kNone, {{2 * u, 1}, {3 * u, 3}, {3 * u, 3}}),
       chain("mixed1.branch_pool", 8 * u, Pool::kAverage, {{2 * u, 1}})},
      {chain("mixed2.branch3x3", 12 * u, Pool::kNone, {{5 * u, 1}, {7 * u, 3, 2}}),
       chain("mixed2.branch3x3dbl", 12 * u, Pool::kNone, {{3 * u, 1}, {4 * u, 3}, {5 * u, 3, 2}}),
       chain("mixed2.branch_pool", 12 * u, Pool::kMaxHalving, {})},
      {chain("mixed3.branch1x1", 24 * u, Pool::kNone, {{8 * u, 1}}),
       chain("mixed3.branch3x3", 24 * u, Pool::kNone, {{6 * u, 1}, {8 * u, 3}}),
       chain("mixed3.branch3x3dbl", 24 * u, Pool::kNone, {{3 * u, 1}, {4 * u, 3}, {4 * u, 3}}),
       chain("mixed3.branch_pool", 24 * u, Pool::kAverage, {{4 * u, 1}})},
      {chain("mixed4.branch1x1", 24 * u, Pool::kNone, {{10 * u, 1}}),
       chain("mixed4.branch3x3", 24 * u, Pool::kNone, {{7 * u, 1}, {10 * u, 3}}),
       chain("mixed4.branch3x3dbl", 24 * u, Pool::kNone, {{4 * u, 1}, {6 * u, 3}, {6 * u, 3}}),
       chain("mixed4.branch_pool", 24 * u, Pool::kMax, {{6 * u, 1}})},
  };
  layout.dim = 32 * u;
  return layout;
}

std::vector<ConvUnit> units(const Layout& layout) {
  std::vector<ConvUnit> all;
  for (const auto& block : layout.blocks) {
    for (const auto& branch : block) {
      all.insert(all.end(), branch.units.begin(), branch.units.end());
    }
  }
  return all;
}

at::Tensor run(const Layout& layout, const at::Tensor& input, const ApplyUnit& apply) {
  auto x = input;
  for (const auto& block : layout.blocks) {
    std::vector<at::Tensor> outputs;
    for (const auto& branch : block) {
      auto y = apply_pool(branch.pool, x);
      for (const auto& unit : branch.units) {
        y = apply(unit, y);
      }
      outputs.push_back(y);
    }
    x = outputs.size() == 1 ? outputs.front() : at::cat(outputs, 1);
  }
  return x.mean({2, 3});
}

at::Tensor scale_images(const at::Tensor& images_u8) {
  return images_u8.to(at::kFloat).div_(127.5).sub_(1.0).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace ddpm_eval::metrics::small_net
