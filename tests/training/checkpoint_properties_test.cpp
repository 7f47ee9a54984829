#include "base/training/checkpoint.h"
#include "tests/support/generators.h"
#include "tests/support/temp_dir.h"
#include "tests/training/toy_tasks.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

namespace ddpm_eval::training {
namespace {

using testing::any_integer;
using testing::any_real;

/// Parameters and buffers of given shapes; nothing to train.
class ShapesTask final : public TrainTask {
 public:
  explicit ShapesTask(const std::vector<std::vector<int64_t>>& shapes) {
    for (size_t i = 0; i < shapes.size(); ++i) {
      parameters_.push_back({"layer." + std::to_string(i), torch::zeros(shapes[i]).requires_grad_(true)});
    }
    buffers_ = {{"counts", torch::zeros({3}, torch::kInt64)}, {"means", torch::zeros({2}, torch::kFloat64)}};
  }
  tensor::NamedTensors parameters() override { return parameters_; }
  tensor::NamedTensors buffers() override { return buffers_; }
  int64_t batch_size() const override { return 1; }
  at::Tensor loss(int64_t, StepLog&) override { return torch::zeros({}); }

 private:
  tensor::NamedTensors parameters_, buffers_;
};

RC_GTEST_PROP(CheckpointProperties, AnyStateIsRestoredToTheLastBit, ()) {
  std::vector<std::vector<int64_t>> shapes;
  for (int64_t i = any_integer(1, 4); i > 0; --i) {
    shapes.push_back(
        *rc::gen::container<std::vector<int64_t>>(any_integer(0, 4), rc::gen::inRange<int64_t>(1, 5)));
  }
  LoopConfig config;
  config.learning_rate = any_real(1e-6, 1);
  config.ema_decay = any_real(0, 0.9999);
  const auto json = core::config_to_json(config);

  ShapesTask task(shapes);
  auto state = new_state(task, config);
  {
    const at::NoGradGuard no_grad;
    const auto fill = [](const tensor::NamedTensors& tensors) {
      for (const auto& [name, values] : tensors) {
        at::Tensor(values).copy_(testing::any_normal({values.numel()}).view(values.sizes()) * 100);
      }
    };
    fill(state.parameters);
    fill(state.buffers);
    fill(state.ema.parameters());
  }
  state.step = any_integer(0, INT64_C(1) << 40);
  const testing::TempDir first, second;
  save_checkpoint(first.path(), state, json);

  ShapesTask other(shapes);
  auto restored = new_state(other, config);
  load_checkpoint(first.path(), json, {}, restored);
  RC_ASSERT(restored.step == state.step);
  for (size_t i = 0; i < state.parameters.size(); ++i) {
    RC_ASSERT(restored.parameters[i].tensor.equal(state.parameters[i].tensor));
    RC_ASSERT(restored.ema.parameters()[i].tensor.equal(state.ema.parameters()[i].tensor));
  }
  RC_ASSERT(restored.buffers[0].tensor.equal(state.buffers[0].tensor));
  save_checkpoint(second.path(), restored, json);
  RC_ASSERT(testing::checkpoint_bytes(first.path()) == testing::checkpoint_bytes(second.path()));
}

}  // namespace
}  // namespace ddpm_eval::training
