#include "metrics/extract.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/data/digest_source.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
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

  int64_t size() const { return size_; }
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

  /// As add(), of rows that somebody else prepares; whether that completes the batch.
  bool skip(int64_t count) {
    filled_ = (filled_ + count) % size_;
    return filled_ == 0;
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

/// One network's part of a reading. Of the processes that work together each takes a micro-batch of a round,
/// at whose end all get the outputs of all.
class Extractor {
 public:
  Extractor(const Extraction& extraction, std::string source, ExtractReport& report)
      : extraction_(extraction),
        source_(std::move(source)),
        prepare_seconds_(seconds_of(extraction, report, &ExtractReport::prepare_seconds)),
        forward_seconds_(seconds_of(extraction, report, &ExtractReport::forward_seconds)),
        consume_seconds_(seconds_of(extraction, report, &ExtractReport::consume_seconds)),
        gatherer_(extraction.net.micro_batch()) {}

  int64_t done() const { return done_; }

  /// All of `images`, of one size; several micro-batches where they are more than one has room for.
  void add(const at::Tensor& images) {
    const int64_t wanted = extraction_.first_images > 0
                               ? std::min(images.size(0), extraction_.first_images - seen_)
                               : images.size(0);
    for (int64_t begin = 0; begin < wanted;) {
      const int64_t count = std::min(gatherer_.room(), wanted - begin);
      if (add_part(images.narrow(0, begin, count))) {
        end_batch(gatherer_.size());
      }
      begin += count;
      seen_ += count;
    }
  }

  void finish() {
    if (const int64_t count = gatherer_.filled(); count > 0) {
      if (is_mine()) {
        run(gatherer_.rest(), count);
      }
      end_batch(count);
    }
    if (batches_ > 0) {
      end_round();
    }
  }

 private:
  /// Where the time of a network for the first images goes, or that of another.
  static double& seconds_of(const Extraction& extraction, ExtractReport& report,
                            double ExtractReport::*part) {
    return extraction.first_images > 0 ? report.control_seconds : report.*part;
  }

  bool is_mine() const { return batches_ == group_.rank(); }

  /// Whether a micro-batch is complete with these images; if it is this process', it has been run.
  bool add_part(const at::Tensor& images) {
    if (!is_mine()) {
      return gatherer_.skip(images.size(0));
    }
    const at::Tensor prepared = timed(prepare_seconds_, [&] { return prepare(images); });
    const at::Tensor batch = gatherer_.add(prepared);
    if (batch.defined()) {
      run(batch, batch.size(0));
    }
    return batch.defined();
  }

  /// The network does not know where its images come from.
  at::Tensor prepare(const at::Tensor& images) const {
    try {
      return extraction_.net.prepare(images);
    } catch (const core::DataError& error) {
      throw core::DataError("{}: after {} of its images: {}", source_, seen_, error.what());
    }
  }

  void run(const at::Tensor& batch, int64_t count) {
    own_ = timed(forward_seconds_, [&] { return extraction_.net.forward(batch); });
    if (count < batch.size(0)) {
      for (at::Tensor* part : {&own_.features, &own_.logits, &own_.spatial}) {
        *part = part->defined() ? part->narrow(0, 0, count) : *part;
      }
    }
  }

  void end_batch(int64_t count) {
    ++batches_;
    images_ += count;
    if (batches_ == group_.size()) {
      end_round();
    }
  }

  void end_round() {
    for (const auto& output : timed(forward_seconds_, [&] { return outputs_of_all(); })) {
      timed(consume_seconds_, [&] { extraction_.consume(output); });
    }
    done_ += std::exchange(images_, 0);
    batches_ = 0;
  }

  /// Of the round's micro-batches, in their order.
  std::vector<NetOutput> outputs_of_all() {
    auto own = std::exchange(own_, {});
    if (group_.size() == 1) {
      return {std::move(own)};
    }
    std::vector<NetOutput> outputs(static_cast<size_t>(batches_));
    for (const auto part : {&NetOutput::features, &NetOutput::logits, &NetOutput::spatial}) {
      const auto gathered = group_.all_gather(own.*part);
      const auto& first = gathered.front();
      for (size_t i = 0; i < outputs.size(); ++i) {
        const bool fits = gathered[i].defined() ? gathered[i].is_floating_point() && gathered[i].dim() == 2
                                                : part != &NetOutput::features && !first.defined();
        if (!fits) {
          tensor::throw_out_of_step();
        }
        outputs[i].*part = gathered[i].defined() ? gathered[i].to(tensor::compute_device()) : gathered[i];
      }
    }
    return outputs;
  }

  tensor::ProcessGroup& group_ = tensor::process_group();
  const Extraction& extraction_;
  std::string source_;
  double& prepare_seconds_;
  double& forward_seconds_;
  double& consume_seconds_;
  BatchGatherer gatherer_;
  NetOutput own_;        ///< of this process' micro-batch of the round
  int64_t batches_ = 0;  ///< that the round has
  int64_t images_ = 0;   ///< in them
  int64_t seen_ = 0;     ///< images that went into any
  int64_t done_ = 0;     ///< images whose outputs were consumed
};

/// Processes that work together have the same networks and take as many images at a time, or they do not
/// share out the same work.
void require_same_network(const FeatureNet& net) {
  const auto& info = net.info();
  tensor::process_group().require_same(
      fmt::format("the network {}", info.name),
      fmt::format("{} {} {} {}", info.name, info.weights_sha256, info.preset, info.convention));
  tensor::process_group().require_same(
      fmt::format("the {} images that {} takes at a time, by --precision and --threads", net.micro_batch(),
                  info.name),
      fmt::format("{} {}", static_cast<int>(info.precision), net.micro_batch()));
}

void require_same_count(const data::ImageSource& source, std::optional<int64_t> images) {
  tensor::process_group().require_same(
      fmt::format("{}, {} images", source.name(), images ? std::to_string(*images) : "an unknown number of"),
      std::to_string(images.value_or(-1)));
}

}  // namespace

ExtractReport extract_all(data::ImageSource& inner, std::span<const Extraction> extractions,
                          const ExtractProgress& progress) {
  const at::NoGradGuard no_grad;
  DDPM_CHECK(!extractions.empty(), "no network to extract with");
  const bool is_shared = tensor::process_group().size() > 1;
  data::DigestSource digest(inner);
  data::ImageSource& source = is_shared ? digest : inner;
  if (is_shared) {
    require_same_count(source, source.size());
    for (const auto& extraction : extractions) {
      require_same_network(extraction.net);
    }
  }
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
  if (is_shared) {
    require_same_count(source, report.images);
    tensor::process_group().require_same("the images of " + source.name(), digest.sha256());
  }
  timed(report.forward_seconds, [] { tensor::synchronize(); });
  tell();
  return report;
}

ExtractReport extract(data::ImageSource& source, const FeatureNet& net, const OutputConsumer& consume,
                      const ExtractProgress& progress) {
  const Extraction extraction{net, consume};
  return extract_all(source, {&extraction, 1}, progress);
}

}  // namespace ddpm_eval::metrics
