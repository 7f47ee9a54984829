#include "ddpm/trajectory.h"

#include "base/core/error.h"
#include "base/core/not_finite.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

void require_finite(const at::Tensor& x) {
  if (!x.isfinite().all().item<bool>()) {
    throw core::NotFiniteError(
        "the network gives samples that are not finite numbers; its training diverged or "
        "its weights are damaged");
  }
}

std::vector<int64_t> visited_steps(const DiffusionProcess& process, const SampleOptions& options) {
  return spaced_steps(options.spacing, process.steps(), options.steps == 0 ? process.steps() : options.steps);
}

std::vector<int64_t> with_rows(size_t count, at::IntArrayRef row_shape) {
  std::vector<int64_t> shape{static_cast<int64_t>(count)};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  return shape;
}

/// One micro-batch of a trajectory: the samples from `first` on, of which `positions` of all are wanted.
struct Group {
  int64_t first = 0;
  std::vector<size_t> positions;
};

std::vector<Group> groups_of(std::span<const int64_t> indices, int64_t micro_batch) {
  std::map<int64_t, Group> groups;
  for (size_t position = 0; position < indices.size(); ++position) {
    DDPM_CHECK(indices[position] >= 0, "sample index {}", indices[position]);
    auto& group = groups[indices[position] / micro_batch];
    group.first = indices[position] / micro_batch * micro_batch;
    group.positions.push_back(position);
  }
  std::vector<Group> list;
  for (auto& [number, group] : groups) {
    list.push_back(std::move(group));
  }
  return list;
}

/// A model whose network is ready for many evaluations.
class PreparedModel {
 public:
  PreparedModel(const SamplingModel& model, const SampleOptions& options)
      : prepared_(model.network.prepare(options.precision)),
        model_{prepared_ ? *prepared_ : model.network, model.process, model.parameterisation} {}

  const SamplingModel& operator*() const { return model_; }

 private:
  std::unique_ptr<const DiffusionNetwork> prepared_;
  SamplingModel model_;
};

}  // namespace

DiffusionProcess visited_chain(const DiffusionProcess& process, const SampleOptions& options) {
  return process.sub_chain(visited_steps(process, options));
}

int64_t level_at(const DiffusionProcess& part, int64_t moment) {
  DDPM_CHECK(moment >= 0 && moment <= part.steps(), "moment {} of {} steps", moment, part.steps());
  return moment == part.steps() ? 0 : part.original_t(part.steps() - 1 - moment) + 1;
}

at::Tensor trajectory(const SamplingModel& model, const SampleOptions& options,
                      std::span<const int64_t> indices, at::IntArrayRef row_shape, Shown shown,
                      std::span<const int64_t> moments, const SampleProgress& progress) {
  options.validate(model.process.steps(), model.parameterisation);
  const auto part = visited_chain(model.process, options);
  const at::NoGradGuard no_grad;
  const PreparedModel ready(model, options);
  auto shape = with_rows(indices.size(), row_shape);
  shape.insert(shape.begin(), static_cast<int64_t>(moments.size()));
  at::Tensor kept = torch::empty(shape, torch::kFloat32);
  const auto groups = groups_of(indices, options.micro_batch);
  const int64_t total = static_cast<int64_t>(groups.size()) * part.steps();
  int64_t done = 0;
  for (const auto& [first, positions] : groups) {
    auto next = moments.begin();
    const auto keep_if_due = [&, first = first, &positions = positions](int64_t moment, const at::Tensor& x) {
      if (next == moments.end() || *next != moment) {
        return;
      }
      require_finite(x);
      const auto rows = x.to(torch::kCPU);
      for (const size_t position : positions) {
        kept[next - moments.begin()][static_cast<int64_t>(position)].copy_(rows[indices[position] - first]);
      }
      ++next;
    };
    Chain chain(*ready, part, options, tensor::index_range(first, first + options.micro_batch), row_shape);
    for (int64_t moment = 0; moment < part.steps(); ++moment) {
      if (shown == Shown::kState) {
        keep_if_due(moment, chain.x());
      }
      const auto estimate = chain.step(part.steps() - 1 - moment);
      if (shown == Shown::kEstimate) {
        keep_if_due(moment, estimate);
      }
      if (progress) {
        progress(++done, total);
      }
    }
    if (shown == Shown::kState) {
      keep_if_due(part.steps(), chain.x());
    }
    DDPM_CHECK(next == moments.end(), "moments must ascend within the chain");
  }
  return kept;
}

