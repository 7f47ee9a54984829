#include "base/tensor/process_group.h"

#include <memory>

#include <torch/types.h>

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
  std::function<void()> begin_sum(const std::vector<at::Tensor>& /*tensors*/) override {
    return [] {};
  }
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

void ProcessGroup::fail_together(bool fails, const std::function<void()>& tell) {
  if (!any(fails)) {
    return;
  }
  if (fails) {
    tell();
  }
  any(false);  // until those for whom it fails have told
  throw_out_of_step();
}

void ProcessGroup::require_same(const std::string& what, const std::string& mine) {
  fail_together(from_first(mine) != mine, [&] {
    throw core::DataError(
        "{}: not the same here as on the first process; all must be given the same files and flags", what);
  });
}

void throw_out_of_step() {
  throw core::DataError(
      "this process is not where another is in their work: all must be given the same files and flags");
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

}  // namespace ddpm_eval::tensor
