#include "ddpm/t_sampling.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kHistory = 10;
constexpr double kUniformShare = 0.001;
constexpr const char* kPurpose = "train.t";

}  // namespace

TSampler::TSampler(TSampling kind, int64_t chain_steps, uint64_t seed)
    : kind_(kind), chain_steps_(chain_steps), seed_(seed) {
  if (kind_ == TSampling::kImportance) {
    losses_ = torch::zeros({chain_steps, kHistory}, torch::kFloat64);
    counts_ = torch::zeros({chain_steps}, torch::kInt64);
  }
}

TDraw TSampler::draw(int64_t step, int64_t count) const {
  const auto slots = tensor::index_range(0, count);
  TDraw draw{{}, torch::ones({count}, torch::kFloat64)};
  if (kind_ == TSampling::kUniform) {
    draw.t = tensor::integers({seed_, kPurpose}, slots, step, chain_steps_);
  } else if (kind_ == TSampling::kAntithetic) {
    const auto half =
        tensor::integers({seed_, kPurpose}, tensor::index_range(0, (count + 1) / 2), step, chain_steps_);
    draw.t = torch::cat({half, chain_steps_ - 1 - half}).narrow(0, 0, count).contiguous();
  } else {
    const auto p = probabilities();
    std::vector<double> cumulative(p.size());
    std::partial_sum(p.begin(), p.end(), cumulative.begin());
    const auto uniform = tensor::uniform_rows({seed_, kPurpose}, slots, step, {1}).to(torch::kFloat64);
    draw.t = torch::empty({count}, torch::kInt64);
    for (int64_t i = 0; i < count; ++i) {
      const double target = uniform.data_ptr<double>()[i] * cumulative.back();
      const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), target) - cumulative.begin();
      const int64_t t = std::min<int64_t>(found, chain_steps_ - 1);
      draw.t.data_ptr<int64_t>()[i] = t;
      draw.weight.data_ptr<double>()[i] = 1 / (static_cast<double>(chain_steps_) * p[static_cast<size_t>(t)]);
    }
  }
  return draw;
}

void TSampler::record(const at::Tensor& t, const at::Tensor& losses) {
  if (kind_ != TSampling::kImportance) {
    return;
  }
  DDPM_CHECK(losses.scalar_type() == torch::kFloat64 && losses.numel() == t.numel(), "a loss for every t");
  const auto* loss = losses.data_ptr<double>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    const int64_t at = t.data_ptr<int64_t>()[i];
    double* row = losses_.data_ptr<double>() + at * kHistory;
    int64_t& known = counts_.data_ptr<int64_t>()[at];
    if (known == kHistory) {
      std::copy(row + 1, row + kHistory, row);
    } else {
      ++known;
    }
    row[known - 1] = loss[i];
  }
}

tensor::NamedTensors TSampler::buffers() const {
  if (kind_ != TSampling::kImportance) {
    return {};
  }
  return {{"objective.t_losses", losses_}, {"objective.t_counts", counts_}};
}

std::vector<double> TSampler::probabilities() const {
  const double uniform = 1 / static_cast<double>(chain_steps_);
  std::vector<double> p(static_cast<size_t>(chain_steps_), uniform);
  if (kind_ != TSampling::kImportance || counts_.min().item<int64_t>() < kHistory) {
    return p;
  }
  double total = 0;
  for (size_t t = 0; t < p.size(); ++t) {
    const double* row = losses_.data_ptr<double>() + static_cast<int64_t>(t) * kHistory;
    p[t] = std::sqrt(std::inner_product(row, row + kHistory, row, 0.0) / static_cast<double>(kHistory));
    total += p[t];
  }
  for (double& share : p) {
    share = total > 0 ? (1 - kUniformShare) * share / total + kUniformShare * uniform : uniform;
  }
  return p;
}

}  // namespace ddpm_eval::ddpm
