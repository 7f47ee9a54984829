#include "ddpm/sampler.h"

#include "base/core/error.h"
#include "base/core/not_finite.h"
#include "base/tensor/noise.h"
#include "ddpm/schedule.h"
#include "ddpm/unet.h"
#include "tests/ddpm/formula_network.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

DiffusionProcess brief_process() { return DiffusionProcess(make_betas({.steps = 100, .rescale = true})); }

/// Data N(m, s^2): the best eps is E[eps | x_t] = sqrt(1 - a) (x_t - sqrt(a) m) / (a s^2 + 1 - a).
auto gaussian_network(const DiffusionProcess& process, double m, double s) {
  return FormulaNetwork([process, m, s](const at::Tensor& x, const at::Tensor& t) {
    const auto step = static_cast<size_t>(t[0].item<int64_t>());
    const double a = process.tables().alpha_bar[step];
    const double b = process.tables().one_minus_alpha_bar[step];
    return (x - std::sqrt(a) * m) * (std::sqrt(b) / (a * s * s + b));
  });
}

/// Mean and variance of what the sampler makes with that network, followed exactly along the chain: every
/// step is affine in x with independent noise.
struct Moments {
  double mean = 0;
  double variance = 1;
};

Moments exact_moments(const DiffusionProcess& chain, const SampleOptions& options, double m, double s) {
  Moments moments;
  const auto& tables = chain.tables();
  for (auto i = static_cast<size_t>(chain.steps()); i-- > 0;) {
    const double a = tables.alpha_bar[i], b = 1 - a;
    const double a_prev = i > 0 ? tables.alpha_bar[i - 1] : 1;
    const double eps_slope = std::sqrt(b) / (a * s * s + b), eps_offset = -eps_slope * std::sqrt(a) * m;
    // Eq. 12 of DDIM; the ancestral sampler is its eta = 1 with its own variance.
    const bool ddim = options.sampler == Sampler::kDdim;
    const double tilde = tables.beta[i] * (1 - a_prev) / b;
    const double mean_variance = ddim ? options.eta * options.eta * tilde : tilde;
    const double x_0_slope = (1 - std::sqrt(b) * eps_slope) / std::sqrt(a);
    const double x_0_offset = -std::sqrt(b) * eps_offset / std::sqrt(a);
    const double direction = std::sqrt(1 - a_prev - mean_variance);
    const double slope = std::sqrt(a_prev) * x_0_slope + direction * eps_slope;
    const double noise = i == 0 ? 0
                         : ddim ? (options.hat_sigma ? tables.beta[i] : mean_variance)
                                : (options.variance == SampleVariance::kFixedSmall ? tilde : tables.beta[i]);
    moments.mean = slope * moments.mean + std::sqrt(a_prev) * x_0_offset + direction * eps_offset;
    moments.variance = slope * slope * moments.variance + noise;
  }
  return moments;
}

struct Case {
  const char* name;
  SampleOptions options;
};

SampleOptions unclipped(SampleOptions options) {
  options.clip = false;
  options.micro_batch = 5000;
  options.seed = 11;
  return options;
}

class GaussianData : public ::testing::TestWithParam<Case> {};

