#include "base/core/error.h"
#include "base/tensor/process_backend.h"
#include "base/tensor/process_store.h"

#include <cstdlib>
#include <exception>
#include <functional>
#include <thread>

#ifndef USE_C10D_NCCL
#define USE_C10D_NCCL  // LibTorch has it; the macro is of its own build
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

using Nccl = c10d::ProcessGroupNCCL;

constexpr std::chrono::microseconds kCardTurn{50};  // between two looks at the card
constexpr std::chrono::seconds kAbortTime{10};

void ignoring_failures(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::exception&) {
    // The process ends, and has other news.
  }
}

class NcclBackend final : public ProcessBackendOf<Nccl> {
 public:
  NcclBackend(c10::intrusive_ptr<Nccl> group, c10::intrusive_ptr<Nccl::Options> options,
              const c10::Device& device)
      : ProcessBackendOf(std::move(group)), options_(std::move(options)), device_(device) {}

  /// Its communicator is made by the first collective, which does not return before all have come.
  void connect() override {
    std::vector<at::Tensor> one{torch::ones({1}, device_)};
    const auto work = allreduce(one);
    while (!ends_within(*work, std::chrono::seconds(1))) {
    }
  }

  /// Its works wait on the card. Told of a time, they would count as failed after it.
  bool ends_within(c10d::Work& work, std::chrono::milliseconds time) override {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!is_completed(work)) {
      if (std::chrono::steady_clock::now() > end) {
        return false;
      }
      std::this_thread::sleep_for(kCardTurn);
    }
    if (const auto failure = work.exception()) {
      std::rethrow_exception(failure);
    }
    return work.wait();  // what follows on the card waits for it
  }

  void abort() override {
    options_->timeout = kAbortTime;
    ignoring_failures([this] { group_->abort(); });
  }
  void end() override {
    ignoring_failures([this] { group_->shutdown(); });
  }

 private:
  /// It keeps what has gone wrong between the processes for later, and throws what the card says.
  static bool is_completed(c10d::Work& work) {
    try {
      return work.isCompleted();
    } catch (const std::exception& error) {
      throw core::ResourceError("the card failed: {}", reason_of(error));
    }
  }

  c10::intrusive_ptr<Nccl::Options> options_;
  c10::Device device_;
};

/// Its own would end the process without a word of ours.
void do_without_its_watch() {
  for (const char* name : {"TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_ENABLE_MONITORING",
                           "TORCH_NCCL_RETHROW_CUDA_ERRORS"}) {
    ::setenv(name, "0", 0);
  }
}

}  // namespace

std::unique_ptr<ProcessBackend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                  int size, const c10::Device& device) {
  do_without_its_watch();
  auto options = Nccl::Options::create();
  options->timeout = kForever;
  return std::make_unique<NcclBackend>(c10::make_intrusive<Nccl>(store, rank, size, options), options,
                                       device);
}

}  // namespace ddpm_eval::tensor
