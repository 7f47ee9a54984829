#include "base/training/backward.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace ddpm_eval::training {
namespace {

namespace autograd = torch::autograd;

constexpr int64_t kBucketBytes = 4 << 20;

class CallAfterwards final : public autograd::FunctionPostHook {
 public:
  explicit CallAfterwards(std::function<void()> call) : call_(std::move(call)) {}

  autograd::variable_list operator()(const autograd::variable_list& outputs,
                                     const autograd::variable_list& /*inputs*/) override {
    call_();
    return outputs;
  }

 private:
  std::function<void()> call_;
};

/// Calls `call` each time that a backward pass has added to the gradient of a parameter.
class GradientWatch {
 public:
  GradientWatch(std::shared_ptr<autograd::Node> accumulator, std::function<void()> call)
      : accumulator_(std::move(accumulator)),
        key_(accumulator_->add_post_hook(std::make_unique<CallAfterwards>(std::move(call)))) {}
  ~GradientWatch() { accumulator_->del_post_hook(key_); }
  GradientWatch(const GradientWatch&) = delete;
  GradientWatch& operator=(const GradientWatch&) = delete;

 private:
  std::shared_ptr<autograd::Node> accumulator_;
  uintptr_t key_;
};

/// The sums of one backward pass, which begin in the same order on all processes, whatever comes first on
/// each. Parameters are on one device: one thread of autograd adds to their gradients.
class GradientSums {
 public:
  /// Once the graph of the pass is there.
  GradientSums(const tensor::NamedTensors& parameters, tensor::ProcessGroup& group) : group_(group) {
    for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
      add(it->tensor);
    }
  }

  /// After the pass: the sums are in the gradients then.
  void finish() {
    while (begun_ < buckets_.size()) {  // of parameters that the graph does not reach
      begin_next();
    }
    for (const auto& finish : finish_) {
      finish();
    }
  }

 private:
  struct Bucket {
    std::vector<at::Tensor> parameters;
    int64_t bytes = 0;
    int awaited = 0;  ///< gradients
  };

  void add(const at::Tensor& parameter) {
    if (buckets_.empty() || buckets_.back().bytes >= kBucketBytes ||
        buckets_.back().parameters.front().scalar_type() != parameter.scalar_type()) {
      buckets_.emplace_back();
    }
    auto& bucket = buckets_.back();
    bucket.parameters.push_back(parameter);
    bucket.bytes += static_cast<int64_t>(parameter.nbytes());
    if (auto accumulator = autograd::impl::try_get_grad_accumulator(parameter)) {
      ++bucket.awaited;
      watches_.push_back(std::make_unique<GradientWatch>(
          std::move(accumulator), [this, place = buckets_.size() - 1] { take_in(place); }));
    }
  }

  void take_in(size_t place) {
    --buckets_[place].awaited;
    while (begun_ < buckets_.size() && buckets_[begun_].awaited == 0) {
      begin_next();
    }
  }

  void begin_next() {
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : buckets_[begun_++].parameters) {
      if (parameter.grad().defined()) {
        gradients.push_back(parameter.grad());
      }
    }
    if (!gradients.empty()) {
      const at::NoGradGuard no_grad;
      finish_.push_back(group_.begin_sum(gradients));
    }
  }

  tensor::ProcessGroup& group_;
  std::vector<Bucket> buckets_;
  size_t begun_ = 0;
  std::vector<std::function<void()>> finish_;
  std::vector<std::unique_ptr<GradientWatch>> watches_;
};

}  // namespace

void backward_over_processes(const at::Tensor& loss, const tensor::NamedTensors& parameters,
                             tensor::ProcessGroup& group) {
  GradientSums sums(parameters, group);
  loss.backward();
  sums.finish();
}

}  // namespace ddpm_eval::training
