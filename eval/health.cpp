#include "eval/health.h"

#include "base/core/config.h"
#include "base/data/source_spec.h"
#include "eval/console.h"

#include <array>
#include <cmath>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

struct Milestone {
  double step;
  double loss;
};

constexpr std::array<Milestone, 3> kMilestones = {{{46'800, 0.0295}, {400'000, 0.028}, {796'000, 0.0277}}};
constexpr int kQuarters = 4;

template <class Section>
bool same(const Section& a, const Section& b) {
  return core::config_to_json(a) == core::config_to_json(b);
}

/// "quarters 0.08 0.02 0.01 0.004"; a dash for a quarter of the chain that no example was in.
std::string quarters_text(const training::StepLog& entries) {
  std::string text = "quarters";
  for (int quarter = 0; quarter < kQuarters; ++quarter) {
    const auto found = entries.find(fmt::format("loss_q{}", quarter));
    text += found == entries.end() ? " -" : fmt::format(" {:.3g}", found->second);
  }
  return text;
}

}  // namespace

std::optional<double> published_loss(int64_t step) {
  const auto now = static_cast<double>(step);
  for (size_t i = 0; i + 1 < kMilestones.size(); ++i) {
    const auto& from = kMilestones.at(i);
    const auto& to = kMilestones.at(i + 1);
    if (now >= from.step && now <= to.step) {
      const double part = std::log(now / from.step) / std::log(to.step / from.step);
      return from.loss + part * (to.loss - from.loss);
    }
  }
  return std::nullopt;
}

bool is_paper_run(const ddpm::RunConfig& config) {
  const ddpm::RunConfig paper;
  const auto& train = config.train;
  const auto data = data::parse_source(config.data.source);
  return data.name == "cifar10:train" && data.query.empty() && same(config.model, paper.model) &&
         same(config.process, paper.process) && same(config.objective, paper.objective) &&
         train.batch_size == paper.train.batch_size && train.flip == paper.train.flip &&
         train.loop.learning_rate == paper.train.loop.learning_rate &&
         train.loop.lr_schedule == paper.train.loop.lr_schedule &&
         train.loop.weight_decay == paper.train.loop.weight_decay;
}

Health::Health(const ddpm::RunConfig& config, std::optional<double> loss_of_zero)
    : steps_(config.train.loop.steps), paper_run_(is_paper_run(config)), loss_of_zero_(loss_of_zero) {}

training::StepLog Health::reference(int64_t step) const {
  training::StepLog entries;
  if (loss_of_zero_) {
    entries["loss_of_zero"] = *loss_of_zero_;
  }
  if (const auto loss = paper_run_ ? published_loss(step) : std::nullopt) {
    entries["loss_published"] = *loss;
  }
  return entries;
}

std::string Health::line(const training::LogLine& line) {
  std::string beside;
  if (const auto found = line.entries.find("loss_published"); found != line.entries.end()) {
    beside = fmt::format("published {:.3g}; ", found->second);
  } else if (loss_of_zero_) {
    beside = fmt::format("{:.3g} % of answering 0; ", 100 * line.loss / *loss_of_zero_);
  } else if (loss_before_) {
    beside = fmt::format("before {:.4g}; ", *loss_before_);
  }
  loss_before_ = line.loss;
  return fmt::format(
      "step {}/{}: loss {:.4g} ({}{}), gradient norm {:.3g}, {:.3g} % clipped, {:.4g} images/s, {} left",
      line.step, steps_, line.loss, beside, quarters_text(line.entries), line.grad_norm,
      100 * line.clipped_share, line.images_per_second, duration_text(line.seconds_left));
}

}  // namespace ddpm_eval::eval
