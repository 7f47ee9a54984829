#include "base/tensor/process_group.h"

#include <memory>

#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_GLOO
#include "base/core/environment.h"
#include "base/tensor/process_board.h"

#include <algorithm>
#include <array>

#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO  // LibTorch has it; the macro is of its own build
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

namespace ddpm_eval::tensor {
namespace {

class Alone final : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<at::Tensor> all_gather(const at::Tensor& mine) override { return {mine}; }
  std::string from_first(const std::string& text) override { return text; }
  bool any(bool mine) override { return mine; }
  void copy_from_first(at::Tensor& /*values*/) override {}
  void add_up(const std::vector<at::Tensor>& /*tensors*/) override {}
  bool tell_failure(core::ExitCode /*code*/, const std::string& /*message*/) override { return true; }
  void leave() override {}
};

// Never destroyed: its threads may be at work still when the process ends.
ProcessGroup* joined = nullptr;

}  // namespace

at::Tensor ProcessGroup::gather_rows(const at::Tensor& mine) {
  auto parts = all_gather(mine);
  std::erase_if(parts, [](const at::Tensor& part) { return !part.defined(); });
  return parts.size() > 1 ? torch::cat(parts) : parts.empty() ? at::Tensor() : parts.front();
}

int64_t ProcessGroup::number_from_first(int64_t number) {
  return std::stoll(from_first(std::to_string(number)));
}

ProcessGroup& process_group() {
  static Alone alone;
  return joined != nullptr && AloneScope::depth_ == 0 ? *joined : alone;
}

int AloneScope::depth_ = 0;

void join_process_group(const core::LaunchedProcess& process, const GroupOptions& options) {
  DDPM_CHECK(joined == nullptr, "this process is one of a group already");
  joined = meet_processes(process, options).release();
}

#ifdef DDPM_EVAL_WITH_GLOO

namespace {

constexpr int kMostSides = 6;
constexpr int64_t kBucket = 25 << 20;        // bytes, as torch.nn.parallel has them
constexpr std::chrono::hours kForever{720};  // it is ProcessBoard that loses patience

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

class GlooGroup final : public ProcessGroup {
 public:
  GlooGroup(const core::LaunchedProcess& process, const GroupOptions& options)
      : rank_(process.rank), size_(process.count), board_(process, options) {
    try {
      group_ =
          c10::make_intrusive<c10d::ProcessGroupGloo>(board_.store(), rank_, size_, gloo_options(board_));
    } catch (const std::exception& error) {
      const auto text = fmt::format("no connection with the other processes: {}", reason_of(error));
      board_.tell_failure(core::ExitCode::kResources, text);
      throw core::ResourceError("rank {}: {}", rank_, text);
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void copy_from_first(at::Tensor& values) override {
    if (values.numel() == 0) {
      return;
    }
    std::vector<at::Tensor> whole{values.is_contiguous() && values.is_cpu() ? values
                                                                            : values.cpu().contiguous()};
    board_.wait([&] { return group_->broadcast(whole); });
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
  void leave() override { board_.leave(); }

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
  static c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(const ProcessBoard& board) {
    auto options = c10d::ProcessGroupGloo::Options::create(kForever);
    options->threads = 1;  // one collective at a time
    const auto interface = core::environment_value("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface.empty()
                                   ? c10d::ProcessGroupGloo::createDeviceForHostname(board.own_address())
                                   : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    return options;
  }

  void add_up_bucket(const std::vector<at::Tensor>& bucket) {
    std::vector<at::Tensor> flat;
    for (const auto& tensor : bucket) {
      flat.push_back(tensor.cpu().flatten());
    }
    std::vector<at::Tensor> sum{torch::cat(flat)};
    if (sum.front().numel() == 0) {
      return;
    }
    board_.wait([&] { return group_->allreduce(sum); });
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
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int r = 0; r < size(); ++r) {
      outputs.front().push_back(torch::empty_like(mine));
    }
    std::vector<at::Tensor> inputs{mine};
    board_.wait([&] { return group_->allgather(outputs, inputs); });
    return std::move(outputs.front());
  }

  int rank_;
  int size_;
  ProcessBoard board_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

bool has_process_groups() { return true; }

std::unique_ptr<ProcessGroup> meet_processes(const core::LaunchedProcess& process,
                                             const GroupOptions& options) {
  return std::make_unique<GlooGroup>(process, options);
}

#else

bool has_process_groups() { return false; }

std::unique_ptr<ProcessGroup> meet_processes(const core::LaunchedProcess& process,
                                             const GroupOptions& /*options*/) {
  throw core::UsageError(
      "{} processes: this program was built without Gloo, which they talk through; --procs 1 runs one",
      process.count);
}

#endif

}  // namespace ddpm_eval::tensor