TEST_P(GaussianData, SamplesHaveTheExactMoments) {
  const auto& options = GetParam().options;
  const double m = 0.7, s = 0.4;
  const auto process = brief_process();
  const int64_t n = 20000;
  const auto x = sample(gaussian_network(process, m, s), process, {}, options, tensor::index_range(0, n), {1})
                     .to(torch::kFloat64);
  const auto chain = process.sub_chain(
      spaced_steps(options.spacing, process.steps(), options.steps == 0 ? process.steps() : options.steps));
  const auto want = exact_moments(chain, options, m, s);
  // Five standard errors.
  EXPECT_NEAR(x.mean().item<double>(), want.mean, 5 * std::sqrt(want.variance / n));
  EXPECT_NEAR(x.var().item<double>(), want.variance, 5 * want.variance * std::sqrt(2.0 / n));
  // And these are near the data's: a hundred steps leave some per cent.
  if (options.steps == 0) {
    EXPECT_NEAR(want.mean, m, 0.01);
    EXPECT_NEAR(std::sqrt(want.variance), s, 0.1 * s);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GaussianData,
    ::testing::Values(
        Case{"large", unclipped({.variance = SampleVariance::kFixedLarge})},
        Case{"small", unclipped({.variance = SampleVariance::kFixedSmall})},
        Case{"large20", unclipped({.steps = 20, .variance = SampleVariance::kFixedLarge})},
        Case{"small20", unclipped({.steps = 20, .variance = SampleVariance::kFixedSmall})},
        Case{"trailing20", unclipped({.steps = 20, .spacing = Spacing::kTrailing})},
        Case{"ddim", unclipped({.sampler = Sampler::kDdim})},
        Case{"ddim_eta", unclipped({.sampler = Sampler::kDdim, .eta = 0.5})},
        Case{"ddim_hat20", unclipped({.sampler = Sampler::kDdim, .steps = 20, .eta = 1, .hat_sigma = true})},
        Case{"ddim20", unclipped({.sampler = Sampler::kDdim, .steps = 20})},
        Case{"ddim20_quad", unclipped({.sampler = Sampler::kDdim, .steps = 20, .spacing = Spacing::kQuad})},
        Case{"ddim20_leading",
             unclipped({.sampler = Sampler::kDdim, .steps = 20, .spacing = Spacing::kLeading, .eta = 1})}),
    [](const auto& row) { return std::string(row.param.name); });

/// Where the exact probability flow of N(m, s^2) data takes x_T.
at::Tensor flow_end(const DiffusionProcess& process, const at::Tensor& x_T, double m, double s) {
  const double a = process.tables().alpha_bar.back();
  return m + (x_T - std::sqrt(a) * m) * (s / std::sqrt(a * s * s + 1 - a));
}

TEST(Sampler, DpmSolverConvergesToTheFlowWithOrderTwo) {
  const auto process = DiffusionProcess(make_betas({.steps = 1000}));
  const double m = 0.7, s = 0.4;
  const auto network = gaussian_network(process, m, s);
  const auto indices = tensor::index_range(0, 50);
  const auto x_T = tensor::normal_rows({11, "sample.x_T"}, indices, 0, {1});
  const auto error = [&](Sampler sampler, int64_t steps) {
    const auto options = unclipped({.sampler = sampler, .steps = steps, .spacing = Spacing::kTrailing});
    const auto x = sample(network, process, {}, options, indices, {1});
    return (x - flow_end(process, x_T, m, s)).abs().mean().item<double>();
  };
  EXPECT_LT(error(Sampler::kDpmSolver, 20), 0.5 * error(Sampler::kDdim, 20));
  EXPECT_LT(error(Sampler::kDpmSolver, 40), 0.4 * error(Sampler::kDpmSolver, 20));
}

TEST(Sampler, APointMassIsHitExactly) {
  const auto process = brief_process();
  const auto network = gaussian_network(process, -0.3, 0);
  for (const auto& options :
       {SampleOptions{}, SampleOptions{.sampler = Sampler::kDdim, .steps = 10},
        SampleOptions{.sampler = Sampler::kDdim, .steps = 1}, SampleOptions{.steps = 7, .clip = false}}) {
    EXPECT_THAT(sample(network, process, {}, options, tensor::index_range(0, 4), {2}),
                TensorNear(torch::full({4, 2}, -0.3), 1e-5));
  }
}

TEST(Sampler, DdimWithEtaOneIsAncestralWithSmallVariance) {
  const auto process = brief_process();
  const FormulaNetwork network([](const at::Tensor& x, const at::Tensor& t) {
    return torch::tanh(x + 0.01 * t.view({-1, 1}));  // far from the best eps, so that clipping matters
  });
  for (const bool clip : {false, true}) {
    SampleOptions options{.variance = SampleVariance::kFixedSmall, .clip = clip, .seed = 3};
    const auto ancestral = sample(network, process, {}, options, tensor::index_range(0, 50), {2});
    options.sampler = Sampler::kDdim;
    options.variance = SampleVariance::kModel;
    options.eta = 1;
    const auto ddim = sample(network, process, {}, options, tensor::index_range(0, 50), {2});
    const double scale = std::max(1.0, ancestral.abs().max().item<double>());
    EXPECT_THAT(ddim, TensorNear(ancestral, 1e-4 * scale)) << "clip " << clip;
  }
}

TEST(Sampler, ClippingKeepsSamplesWithinOne) {
  const auto process = brief_process();
  const auto network = gaussian_network(process, 0.9, 0.5);
  SampleOptions options;
  const auto clipped = sample(network, process, {}, options, tensor::index_range(0, 500), {1});
  EXPECT_LE(clipped.abs().max().item<double>(), 1);
  options.clip = false;
  EXPECT_GT(sample(network, process, {}, options, tensor::index_range(0, 500), {1}).max().item<double>(),
            1.2);
}

TEST(Sampler, ASampleDependsOnSeedAndIndexAlone) {
  UNet network({.base_channels = 8, .multipliers = {1, 2}, .attention_resolutions = {4}, .groups = 4},
               {.in_channels = 1, .out_channels = 1, .image_side = 8}, ParameterMaker(4));
  {
    const at::NoGradGuard no_grad;
    for (const auto& named : network.parameters()) {
      at::Tensor(named.tensor)
          .copy_(tensor::normal_rows({9, named.name}, tensor::index_range(0, 1), 0, named.tensor.sizes())[0])
          .mul_(0.2);
    }
  }
  const auto process = brief_process();
  SampleOptions options{.steps = 5, .micro_batch = 4, .seed = 8};
  const std::vector<int64_t> row{1, 8, 8};
  const auto all = sample(network, process, {}, options, tensor::index_range(0, 10), row);
  for (const auto& [begin, end] : {std::pair{0, 1}, {1, 3}, {3, 9}, {9, 10}}) {
    EXPECT_THAT(sample(network, process, {}, options, tensor::index_range(begin, end), row),
                TensorEq(all.slice(0, begin, end)));
  }
  const int64_t shuffled[] = {9, 0, 5, 0};
  EXPECT_THAT(sample(network, process, {}, options, shuffled, row),
              TensorEq(torch::stack({all[9], all[0], all[5], all[0]})));
  options.seed = 7;
  EXPECT_FALSE(torch::equal(sample(network, process, {}, options, tensor::index_range(0, 10), row), all));
  EXPECT_EQ(sample(network, process, {}, options, {}, row).sizes(), (at::IntArrayRef{0, 1, 8, 8}));
}

TEST(Sampler, ProgressCountsPassesThroughTheNetwork) {
  const auto process = brief_process();
  std::vector<int64_t> seen;
  sample(gaussian_network(process, 0, 1), process, {}, {.steps = 3, .micro_batch = 4},
         tensor::index_range(0, 6), {1}, [&](int64_t done, int64_t total) {
           seen.push_back(done);
           EXPECT_EQ(total, 6);
         });
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Sampler, TheNetworkSeesTheTrainedChainsT) {
  const auto process = brief_process();
  std::vector<int64_t> seen;
  const FormulaNetwork network([&](const at::Tensor& x, const at::Tensor& t) {
    seen.push_back(t[0].item<int64_t>());
    return x;
  });
  sample(network, process, {}, {.steps = 4}, tensor::index_range(0, 1), {1});
  EXPECT_THAT(seen, ElementsAre(99, 66, 33, 0));
}

TEST(Sampler, SpacingsVisitTheirSteps) {
  EXPECT_THAT(spaced_steps(Spacing::kUniform, 1000, 10),
              ElementsAre(0, 111, 222, 333, 444, 555, 666, 777, 888, 999));
  EXPECT_THAT(spaced_steps(Spacing::kLeading, 1000, 10),
              ElementsAre(0, 100, 200, 300, 400, 500, 600, 700, 800, 900));
  EXPECT_THAT(spaced_steps(Spacing::kTrailing, 1000, 10),
              ElementsAre(99, 199, 299, 399, 499, 599, 699, 799, 899, 999));
  // int(linspace(0, sqrt(800), 10)^2) by numpy.
  EXPECT_THAT(spaced_steps(Spacing::kQuad, 1000, 10),
              ElementsAre(0, 9, 39, 88, 158, 246, 355, 483, 632, 800));
  EXPECT_THAT(spaced_steps(Spacing::kUniform, 1000, 1), ElementsAre(999));
  EXPECT_THAT(spaced_steps(Spacing::kLinspace, 1000, 10),
              ElementsAre(0, 111, 222, 333, 444, 555, 666, 777, 888, 999));
  // numpy.linspace(0, 5, 3).round() is 0, 2, 5: ties to even, where uniform takes 3.
  EXPECT_THAT(spaced_steps(Spacing::kLinspace, 6, 3), ElementsAre(0, 2, 5));
  EXPECT_THAT(spaced_steps(Spacing::kUniform, 6, 3), ElementsAre(0, 3, 5));
  for (const auto spacing : {Spacing::kUniform, Spacing::kLeading, Spacing::kTrailing, Spacing::kLinspace}) {
    EXPECT_EQ(spaced_steps(spacing, 100, 100), tensor::index_range(0, 100));
  }
  EXPECT_LT(spaced_steps(Spacing::kQuad, 1000, 100).size(), 100U);
}

TEST(Sampler, RefusesBadOptions) {
  const auto process = brief_process();
  const auto network = gaussian_network(process, 0, 1);
  const auto refusal = [&](const SampleOptions& options) {
    return message_of<core::UsageError>(
        [&] { sample(network, process, {}, options, tensor::index_range(0, 1), {1}); });
  };
  EXPECT_EQ(refusal({.steps = 101}),
            "sample.steps: 101 is not within 1..100, the steps of the trained chain (0 means all of them)");
  EXPECT_THAT(refusal({.steps = -1}), HasSubstr("sample.steps: -1"));
  EXPECT_THAT(refusal({.sampler = Sampler::kDdim, .eta = 1.5}), HasSubstr("sample.eta: 1.5"));
  EXPECT_THAT(refusal({.eta = 0.5}), HasSubstr("only the ddim sampler"));
  EXPECT_THAT(refusal({.micro_batch = 0}), HasSubstr("sample.micro_batch: 0"));
  EXPECT_THAT(refusal({.sampler = Sampler::kDdim, .hat_sigma = true}), HasSubstr("with sample.eta = 1"));
  EXPECT_THAT(refusal({.dynamic_threshold = 1.5}), HasSubstr("sample.dynamic_threshold: 1.5"));
  EXPECT_THAT(refusal({.clip = false, .dynamic_threshold = 0.9}), HasSubstr("a way of clipping"));
  EXPECT_THAT(refusal({.sampler = Sampler::kDpmSolver, .variance = SampleVariance::kFixedSmall}),
              HasSubstr("sample.variance: only the ancestral sampler"));
  const DiffusionProcess jsd(make_betas({.kind = "jsd"}));
  EXPECT_THAT(message_of<core::UsageError>(
                  [&] { sample(gaussian_network(jsd, 0, 1), jsd, {}, {}, tensor::index_range(0, 1), {1}); }),
              HasSubstr("alpha_bar_T is 0"));
}

TEST(Sampler, NonFiniteSamplesAreAnError) {
  const FormulaNetwork broken([](const at::Tensor& x, const at::Tensor&) {
    return torch::full_like(x, std::numeric_limits<float>::quiet_NaN());
  });
  EXPECT_THAT(message_of<core::NotFiniteError>(
                  [&] { sample(broken, brief_process(), {}, {}, tensor::index_range(0, 1), {1}); }),
              HasSubstr("not finite"));
}

TEST(Sampler, OptionsAreReadFromWords) {
  auto tree = core::ConfigTree::from_text(
      "sampler = 'ddim'\nsteps = 50\nspacing = 'quad'\neta = 0.25\nvariance = 'fixedsmall'\nclip = false\n"
      "micro_batch = 20\n",
      "c.toml");
  SampleOptions options;
  core::read_config(tree, options);
  EXPECT_EQ(options.sampler, Sampler::kDdim);
  EXPECT_EQ(options.spacing, Spacing::kQuad);
  EXPECT_EQ(options.variance, SampleVariance::kFixedSmall);
  EXPECT_EQ(
      core::config_to_json(options),
      R"({"sampler":"ddim","steps":50,"spacing":"quad","eta":0.25,"hat_sigma":false,"variance":"fixedsmall",)"
      R"("clip":false,"dynamic_threshold":0.0,"rederive":true,"rounding":"round","weights":"ema","precision":"float32","micro_batch":20})");
}

TEST(Sampler, EightBitTruncationIsTheFloorOfTheClampedValue) {
  const auto x = torch::tensor({-2.0, -1.0, 1.0, 3.0, 0.0, 127.4 / 127.5 - 1, 127.6 / 127.5 - 1, 0.9999});
  EXPECT_THAT(to_u8(x, Rounding::kTruncate),
              TensorEq(torch::tensor({0, 0, 255, 255, 127, 127, 127, 254}, torch::kUInt8)));
  const auto noise = tensor::normal_rows({5, "test"}, tensor::index_range(0, 50), 0, {100});
  const auto truncated = to_u8(noise, Rounding::kTruncate);
  const auto* values = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) {
    const double clamped = std::min(1.0, std::max(-1.0, static_cast<double>(values[i])));
    ASSERT_EQ(truncated.data_ptr<uint8_t>()[i], static_cast<int>(std::floor((clamped + 1) * 127.5)));
  }
  const auto lost = to_u8(noise).to(torch::kInt32) - truncated.to(torch::kInt32);
  EXPECT_EQ(lost.min().item<int>(), 0);
  EXPECT_EQ(lost.max().item<int>(), 1);
}

TEST(Sampler, EightBitRoundingIsToNearest) {
  const auto x = torch::tensor({-2.0, -1.0, 1.0, 3.0, 0.0, 127.4 / 127.5 - 1, 127.6 / 127.5 - 1});
  EXPECT_THAT(to_u8(x), TensorEq(torch::tensor({0, 0, 255, 255, 128, 127, 128}, torch::kUInt8)));
  const auto every = torch::arange(256, torch::kUInt8);
  EXPECT_THAT(to_u8(to_pm1(every)), TensorEq(every));
  EXPECT_EQ(to_pm1(every).min().item<float>(), -1);
  EXPECT_EQ(to_pm1(every).max().item<float>(), 1);
}

}  // namespace
}  // namespace ddpm_eval::ddpm
