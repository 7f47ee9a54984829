#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/Work.hpp>

namespace ddpm_eval::tensor {

using WorkPtr = c10::intrusive_ptr<c10d::Work>;

/// One of c10d's ways between processes. Tensors are on its device and contiguous, with elements; what is
/// started is done when its work is. Throws what LibTorch throws.
class ProcessBackend {
 public:
  virtual ~ProcessBackend() = default;

  /// Meets the other processes, for as long as that takes.
  virtual void connect() = 0;

  virtual WorkPtr broadcast(std::vector<at::Tensor>& tensors) = 0;
  virtual WorkPtr allreduce(std::vector<at::Tensor>& tensors) = 0;
  virtual WorkPtr allgather(std::vector<std::vector<at::Tensor>>& outputs,
                            std::vector<at::Tensor>& inputs) = 0;

  /// Waits for `work`, but no longer than `time`: whether it is done. Throws what it has failed with, and
  /// ResourceError where this process' own card has.
  virtual bool ends_within(c10d::Work& work, std::chrono::milliseconds time) = 0;

  /// Gives up what is going on, and throws nothing.
  virtual void abort() = 0;
  /// To be called once nothing is going on; throws nothing. May wait for the others to call it.
  virtual void end() = 0;
};

/// It is ProcessBoard that loses patience.
inline constexpr std::chrono::hours kForever{720};

/// Has a process group of c10d do it.
template <class Group>
class ProcessBackendOf : public ProcessBackend {
 public:
  explicit ProcessBackendOf(c10::intrusive_ptr<Group> group) : group_(std::move(group)) {}

  WorkPtr broadcast(std::vector<at::Tensor>& tensors) override { return group_->broadcast(tensors); }
  WorkPtr allreduce(std::vector<at::Tensor>& tensors) override { return group_->allreduce(tensors); }
  WorkPtr allgather(std::vector<std::vector<at::Tensor>>& outputs, std::vector<at::Tensor>& inputs) override {
    return group_->allgather(outputs, inputs);
  }

 protected:
  c10::intrusive_ptr<Group> group_;
};

/// Gloo, for tensors on the CPU; connected already.
std::unique_ptr<ProcessBackend> make_gloo_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                  int size, const std::string& own_address);

/// NCCL, for tensors on `device`, a card that no other process has.
std::unique_ptr<ProcessBackend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                  int size, const c10::Device& device);

}  // namespace ddpm_eval::tensor