at::Tensor forward_path(const DiffusionProcess& process, const at::Tensor& x_0,
                        std::span<const int64_t> levels, uint64_t seed) {
  const auto indices = tensor::index_range(0, x_0.size(0));
  std::vector<at::Tensor> kept;
  auto x = x_0;
  auto next = levels.begin();
  for (int64_t level = 0; next != levels.end(); ++level) {
    DDPM_CHECK(level <= process.steps(), "levels must ascend within 0..{}", process.steps());
    if (level > 0) {
      const int64_t t = level - 1;
      const double beta = process.tables().beta[static_cast<size_t>(t)];
      const auto z = tensor::normal_rows({seed, "forward.noise"}, indices, t, x_0.sizes().slice(1));
      x = (x * std::sqrt(1 - beta)).add_(z, std::sqrt(beta));
    }
    if (*next == level) {
      kept.push_back(x);
      ++next;
    }
  }
  return torch::stack(kept);
}

DiffusionProcess chain_below(const DiffusionProcess& process, const SampleOptions& options, int64_t level) {
  DDPM_CHECK(level >= 1 && level <= process.steps(), "level {} of {}", level, process.steps());
  auto visited = visited_steps(process, options);
  visited.erase(std::lower_bound(visited.begin(), visited.end(), level - 1), visited.end());
  visited.push_back(level - 1);
  return process.sub_chain(visited);
}

at::Tensor interpolate(const SamplingModel& model, const SampleOptions& options, const at::Tensor& ends,
                       int64_t level, std::span<const double> lambdas, const SampleProgress& progress) {
  options.validate(model.process.steps(), model.parameterisation);
  DDPM_CHECK(ends.dim() >= 2 && ends.size(0) == 2, "ends are {}", tensor::describe(ends));
  if (level < 0 || level > model.process.steps()) {
    throw core::UsageError("t = {} is not within 0..{}, the steps of the trained chain", level,
                           model.process.steps());
  }
  const at::NoGradGuard no_grad;
  const auto row_shape = ends.sizes().slice(1);
  const std::vector<int64_t> same{0, 0};
  auto noised = ends;
  if (level > 0) {
    const auto eps = tensor::normal_rows({options.seed, "interpolate.encoding"}, same, 0, row_shape);
    noised = model.process.q_sample(ends, torch::full({2}, level - 1, torch::kInt64), eps);
  }
  std::vector<at::Tensor> mixtures;
  for (const double lambda : lambdas) {
    mixtures.push_back(noised[0] * (1 - lambda) + noised[1] * lambda);
  }
  const auto mixed = torch::stack(mixtures);
  if (level == 0) {
    return mixed;
  }
  const auto part = chain_below(model.process, options, level);
  const PreparedModel ready(model, options);
  std::vector<at::Tensor> decoded;
  const auto batches = mixed.split(options.micro_batch);
  const int64_t total = static_cast<int64_t>(batches.size()) * part.steps();
  int64_t done = 0;
  for (const auto& batch : batches) {
    // Whole micro-batches, and all of sample 0's noise: what differs is lambda alone.
    const int64_t missing = options.micro_batch - batch.size(0);
    const auto whole =
        missing == 0 ? batch : torch::cat({batch, batch.narrow(0, 0, 1).repeat_interleave(missing, 0)});
    Chain chain(*ready, part, options, std::vector<int64_t>(static_cast<size_t>(options.micro_batch), 0),
                whole);
    for (int64_t i = part.steps(); i-- > 0;) {
      chain.step(i);
      if (progress) {
        progress(++done, total);
      }
    }
    require_finite(chain.x());
    decoded.push_back(chain.x().narrow(0, 0, batch.size(0)).to(torch::kCPU));
  }
  return torch::cat(decoded);
}

}  // namespace ddpm_eval::ddpm
