#include "base/core/error.h"
#include "base/tensor/process_backend.h"
#include "base/tensor/process_board.h"
#include "base/tensor/process_group.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

#ifdef DDPM_EVAL_WITH_GLOO
constexpr bool kHasGloo = true;
#else
constexpr bool kHasGloo = false;
#endif
#ifdef DDPM_EVAL_WITH_NCCL
constexpr bool kHasNccl = true;
#else
constexpr bool kHasNccl = false;
#endif

constexpr int kMostSides = 6;

/// What a process is about to give: a dtype, -1 for nothing, the number of sides, and the sides.
using Head = std::array<int64_t, 2 + kMostSides>;

Head head_of(const at::Tensor& tensor) {
  Head head{-1};
  if (tensor.defined()) {
    DDPM_CHECK(tensor.dim() >= 1 && tensor.dim() <= kMostSides, "a tensor of {} sides", tensor.dim());
    head[0] = static_cast<int64_t>(tensor.scalar_type());
    head[1] = tensor.dim();
    std::ranges::copy(tensor.sizes(), head.begin() + 2);
  }
  return head;
}

/// What a backend begins from.
struct Seat {
  c10::intrusive_ptr<c10d::Store> store;
  int rank;
  int count;
  std::string own_address;
};

std::unique_ptr<ProcessBackend> make_backend([[maybe_unused]] const Seat& seat, const c10::Device& device) {
#ifdef DDPM_EVAL_WITH_NCCL
  if (device.is_cuda()) {
    return make_nccl_backend(seat.store, seat.rank, seat.count, device);
  }
#endif
#ifdef DDPM_EVAL_WITH_GLOO
  return make_gloo_backend(seat.store, seat.rank, seat.count, seat.own_address);
#endif
  throw core::UsageError("processes that compute on {} have no way to each other", device.str());
}

/// What LibTorch throws means that another process cannot be reached.
template <class Act>
auto telling_of_connections(const Act& act) {
  try {
    return act();
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw ConnectionBroken(reason_of(error));
  }
}

class JoinedGroup final : public ProcessGroup {
 public:
  JoinedGroup(const core::LaunchedProcess& process, const GroupOptions& options)
      : device_(exchanges_on_cards(options.device) ? options.device : c10::Device(c10::kCPU)),
        process_(process),
        board_(process, options) {
    if (device_.is_cpu()) {  // cards are looked for later, by configure_runtime()
      connect();
    }
  }

  int rank() const override { return process_.rank; }
  int size() const override { return process_.count; }
  void copy_from_first(at::Tensor& values) override {
    if (values.numel() == 0) {
      return;
    }
    std::vector<at::Tensor> whole{values.to(device_).contiguous()};
    finish(begin([&](ProcessBackend& backend) { return backend.broadcast(whole); }));
    if (!whole.front().is_same(values)) {
      values.copy_(whole.front());
    }
  }

  std::function<void()> begin_sum(const std::vector<at::Tensor>& tensors) override {
    std::vector<at::Tensor> flat;
    for (const auto& tensor : tensors) {
      flat.push_back(tensor.to(device_).flatten());
    }
    std::vector<at::Tensor> sum{torch::cat(flat)};
    if (sum.front().numel() == 0) {
      return [] {};
    }
    const auto work = begin([&](ProcessBackend& backend) { return backend.allreduce(sum); });
    return [this, work, tensors, sum = sum.front()] {
      finish(work);
      int64_t place = 0;
      for (const auto& tensor : tensors) {
        tensor.copy_(sum.narrow(0, place, tensor.numel()).view(tensor.sizes()));
        place += tensor.numel();
      }
    };
  }

  bool tell_failure(core::ExitCode code, const std::string& message) override {
    return board_.tell_failure(code, message);
  }
  void leave() override {
    if (backend_) {
      backend_->end();
    }
    board_.leave();
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& mine) override {
    const auto own = head_of(mine);
    const auto heads = gather(torch::tensor(at::ArrayRef<int64_t>(own.data(), own.size()), torch::kInt64));
    const auto part_of = [&](size_t rank) { return heads[rank].data_ptr<int64_t>(); };
    // What travels is filled up to the most rows that any process gives.
    const int64_t* longest = nullptr;
    for (size_t rank = 0; rank < heads.size(); ++rank) {
      const auto* part = part_of(rank);
      if (part[0] >= 0 && (longest == nullptr || part[2] > longest[2])) {
        longest = part;
      }
    }
    std::vector<at::Tensor> parts(heads.size());
    if (longest == nullptr) {
      return parts;
    }
    const at::IntArrayRef shape(longest + 2, static_cast<size_t>(longest[1]));
    auto given = torch::zeros(shape, static_cast<at::ScalarType>(longest[0]));
    if (mine.defined()) {
      if (own[0] != longest[0] || mine.sizes().slice(1) != shape.slice(1)) {
        throw_out_of_step();
      }
      given.narrow(0, 0, mine.size(0)).copy_(mine);
    }
    const auto all = gather(given);
    for (size_t rank = 0; rank < parts.size(); ++rank) {
      if (part_of(rank)[0] >= 0) {
        parts[rank] = all[rank].narrow(0, 0, part_of(rank)[2]);
      }
    }
    return parts;
  }

