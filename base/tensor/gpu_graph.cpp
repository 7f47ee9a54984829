#include "base/tensor/gpu_graph.h"

#include "base/core/environment.h"
#include "base/core/error.h"
#include "base/tensor/derivative.h"

#include <atomic>
#include <utility>

#include <ATen/core/ivalue.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#endif

namespace ddpm_eval::tensor {
namespace {

std::atomic<int64_t> replays = 0;

}  // namespace

#ifdef DDPM_EVAL_WITH_CUDA

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Records what `work` gives the current stream to do, with memory of `pool`.
template <class Work>
void capture(at::cuda::CUDAGraph& graph, at::cuda::MempoolId_t pool, const Work& work) {
  // Calls of other threads (autograd has its own) may allocate meanwhile.
  graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
  try {
    work();
  } catch (...) {
    try {
      graph.capture_end();
    } catch (const std::exception&) {  // the first error says more
    }
    throw;
  }
  graph.capture_end();
}

}  // namespace

/// Lives on as long as a graph of autograd that has yet to read it.
struct ReplayedFunction::Recording : torch::CustomClassHolder {
  Inputs inputs;                      ///< read by the graphs
  at::Tensor output;                  ///< written by `forward`
  at::Tensor grad_output;             ///< read by `backward`
  std::vector<at::Tensor> gradients;  ///< of the leaves, written by `backward`; undefined where there is none
  at::cuda::CUDAGraph forward, backward;
  int64_t passes = 0;

  Recording(const Inputs& given, const std::vector<at::Tensor>& leaves, const Body& body) {
    for (const at::Tensor& input : given) {
      inputs.push_back(input.clone());
    }
    c10::cuda::device_synchronize();
    // One for all: libraries keep memory for every stream that they have seen.
    static const auto stream = at::cuda::getStreamFromPool();
    const c10::cuda::CUDAStreamGuard guard(stream);
    const auto differentiate = [&] {
      return torch::autograd::grad({output}, leaves, {grad_output}, /*retain_graph=*/false,
                                   /*create_graph=*/false, /*allow_unused=*/true);
    };
    // Libraries set themselves up at the first call on a stream, which no recording may see.
    output = body(inputs);
    if (!leaves.empty()) {
      grad_output = torch::zeros_like(output);
      differentiate();
    }
    output = at::Tensor();
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    capture(forward, {0, 0}, [&] { output = body(inputs); });
    if (!leaves.empty()) {
      capture(backward, forward.pool(), [&] { gradients = differentiate(); });
      output = output.detach();
    }
  }

  void take(const Inputs& given) {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs[i].copy_(given[i]);
    }
  }

  at::Tensor run() {
    const at::NoGradGuard no_grad;
    forward.replay();
    ++passes;
    ++replays;
    return output.clone();
  }
};

struct ReplayedFunction::Replay : torch::autograd::Function<Replay> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Recording>& recording,
                            at::TensorList /*leaves*/) {
    const at::Tensor output = recording->run();
    context->saved_data["recording"] = at::IValue::make_capsule(recording);
    context->saved_data["pass"] = recording->passes;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivative("a replayed function");
    const auto kept = context->saved_data["recording"].toCapsule();
    auto& recording = static_cast<Recording&>(*kept);
    DDPM_CHECK(recording.passes == context->saved_data["pass"].toInt(),
               "the gradients of a replayed function after another call");
    recording.grad_output.copy_(gradients[0]);
    recording.backward.replay();
    variable_list all{at::Tensor()};
    all.insert(all.end(), recording.gradients.begin(), recording.gradients.end());
    return all;
  }
};

at::Tensor ReplayedFunction::operator()(const std::string& variant, const Inputs& inputs, const Body& body) {
  if (off_ || inputs.empty() || !inputs.front().is_cuda()) {
    return body(inputs);
  }
  const bool with_gradients = differentiable();
  const std::string signature = signature_of(variant, inputs);
  const bool again = std::exchange(last_, signature) == signature;
  if (!recording_ || signature != recorded_) {
    if (!again) {
      return body(inputs);
    }
    recording_.reset();  // its memory is wanted for the next
    try {
      recording_ =
          c10::make_intrusive<Recording>(inputs, with_gradients ? leaves_ : std::vector<at::Tensor>(), body);
    } catch (const c10::OutOfMemoryError&) {
      off_ = true;
      c10::cuda::CUDACachingAllocator::emptyCache();
      return body(inputs);
    }
    recorded_ = signature;
  }
  recording_->take(inputs);
  return with_gradients ? Replay::apply(recording_, at::TensorList(leaves_)) : recording_->run();
}

#else

struct ReplayedFunction::Recording : c10::intrusive_ptr_target {};

at::Tensor ReplayedFunction::operator()(const std::string& /*variant*/, const Inputs& inputs,
                                        const Body& body) {
  return body(inputs);
}

#endif

ReplayedFunction::ReplayedFunction(std::vector<at::Tensor> leaves)
    : leaves_(std::move(leaves)), off_(core::is_switched_off("DDPM_EVAL_CUDA_GRAPHS")) {}

ReplayedFunction::~ReplayedFunction() = default;

int64_t replayed_calls() { return replays; }

bool ReplayedFunction::differentiable() const { return at::GradMode::is_enabled() && !leaves_.empty(); }

/// With where the leaves are: a recording reads that memory.
std::string ReplayedFunction::signature_of(const std::string& variant, const Inputs& inputs) const {
  std::string signature = fmt::format("{}|{}", variant, differentiable());
  for (const at::Tensor& input : inputs) {
    DDPM_CHECK(!(at::GradMode::is_enabled() && input.requires_grad()),
               "a replayed function is not differentiated by its inputs");
    signature += fmt::format("|{} {} {}", static_cast<int>(input.scalar_type()),
                             fmt::join(input.sizes(), ","), fmt::join(input.strides(), ","));
  }
  for (const at::Tensor& leaf : leaves_) {
    signature += fmt::format("|{}", leaf.data_ptr());
  }
  return signature;
}

}  // namespace ddpm_eval::tensor
