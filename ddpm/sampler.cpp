#include "ddpm/sampler.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "ddpm/choice.h"

#include <cmath>
#include <map>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

const Words<Sampler> kSamplerWords = {{"ancestral", Sampler::kAncestral}, {"ddim", Sampler::kDdim}};
const Words<Spacing> kSpacingWords = {{"uniform", Spacing::kUniform},
                                      {"leading", Spacing::kLeading},
                                      {"trailing", Spacing::kTrailing},
                                      {"quad", Spacing::kQuad}};
const Words<Variance> kVarianceWords = {{"fixedlarge", Variance::kFixedLarge},
                                        {"fixedsmall", Variance::kFixedSmall}};

/// The DDIM authors' factor: the squares end at 0.8 T.
constexpr double kQuadEnd = 0.8;

/// One micro-batch on its way from x_T to x_0.
class Chain {
 public:
  Chain(const DiffusionNetwork& network, const DiffusionProcess& process, const SampleOptions& options)
      : network_(network),
        process_(process),
        options_(options),
        log_variance_(process.log_variance(options.variance)) {}

  at::Tensor start(std::span<const int64_t> indices, at::IntArrayRef row_shape) const {
    return tensor::normal_rows({options_.seed, "sample.x_T"}, indices, 0, row_shape).to(network_.device());
  }

  /// x_{i-1} from x_i.
  at::Tensor step(const at::Tensor& x, int64_t i, std::span<const int64_t> indices) const {
    const auto n = static_cast<int64_t>(indices.size());
    const auto original_t =
        torch::full({n}, process_.original_t(i), torch::dtype(torch::kInt64).device(x.device()));
    const auto t = torch::full({n}, i, torch::kInt64);
    const auto output = network_.forward(x, original_t);
    auto x_0 = x_0_from_output(options_.prediction, process_, x, t, output);
    if (options_.clip) {
      x_0.clamp_(-1, 1);
    }
    if (i == 0) {
      return x_0;  // both samplers: no noise, and all weight on x_0
    }
    return options_.sampler == Sampler::kAncestral ? ancestral(x, x_0, t, i, indices)
                                                   : ddim(x, x_0, t, i, indices);
  }

 private:
  at::Tensor noise(const at::Tensor& x, int64_t i, std::span<const int64_t> indices) const {
    return tensor::normal_rows({options_.seed, "sample.noise"}, indices, process_.original_t(i),
                               x.sizes().slice(1))
        .to(x.device());
  }

  at::Tensor ancestral(const at::Tensor& x, const at::Tensor& x_0, const at::Tensor& t, int64_t i,
                       std::span<const int64_t> indices) const {
    const double sigma = std::exp(0.5 * log_variance_[static_cast<size_t>(i)]);
    return process_.posterior_mean(x_0, x, t).add_(noise(x, i, indices), sigma);
  }

  at::Tensor ddim(const at::Tensor& x, const at::Tensor& x_0, const at::Tensor& t, int64_t i,
                  std::span<const int64_t> indices) const {
    const auto& tables = process_.tables();
    const auto at = static_cast<size_t>(i);
    // eta^2 beta_tilde is eq. 16's sigma^2. Clipped or not, eps is what leads from x_0 to x.
    const double variance = options_.eta * options_.eta * tables.beta_tilde[at];
    const double direction = std::sqrt(std::max(0.0, tables.one_minus_alpha_bar[at - 1] - variance));
    const auto eps = process_.eps_from_x_0(x, t, x_0);
    auto next = (x_0 * std::sqrt(tables.alpha_bar_prev[at])).add_(eps, direction);
    return variance > 0 ? next.add_(noise(x, i, indices), std::sqrt(variance)) : next;
  }

  const DiffusionNetwork& network_;
  const DiffusionProcess& process_;
  const SampleOptions& options_;
  std::vector<double> log_variance_;
};

}  // namespace

void SampleOptions::fields(core::ConfigVisitor& v) {
  choice(v, "sampler", sampler, kSamplerWords);
  v.value("steps", steps);
  choice(v, "spacing", spacing, kSpacingWords);
  v.value("eta", eta);
  choice(v, "variance", variance, kVarianceWords);
  v.value("clip", clip);
  v.value("micro_batch", micro_batch);
}

