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
constexpr int64_t kBucket = 25 << 20;  // bytes, as torch.nn.parallel has them

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

std::unique_ptr<ProcessBackend> make_backend([[maybe_unused]] const ProcessBoard& board,
                                             [[maybe_unused]] const core::LaunchedProcess& process,
                                             const c10::Device& device) {
#ifdef DDPM_EVAL_WITH_NCCL
  if (device.is_cuda()) {
    return make_nccl_backend(board.store_of_backend(), process.rank, process.count, device);
  }
#endif
#ifdef DDPM_EVAL_WITH_GLOO
  return make_gloo_backend(board.store_of_backend(), process.rank, process.count, board.own_address());
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
    wait([&](ProcessBackend& backend) { return backend.broadcast(whole); });
    if (!whole.front().is_same(values)) {
      values.copy_(whole.front());
    }
  }

  /// In buckets, so that the messages are large and the copies of them small.
  void add_up(const std::vector<at::Tensor>& tensors) override {
    std::vector<at::Tensor> bucket;
    int64_t bytes = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      bucket.push_back(tensors[i]);
      bytes += static_cast<int64_t>(tensors[i].nbytes());
      if (bytes >= kBucket || i + 1 == tensors.size() ||
          tensors[i + 1].scalar_type() != tensors[i].scalar_type()) {
        add_up_bucket(bucket);
        bucket.clear();
        bytes = 0;
      }
    }
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
      DDPM_CHECK(own[0] == longest[0] && mine.sizes().slice(1) == shape.slice(1), "parts that are not alike");
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
  void connect() {
    try {
      backend_ = make_backend(board_, process_, device_);
    } catch (const std::exception& error) {
      const auto text = fmt::format("no connection with the other processes: {}", reason_of(error));
      board_.tell_failure(core::ExitCode::kResources, text);
      throw core::ResourceError("rank {}: {}", rank(), text);
    }
    // In a thread that is left alone where another process does not come, for then it would not end.
    std::packaged_task<void()> task([backend = backend_] { backend->connect(); });
    auto connected = task.get_future();
    std::thread(std::move(task)).detach();
    board_.wait([&](std::chrono::milliseconds time) {
      if (connected.wait_for(time) != std::future_status::ready) {
        return false;
      }
      telling_of_connections([&] { connected.get(); });
      return true;
    });
  }

  void wait(const std::function<WorkPtr(ProcessBackend&)>& start) {
    if (!backend_) {
      connect();
    }
    WorkPtr work;
    const auto ends_within = [&](std::chrono::milliseconds time) {
      return telling_of_connections([&] {
        work = work ? work : start(*backend_);
        return backend_->ends_within(*work, time);
      });
    };
    try {
      board_.wait(ends_within);
    } catch (const PeerError&) {
      backend_->abort();  // what a card does for those who are gone would not end
      throw;
    }
  }

  void add_up_bucket(const std::vector<at::Tensor>& bucket) {
    std::vector<at::Tensor> flat;
    for (const auto& tensor : bucket) {
      flat.push_back(tensor.to(device_).flatten());
    }
    std::vector<at::Tensor> sum{torch::cat(flat)};
    if (sum.front().numel() == 0) {
      return;
    }
    wait([&](ProcessBackend& backend) { return backend.allreduce(sum); });
    int64_t begin = 0;
    for (const auto& tensor : bucket) {
      tensor.copy_(sum.front().narrow(0, begin, tensor.numel()).view(tensor.sizes()));
      begin += tensor.numel();
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
    wait([&](ProcessBackend& backend) { return backend.allgather(outputs, inputs); });
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
