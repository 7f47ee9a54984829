#include "metrics/extract.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/tensor/runtime.h"

#include <chrono>

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

}  // namespace

ExtractReport extract(data::ImageSource& source, const FeatureNet& net, const OutputConsumer& consume,
                      const ExtractProgress& progress, const InputWitness& witness) {
  const at::NoGradGuard no_grad;
  ExtractReport report;
  BatchGatherer gatherer(net.micro_batch());
  const int64_t total = source.size().value_or(0);

  const auto run = [&](const at::Tensor& batch, int64_t count) {
    NetOutput output = timed(report.forward_seconds, [&] { return net.forward(batch); });
    if (count < batch.size(0)) {
      for (at::Tensor* part : {&output.features, &output.logits, &output.spatial}) {
        *part = part->defined() ? part->narrow(0, 0, count) : *part;
      }
    }
    if (witness) {
      timed(report.witness_seconds, [&] { witness(batch, count, output); });
    }
    timed(report.consume_seconds, [&] { consume(output); });
    report.images += count;
    if (progress) {
      progress(report.images, total);
    }
  };

  for (;;) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("stopped after {} images of {}", report.images, source.name());
    }
    const at::Tensor images = timed(report.source_seconds, [&] { return source.next(gatherer.room()); });
    if (!images.defined()) {
      break;
    }
    DDPM_CHECK(images.size(0) >= 1 && images.size(0) <= gatherer.room(), "{} yielded {} images, asked for {}",
               source.name(), images.size(0), gatherer.room());
    const at::Tensor prepared = timed(report.prepare_seconds, [&] {
      auto rows = net.prepare(images);
      tensor::synchronize();  // else a GPU's work would count as the forward pass
      return rows;
    });
    if (const at::Tensor batch = gatherer.add(prepared); batch.defined()) {
      run(batch, batch.size(0));
    }
  }
  if (gatherer.filled() > 0) {
    run(gatherer.rest(), gatherer.filled());
  }
  return report;
}

}  // namespace ddpm_eval::metrics
