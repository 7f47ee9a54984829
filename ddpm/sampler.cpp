#include "ddpm/sampler.h"

#include "base/core/error.h"
#include "ddpm/choice.h"
#include "ddpm/trajectory.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

const Words<Sampler> kSamplerWords = {
    {"ancestral", Sampler::kAncestral}, {"ddim", Sampler::kDdim}, {"dpm-solver++", Sampler::kDpmSolver}};
const Words<Spacing> kSpacingWords = {{"uniform", Spacing::kUniform},
                                      {"leading", Spacing::kLeading},
                                      {"linspace", Spacing::kLinspace},
                                      {"trailing", Spacing::kTrailing},
                                      {"quad", Spacing::kQuad}};
const Words<SampleVariance> kVarianceWords = {{"model", SampleVariance::kModel},
                                              {"fixedlarge", SampleVariance::kFixedLarge},
                                              {"fixedsmall", SampleVariance::kFixedSmall}};
const Words<Rounding> kRoundingWords = {{"round", Rounding::kNearest}, {"truncate", Rounding::kTruncate}};

const Words<SampleWeights> kWeightsWords = {
    {"ema", SampleWeights::kEma}, {"last", SampleWeights::kLast}, {"best", SampleWeights::kBest}};

/// The DDIM authors' factor: the squares end at 0.8 T.
constexpr double kQuadEnd = 0.8;

}  // namespace

void SampleOptions::fields(core::ConfigVisitor& v) {
  choice(v, "sampler", sampler, kSamplerWords);
  v.value("steps", steps);
  choice(v, "spacing", spacing, kSpacingWords);
  v.value("eta", eta);
  v.value("hat_sigma", hat_sigma);
  choice(v, "variance", variance, kVarianceWords);
  v.value("clip", clip);
  v.value("dynamic_threshold", dynamic_threshold);
  v.value("rederive", rederive);
  choice(v, "rounding", rounding, kRoundingWords);
  choice(v, "weights", weights, kWeightsWords);
  choice(v, "precision", precision, tensor::precision_words());
  v.value("micro_batch", micro_batch);
}

void SampleOptions::validate(int64_t chain_steps, const Parameterisation& parameterisation) const {
  if (steps < 0 || steps > chain_steps) {
    throw core::UsageError(core::Key{"sample.steps"},
                           "{} is not within 1..{}, the steps of the trained chain (0 means all of them)",
                           steps, chain_steps);
  }
  if (!(eta >= 0 && eta <= 1)) {
    throw core::UsageError(core::Key{"sample.eta"}, "{} is not within 0..1", eta);
  }
  if (eta > 0 && sampler != Sampler::kDdim) {
    throw core::UsageError(core::Key{"sample.eta"},
                           "only the ddim sampler has it; set sample.sampler = 'ddim'");
  }
  if (hat_sigma && eta != 1) {
    throw core::UsageError(core::Key{"sample.hat_sigma"}, "belongs to the ddim sampler with sample.eta = 1");
  }
  if (!(dynamic_threshold >= 0 && dynamic_threshold <= 1)) {
    throw core::UsageError(core::Key{"sample.dynamic_threshold"}, "{} is no quantile within 0..1",
                           dynamic_threshold);
  }
  if (dynamic_threshold > 0 && !clip) {
    throw core::UsageError(core::Key{"sample.dynamic_threshold"},
                           "is a way of clipping; set sample.clip = true");
  }
  if (variance != SampleVariance::kModel && sampler != Sampler::kAncestral) {
    throw core::UsageError(core::Key{"sample.variance"},
                           "only the ancestral sampler has it; set sample.sampler = 'ancestral'");
  }
  const bool part = steps > 0 && steps < chain_steps;
  if (part && sampler == Sampler::kAncestral && variance == SampleVariance::kModel &&
      parameterisation.variance == ModelVariance::kLearned) {
    throw core::UsageError(
        core::Key{"sample.steps"},
        "a learned variance holds for the full chain of {}; set sample.variance = 'fixedsmall' "
        "or "
        "sample.sampler = 'ddim' for a shorter one",
        chain_steps);
  }
  if (micro_batch < 1 || micro_batch > kMaxMicroBatch) {
    throw core::UsageError(core::Key{"sample.micro_batch"}, "{} is not within 1..{}", micro_batch,
                           kMaxMicroBatch);
  }
}

std::vector<int64_t> spaced_steps(Spacing spacing, int64_t chain_steps, int64_t steps) {
  if (steps < 1 || steps > chain_steps) {
    throw core::UsageError(core::Key{"sample.steps"},
                           "{} is not within 1..{}, the steps of the trained chain", steps, chain_steps);
  }
  std::vector<int64_t> visited;
  for (int64_t i = 0; i < steps; ++i) {
    int64_t t = 0;
    switch (spacing) {
      case Spacing::kUniform:
        // A single step starts where the noise is.
        t = steps == 1 ? chain_steps - 1 : (2 * i * (chain_steps - 1) + steps - 1) / (2 * (steps - 1));
        break;
      case Spacing::kLinspace:
        t = steps == 1 ? chain_steps - 1
                       : std::lrint(static_cast<double>(i) * static_cast<double>(chain_steps - 1) /
                                    static_cast<double>(steps - 1));
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
                  const Parameterisation& parameterisation, const SampleOptions& options,
                  std::span<const int64_t> indices, at::IntArrayRef row_shape,
                  const SampleProgress& progress) {
  options.validate(process.steps(), parameterisation);
  const SamplingModel model{network, process, parameterisation};
  const std::vector<int64_t> last{visited_chain(process, options).steps()};
  return trajectory(model, options, indices, row_shape, Shown::kState, last, progress)[0];
}

at::Tensor to_u8(const at::Tensor& images_pm1, Rounding rounding) {
  const double shift = rounding == Rounding::kNearest ? 0.5 : 0;
  return images_pm1.to(torch::kFloat64)
      .clamp(-1, 1)
      .add_(1)
      .mul_(127.5)
      .add_(shift)
      .floor_()
      .to(torch::kUInt8);
}

at::Tensor to_pm1(const at::Tensor& images_u8) { return images_u8.to(torch::kFloat32).div_(127.5).sub_(1); }

}  // namespace ddpm_eval::ddpm
