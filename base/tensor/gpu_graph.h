#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

namespace ddpm_eval::tensor {

/// A function whose kernels a GPU is told of once and then repeats (a CUDA graph): a network of a thousand
/// small ones is bound by their telling. Called twice in a row with the same variant and with inputs of the
/// same shapes, it is recorded at the second call and replayed from then on, with the same results to the
/// bit. Inputs on the CPU, and builds without CUDA, have it called as it is, and so has a GPU without memory
/// for a recording; the environment variable DDPM_EVAL_CUDA_GRAPHS=off (0, false, no) has all of them.
///
/// A recording holds the memory of one call for as long as it lives. While it is made, no other graph of
/// autograd over the leaves may be alive. One thread at a time.
class ReplayedFunction {
 public:
  using Inputs = std::vector<at::Tensor>;

  /// Must depend on its inputs, on the leaves and on what is behind `variant` alone, and neither wait for the
  /// GPU nor copy between it and the CPU.
  using Body = std::function<at::Tensor(const Inputs&)>;

  /// The result is differentiable, once, by `leaves`, where gradients are enabled; never by the inputs.
  explicit ReplayedFunction(std::vector<at::Tensor> leaves = {});
  ~ReplayedFunction();
  ReplayedFunction(const ReplayedFunction&) = delete;
  ReplayedFunction& operator=(const ReplayedFunction&) = delete;

  /// body(inputs). The gradients of one call must be taken before the next: LogicError.
  at::Tensor operator()(const std::string& variant, const Inputs& inputs, const Body& body);

 private:
  struct Recording;
  struct Replay;

  bool differentiable() const;
  std::string signature_of(const std::string& variant, const Inputs& inputs) const;

  std::vector<at::Tensor> leaves_;
  std::string last_;  ///< signature of the call before
  std::string recorded_;
  c10::intrusive_ptr<Recording> recording_;
  bool off_;
};

/// How often this process has replayed a recording.
int64_t replayed_calls();

}  // namespace ddpm_eval::tensor
