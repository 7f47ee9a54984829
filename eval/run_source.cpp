#include "eval/run_source.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/tensor/noise.h"
#include "eval/sampling.h"

#include <algorithm>
#include <charconv>

#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

class RunSource final : public data::ImageSource {
 public:
  RunSource(std::string name, LoadedRun run, int64_t count)
      : name_(std::move(name)), run_(std::move(run)), count_(count) {}

  std::string name() const override { return name_; }
  std::optional<int64_t> size() const override { return count_; }
  const data::SourceReport& report() const override { return report_; }
  std::string context_json() const override { return core::json_text(run_.record); }

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
  /// One micro-batch of the sampler: whole ones waste no work.
  void fill() {
    const int64_t begin = made_;
    const int64_t end = std::min(count_, begin + run_.options.micro_batch);
    if (begin == end) {
      return;
    }
    const auto stop_if_asked = [](int64_t, int64_t) {
      if (core::interrupt_requested()) {
        throw core::InterruptedError("interrupted while sampling");
      }
    };
    buffer_ =
        as_rgb(ddpm::sample_data(run_.model, run_.options, tensor::index_range(begin, end), stop_if_asked));
    buffered_ = end - begin;
    made_ = end;
  }

  std::string name_;
  LoadedRun run_;
  int64_t count_;
  int64_t made_ = 0;
  at::Tensor buffer_;
  int64_t buffered_ = 0;  ///< images at the end of buffer_ not yet handed out
  data::SourceReport report_;
};

int64_t parse_whole(const std::string& value, const std::string& key, const data::SourceSpec& spec) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 0) {
    throw core::UsageError("source '{}': {}={} is no whole number", spec.text, key, value);
  }
  return number;
}

}  // namespace

std::unique_ptr<data::ImageSource> open_run_source(const data::SourceSpec& spec) {
  SamplingRequest request;
  request.run = spec.path;
  int64_t count = 0;
  for (const auto& [key, value] : spec.query) {
    if (key == "num") {
      count = parse_whole(value, key, spec);
    } else if (key == "seed") {
      request.seed = static_cast<uint64_t>(parse_whole(value, key, spec));
    } else {
      request.settings.push_back(key + "=" + value);
    }
  }
  if (count < 1) {
    throw core::UsageError("{}: say how many images with ?num=N", spec.text);
  }
  auto run = load_run(request);
  if (!run.model.makes_images()) {
    throw core::UsageError("{}: this run makes points, not images: `sample` writes them to an .npy to score",
                           spec.text);
  }
  return std::make_unique<RunSource>(spec.text, std::move(run), count);
}

}  // namespace ddpm_eval::eval
