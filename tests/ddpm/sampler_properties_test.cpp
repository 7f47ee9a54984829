#include "ddpm/chain.h"
#include "ddpm/sampler.h"
#include "tests/ddpm/any_process.h"
#include "tests/ddpm/formula_network.h"

#include <cmath>

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

// Samplers against one another, for any schedule and any network.
namespace ddpm_eval::ddpm {
namespace {

using testing::any_integer;
using testing::any_real;
using testing::near;

/// Bounded, and different at every x and t.
FormulaNetwork any_network() {
  const double slope = any_real(-1, 1);
  const double shift = any_real(-1, 1);
  const double speed = any_real(0, 1);
  return FormulaNetwork([=](const at::Tensor& x, const at::Tensor& t) {
    return torch::tanh(slope * x + shift + (speed * t.to(torch::kFloat32)).sin().unsqueeze(1));
  });
}

constexpr int64_t kDims = 2;

RC_GTEST_PROP(SamplerProperties, DdimWithEta1IsTheAncestralSamplerOfTheSmallVariance, ()) {
  const DiffusionProcess process(make_betas(any_gentle_schedule()));
  const auto network = any_network();
  SampleOptions options;
  options.clip = any_integer(0, 1) == 1;  // DDIM's eps is had anew from the clipped x_0
  options.micro_batch = any_integer(1, 4);
  options.seed = static_cast<uint64_t>(any_integer(0, 1000));
  options.variance = SampleVariance::kFixedSmall;
  auto ddim = options;
  ddim.sampler = Sampler::kDdim;
  ddim.variance = SampleVariance::kModel;
  ddim.eta = 1;
  const auto indices = tensor::index_range(0, 5);
  // Full chains and, as both take the part's own betas, shorter ones.
  options.steps = ddim.steps = any_integer(0, process.steps());
  RC_ASSERT(near(sample(network, process, {}, ddim, indices, {kDims}),
                 sample(network, process, {}, options, indices, {kDims}), 1e-3));
}

RC_GTEST_PROP(SamplerProperties, TheFirstStepOfTheSolverIsDdims, ()) {
  const DiffusionProcess process(make_betas(any_gentle_schedule()));
  const auto part =
      process.sub_chain(spaced_steps(Spacing::kUniform, process.steps(), any_integer(2, process.steps())));
  const auto network = any_network();
  const SamplingModel model{network, process, {}};
  SampleOptions ddim{.sampler = Sampler::kDdim, .clip = any_integer(0, 1) == 1};
  auto solver = ddim;
  solver.sampler = Sampler::kDpmSolver;
  const auto indices = tensor::index_range(0, 3);
  Chain a(model, part, ddim, indices, {kDims});
  Chain b(model, part, solver, indices, {kDims});
  RC_ASSERT(a.x().equal(b.x()));
  a.step(part.steps() - 1);
  b.step(part.steps() - 1);
  RC_ASSERT(near(b.x(), a.x(), 1e-4));
}

RC_GTEST_PROP(SamplerProperties, SamplesDoNotDependOnHowTheyAreSplit, ()) {
  const DiffusionProcess process(make_betas(any_gentle_schedule()));
  const auto network = any_network();
  const SampleOptions options{
      .clip = false, .micro_batch = any_integer(1, 5), .seed = static_cast<uint64_t>(any_integer(0, 1000))};
  const int64_t count = any_integer(2, 12);
  const int64_t cut = any_integer(1, count - 1);
  const auto draw = [&](int64_t begin, int64_t end) {
    return sample(network, process, {}, options, tensor::index_range(begin, end), {kDims});
  };
  RC_ASSERT(torch::cat({draw(0, cut), draw(cut, count)}).equal(draw(0, count)));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