  std::string from_first(const std::string& text) override {
    const auto bytes =
        torch::from_blob(const_cast<char*>(text.data()), {static_cast<int64_t>(text.size())}, torch::kUInt8);
    const auto first = all_gather(is_first() ? bytes : at::Tensor()).front();
    if (!first.defined() || first.scalar_type() != torch::kUInt8 || first.dim() != 1) {
      throw_out_of_step();
    }
    return {reinterpret_cast<const char*>(first.data_ptr<uint8_t>()), static_cast<size_t>(first.numel())};
  }

  bool any(bool mine) override {
    for (const auto& flag : gather(torch::full({1}, mine ? 1 : 0, torch::kInt64))) {
      if (flag.item<int64_t>() != 0) {
        return true;
      }
    }
    return false;
  }

 private:
  /// In a thread that is left alone where another process does not come, for then it would not end.
  void connect() {
    std::packaged_task<std::shared_ptr<ProcessBackend>()> task(
        [device = device_, seat = Seat{board_.store_of_backend(), rank(), size(), board_.own_address()}] {
          std::shared_ptr<ProcessBackend> backend = make_backend(seat, device);
          backend->connect();
          return backend;
        });
    auto connected = task.get_future();
    std::thread(std::move(task)).detach();
    board_.wait([&](std::chrono::milliseconds time) {
      if (connected.wait_for(time) != std::future_status::ready) {
        return false;
      }
      backend_ = telling_of_connections([&] { return connected.get(); });
      return true;
    });
  }

  /// What goes on between the processes, or what its beginning has thrown.
  using Begun = std::shared_future<WorkPtr>;

  Begun begin(const std::function<WorkPtr(ProcessBackend&)>& start) {
    if (!backend_) {
      connect();
    }
    std::packaged_task<WorkPtr()> task([&] { return start(*backend_); });
    Begun work = task.get_future();
    task();
    return work;
  }

  void finish(const Begun& work) {
    try {
      board_.wait([&](std::chrono::milliseconds time) {
        return telling_of_connections([&] { return backend_->ends_within(*work.get(), time); });
      });
    } catch (const PeerError&) {
      backend_->abort();  // what a card does for those who are gone would not end
      throw;
    }
  }

  /// Tensors of the same shape and type, by rank. Gloo waits for ever for those without elements.
  std::vector<at::Tensor> gather(const at::Tensor& mine) {
    if (mine.numel() == 0) {
      return std::vector<at::Tensor>(static_cast<size_t>(size()), mine);
    }
    std::vector<at::Tensor> inputs{mine.to(device_)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int r = 0; r < size(); ++r) {
      outputs.front().push_back(torch::empty_like(inputs.front()));
    }
    finish(begin([&](ProcessBackend& backend) { return backend.allgather(outputs, inputs); }));
    for (auto& output : outputs.front()) {
      output = output.cpu();
    }
    return std::move(outputs.front());
  }

  c10::Device device_;  ///< of what is exchanged
  core::LaunchedProcess process_;
  ProcessBoard board_;
  std::shared_ptr<ProcessBackend> backend_;
};

}  // namespace

bool exchanges_on_cards(const c10::Device& device) { return kHasNccl && device.is_cuda(); }

void require_process_groups(int count, const c10::Device& device) {
  if (!kHasGloo && !exchanges_on_cards(device)) {
    throw core::UsageError(
        "{} processes: this program was built without Gloo, which they talk through{}; --procs 1 runs one",
        count, kHasNccl ? " (with NCCL, for --device cuda)" : "");
  }
}

std::unique_ptr<ProcessGroup> meet_processes(const core::LaunchedProcess& process,
                                             const GroupOptions& options) {
  require_process_groups(process.count, options.device);
  return std::make_unique<JoinedGroup>(process, options);
}

}  // namespace ddpm_eval::tensor
