#include "metrics/extract.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/tensor/runtime.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

/// Runs `action` and adds its time to `seconds`.
template <class Action>
auto timed(double& seconds, Action&& action) {
  using Clock = std::chrono::steady_clock;
  struct Stopwatch {
    double& total;
    Clock::time_point begin = Clock::now();
    ~Stopwatch() { total += std::chrono::duration<double>(Clock::now() - begin).count(); }
  } stopwatch{seconds};
  return action();
}

/// Gathers prepared rows into full micro-batches. A chunk that is one already passes through without a copy.
class BatchGatherer {
 public:
  explicit BatchGatherer(int64_t size) : size_(size) {}

  int64_t room() const { return size_ - filled_; }
  int64_t filled() const { return filled_; }

  /// Adds 1 to room() rows; the full batch if that completes it, else an undefined tensor.
  at::Tensor add(const at::Tensor& rows) {
    const int64_t count = rows.size(0);
    if (count == size_) {
      return rows;
    }
    if (!batch_.defined()) {
      auto shape = rows.sizes().vec();
      shape[0] = size_;
      batch_ = at::empty(shape, rows.options(), rows.suggest_memory_format());
    }
    batch_.narrow(0, filled_, count).copy_(rows);
    filled_ += count;
    if (filled_ < size_) {
      return {};
    }
    filled_ = 0;
    return batch_;
  }

  /// The last, partly filled batch, padded with zeros.
  at::Tensor rest() {
    batch_.narrow(0, filled_, room()).zero_();
    return batch_;
  }

 private:
  int64_t size_;
  int64_t filled_ = 0;
  at::Tensor batch_;
};

/// One network's part of a reading.
class Extractor {
 public:
  Extractor(const Extraction& extraction, std::string source, ExtractReport& report)
      : extraction_(extraction),
        source_(std::move(source)),
        report_(report),
        gatherer_(extraction.net.micro_batch()) {}

  int64_t done() const { return done_; }

  /// All of `images`, of one size; several micro-batches where they are more than one has room for.
  void add(const at::Tensor& images) {
    for (int64_t begin = 0; begin < images.size(0);) {
      const int64_t count = std::min(gatherer_.room(), images.size(0) - begin);
      const at::Tensor prepared =
          timed(report_.prepare_seconds, [&] { return prepare(images.narrow(0, begin, count)); });
      if (const at::Tensor batch = gatherer_.add(prepared); batch.defined()) {
        run(batch, batch.size(0));
      }
      begin += count;
    }
  }

  void finish() {
    if (gatherer_.filled() > 0) {
      run(gatherer_.rest(), gatherer_.filled());
    }
  }

 private:
  /// The network does not know where its images come from.
  at::Tensor prepare(const at::Tensor& images) const {
    try {
      return extraction_.net.prepare(images);
    } catch (const core::DataError& error) {
      throw core::DataError("{}: after {} of its images: {}", source_, done_ + gatherer_.filled(),
                            error.what());
    }
  }

  void run(const at::Tensor& batch, int64_t count) {
    NetOutput output = timed(report_.forward_seconds, [&] { return extraction_.net.forward(batch); });
    if (count < batch.size(0)) {
      for (at::Tensor* part : {&output.features, &output.logits, &output.spatial}) {
        *part = part->defined() ? part->narrow(0, 0, count) : *part;
      }
    }
    if (extraction_.witness) {
      timed(report_.witness_seconds, [&] { extraction_.witness(batch, count, output); });
    }
    timed(report_.consume_seconds, [&] { extraction_.consume(output); });
    done_ += count;
  }

  const Extraction& extraction_;
  std::string source_;
  ExtractReport& report_;
  BatchGatherer gatherer_;
  int64_t done_ = 0;
};

}  // namespace

ExtractReport extract_all(data::ImageSource& source, std::span<const Extraction> extractions,
                          const ExtractProgress& progress) {
  const at::NoGradGuard no_grad;
  DDPM_CHECK(!extractions.empty(), "no network to extract with");
  ExtractReport report;
  std::vector<Extractor> extractors;
  int64_t largest = 0;
  for (const auto& extraction : extractions) {
    extractors.emplace_back(extraction, source.name(), report);
    largest = std::max(largest, extraction.net.micro_batch());
  }
  const int64_t total = source.size().value_or(0);
  auto tell = [&, told = int64_t{0}]() mutable {
    if (progress && extractors.front().done() > told) {
      told = extractors.front().done();
      progress(told, total);
    }
  };
  // The images that a network of the largest micro-batch has room for, so that no image waits.
  int64_t room = largest;
  for (;;) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("stopped after {} images of {}", report.images, source.name());
    }
    const at::Tensor images = timed(report.source_seconds, [&] { return source.next(room); });
    if (!images.defined()) {
      break;
    }
    DDPM_CHECK(images.size(0) >= 1 && images.size(0) <= room, "{} yielded {} images, asked for {}",
               source.name(), images.size(0), room);
    for (auto& extractor : extractors) {
      extractor.add(images);
    }
    report.images += images.size(0);
    room = largest - report.images % largest;
    tell();
  }
  for (auto& extractor : extractors) {
    extractor.finish();
  }
  timed(report.forward_seconds, [] { tensor::synchronize(); });
  tell();
  return report;
}

ExtractReport extract(data::ImageSource& source, const FeatureNet& net, const OutputConsumer& consume,
                      const ExtractProgress& progress, const InputWitness& witness) {
  const Extraction extraction{net, consume, witness};
  return extract_all(source, {&extraction, 1}, progress);
}

}  // namespace ddpm_eval::metrics