void SampleOptions::validate(int64_t chain_steps) const {
  if (steps < 0 || steps > chain_steps) {
    throw core::UsageError("sample.steps: {} is not within 1..{}, the steps of the trained chain", steps,
                           chain_steps);
  }
  if (!(eta >= 0 && eta <= 1)) {
    throw core::UsageError("sample.eta: {} is not within 0..1", eta);
  }
  if (eta > 0 && sampler == Sampler::kAncestral) {
    throw core::UsageError("sample.eta: only the ddim sampler has it; set sample.sampler = 'ddim'");
  }
  if (micro_batch < 1) {
    throw core::UsageError("sample.micro_batch: {} is not a positive number", micro_batch);
  }
}

std::vector<int64_t> spaced_steps(Spacing spacing, int64_t chain_steps, int64_t steps) {
  if (steps < 1 || steps > chain_steps) {
    throw core::UsageError("sample.steps: {} is not within 1..{}, the steps of the trained chain", steps,
                           chain_steps);
  }
  std::vector<int64_t> visited;
  for (int64_t i = 0; i < steps; ++i) {
    int64_t t = 0;
    switch (spacing) {
      case Spacing::kUniform:
        // A single step starts where the noise is.
        t = steps == 1 ? chain_steps - 1 : (2 * i * (chain_steps - 1) + steps - 1) / (2 * (steps - 1));
        break;
      case Spacing::kLeading:
        t = i * (chain_steps / steps);
        break;
      case Spacing::kTrailing:
        t = (2 * (i + 1) * chain_steps + steps) / (2 * steps) - 1;
        break;
      case Spacing::kQuad: {
        const double last = std::sqrt(kQuadEnd * static_cast<double>(chain_steps));
        const double root =
            steps == 1 ? last : last * static_cast<double>(i) / static_cast<double>(steps - 1);
        t = std::min(chain_steps - 1, static_cast<int64_t>(root * root));
        break;
      }
    }
    if (visited.empty() || t > visited.back()) {
      visited.push_back(t);
    }
  }
  return visited;
}

at::Tensor sample(const DiffusionNetwork& network, const DiffusionProcess& process,
                  const SampleOptions& options, std::span<const int64_t> indices, at::IntArrayRef row_shape,
                  const SampleProgress& progress) {
  options.validate(process.steps());
  const int64_t steps = options.steps == 0 ? process.steps() : options.steps;
  const auto part = process.sub_chain(spaced_steps(options.spacing, process.steps(), steps));
  const Chain chain(network, part, options);

  // Positions in `indices` by micro-batch of the endless sequence.
  std::map<int64_t, std::vector<size_t>> groups;
  for (size_t position = 0; position < indices.size(); ++position) {
    DDPM_CHECK(indices[position] >= 0, "sample index {}", indices[position]);
    groups[indices[position] / options.micro_batch].push_back(position);
  }

  const at::NoGradGuard no_grad;
  std::vector<int64_t> shape{static_cast<int64_t>(indices.size())};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  at::Tensor samples = torch::empty(shape, torch::kFloat32);
  const int64_t total = static_cast<int64_t>(groups.size()) * part.steps();
  int64_t done = 0;
  for (const auto& [group, positions] : groups) {
    const int64_t first = group * options.micro_batch;
    const auto members = tensor::index_range(first, first + options.micro_batch);
    at::Tensor x = chain.start(members, row_shape);
    for (int64_t i = part.steps(); i-- > 0;) {
      x = chain.step(x, i, members);
      if (progress) {
        progress(++done, total);
      }
    }
    if (!x.isfinite().all().item<bool>()) {
      throw core::DataError(
          "the network gives samples that are not finite numbers; its training diverged or "
          "its weights are damaged");
    }
    x = x.to(torch::kCPU);
    for (const size_t position : positions) {
      samples[static_cast<int64_t>(position)].copy_(x[indices[position] - first]);
    }
  }
  return samples;
}

at::Tensor to_u8(const at::Tensor& images_pm1) {
  return images_pm1.to(torch::kFloat64).clamp(-1, 1).add_(1).mul_(127.5).add_(0.5).floor_().to(torch::kUInt8);
}

at::Tensor to_pm1(const at::Tensor& images_u8) { return images_u8.to(torch::kFloat32).div_(127.5).sub_(1); }

}  // namespace ddpm_eval::ddpm
