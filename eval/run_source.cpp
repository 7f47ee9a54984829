#include "eval/run_source.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "eval/sampling.h"

#include <algorithm>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

void stop_when_asked() {
  if (core::interrupt_requested()) {
    throw core::InterruptedError("interrupted while sampling");
  }
}

LoadedRun load_run_of(const data::SourceSpec& spec) {
  SamplingRequest request;
  request.run = spec.path;
  request.seed = spec.seed;
  for (const auto& [key, value] : spec.query) {
    request.settings.push_back(
        {fmt::format("sample.{}={}", key, value), fmt::format("source '{}': {}", spec.text, key)});
  }
  auto run = load_run(request);
  if (const auto warning = prior_warning(run); !warning.empty()) {
    print_warning(fmt::format("{}: {}", spec.text, warning));
  }
  return run;
}

class RunSource final : public data::ImageSource {
 public:
  RunSource(std::string name, std::shared_ptr<const LoadedRun> run, const data::Subset& part)
      : name_(std::move(name)),
        run_(std::move(run)),
        count_(part.count.value()),
        next_(part.first),
        end_(part.first + count_) {}

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return count_; }
  const data::SourceReport& report() const override { return report_; }
  std::string context_json() const override { return core::json_text(run_->record); }

  at::Tensor next(int64_t max_images) override {
    if (buffered_ == 0) {
      fill();
    }
    if (buffered_ == 0) {
      return {};
    }
    const int64_t take = std::min(max_images, buffered_);
    const auto images = buffer_.narrow(0, buffer_.size(0) - buffered_, take).contiguous();
    buffered_ -= take;
    report_.yielded += take;
    return images;
  }

 private:
  /// What is wanted of one micro-batch of the sampler, which works on whole ones from index 0 on, for each
  /// process.
  void fill() {
    if (next_ == end_) {
      return;
    }
    const int64_t begin = next_;
    const int64_t micro_batch = run_->options.micro_batch;
    const int64_t end = std::min(end_, begin / micro_batch * micro_batch + samples_of_a_round(*run_));
    buffer_ = data::as_rgb(draw(*run_, begin, end, stop_when_asked));
    buffered_ = end - begin;
    next_ = end;
  }

  std::string name_;
  std::shared_ptr<const LoadedRun> run_;
  int64_t count_;
  int64_t next_;  ///< index of the next sample to be made
  int64_t end_;
  at::Tensor buffer_;
  int64_t buffered_ = 0;  ///< images at the end of buffer_ not yet handed out
  data::SourceReport report_;
};

}  // namespace

std::unique_ptr<data::ImageSource> make_sampler_source(std::string name, std::shared_ptr<const LoadedRun> run,
                                                       const data::Subset& part) {
  return std::make_unique<RunSource>(std::move(name), std::move(run), part);
}

at::Tensor sample_points_of(const LoadedRun& run, const data::Subset& part, const ProgressFn& progress) {
  constexpr int64_t kPointsAtOnce = 5000;
  const int64_t end = part.first + part.count.value();
  std::vector<at::Tensor> parts;
  for (int64_t begin = part.first; begin < end; begin += kPointsAtOnce) {
    parts.push_back(draw(run, begin, std::min(end, begin + kPointsAtOnce), [&] {
      if (core::interrupt_requested()) {
        throw core::InterruptedError("interrupted after {} of {} samples; the same command begins anew",
                                     begin - part.first, *part.count);
      }
    }));
    progress(std::min(end, begin + kPointsAtOnce) - part.first, *part.count);
  }
  return torch::cat(parts);
}

std::unique_ptr<data::ImageSource> open_run_source(const data::SourceSpec& spec) {
  auto run = load_run_of(spec);
  if (!run.model.makes_images()) {
    throw core::UsageError("{}: this run makes points, not images; `score` compares it with other points",
                           spec.text);
  }
  return make_sampler_source(spec.text, std::make_shared<const LoadedRun>(std::move(run)), spec.subset);
}

RunPoints draw_run_points(const data::SourceSpec& spec, const ProgressFn& progress) {
  const auto run = load_run_of(spec);
  if (run.model.makes_images()) {
    throw core::UsageError("{}: this run makes images, and the other side is points", spec.text);
  }
  return {sample_points_of(run, spec.subset, progress), run.record};
}

}  // namespace ddpm_eval::eval
