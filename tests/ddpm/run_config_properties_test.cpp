#include "ddpm/run_config.h"
#include "tests/ddpm/any_process.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::any_integer;
using testing::any_real;

RC_GTEST_PROP(RunConfigProperties, TheEchoReadsBackToTheSameConfiguration, ()) {
  RunConfig config;
  config.data.source = *rc::gen::element<std::string>("swiss-roll", "cifar10:train", "a \"folder\"\\\n/x");
  config.data.points = any_integer(1, 1'000'000);
  const bool points = config.data.source == "swiss-roll";
  config.model.kind =
      points ? *rc::gen::element(NetworkKind::kMlp, NetworkKind::kGatedMlp) : NetworkKind::kUNet;
  config.model.mlp.width = 2 * any_integer(2, 500);
  config.model.gated_mlp.layers = any_integer(0, 9);
  config.model.unet.multipliers = *rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(1, 9));
  config.process = any_gentle_schedule();
  config.objective.parameterisation.prediction =
      *rc::gen::element(Prediction::kEps, Prediction::kX0, Prediction::kMuTilde, Prediction::kV);
  config.objective.t_sampling = *rc::gen::element(TSampling::kUniform, TSampling::kAntithetic);
  config.objective.snr_gamma = any_real(0.1, 20);
  config.train.seed = any_integer(0, INT64_MAX - 1);
  config.train.loop.learning_rate = any_real(1e-9, 1);
  config.train.loop.eps = std::pow(10, any_real(-12, -1));
  config.train.loop.ema_ramp = any_integer(0, 1) == 1;
  config.train.flip = false;
  config.sample.clip = false;
  config.sample.weights = *rc::gen::element(SampleWeights::kEma, SampleWeights::kLast, SampleWeights::kBest);
  config.sample.spacing = *rc::gen::element(Spacing::kUniform, Spacing::kQuad, Spacing::kTrailing);
  config.sample.steps = any_integer(0, config.process.steps);
  const auto json = core::config_to_json(config);
  auto tree = core::ConfigTree::from_json(json, "stored");
  const auto read = read_run_config(tree);
  RC_ASSERT(core::config_to_json(read) == json);
  RC_ASSERT(read.process.beta_end == config.process.beta_end);
  RC_ASSERT(read.train.loop.eps == config.train.loop.eps);
  RC_ASSERT(read.data.source == config.data.source);
  RC_ASSERT(read.model.unet.multipliers == config.model.unet.multipliers);
}

}  // namespace
}  // namespace ddpm_eval::ddpm
