#pragma once

#include "base/data/image_source.h"
#include "metrics/feature_net.h"

#include <cstdint>
#include <functional>
#include <span>

namespace ddpm_eval::metrics {

/// What extract() did and where its time went, in seconds. A GPU works while the processor reads on: what the
/// processor waits for at the end is counted as the network's.
struct ExtractReport {
  int64_t images = 0;
  double source_seconds = 0;   ///< reading and decoding
  double prepare_seconds = 0;  ///< resizing and scaling
  double forward_seconds = 0;  ///< the network
  double consume_seconds = 0;  ///< the metrics
  double control_seconds = 0;  ///< all that networks for the first images alone took
};

/// Receives the outputs of one micro-batch, in the order of the source: [n, dim] with 1 <= n <=
/// micro_batch(), on the network's device. To read them on the CPU at once is to wait for a GPU.
using OutputConsumer = std::function<void(const NetOutput&)>;

/// Called after each micro-batch with the images done and, where the source knows it, their number (else 0).
using ExtractProgress = std::function<void(int64_t done, int64_t total)>;

/// Drains `source` through `net` in one pass. Images are gathered into micro-batches of the network's fixed
/// size, the last one filled up with zeros whose outputs are dropped, so that the i-th output does not depend
/// on how the source chunks its images. Memory does not grow with their number. A GPU has done all of it when
/// this returns. Throws InterruptedError between batches, and what the source throws.
///
/// Of processes that work together (tensor::process_group()) each reads all images and takes every size()-th
/// micro-batch; each consumer sees all outputs, as in a process alone. Throws DataError where they read other
/// images, or have other networks.
ExtractReport extract(data::ImageSource& source, const FeatureNet& net, const OutputConsumer& consume,
                      const ExtractProgress& progress = {});

/// One of several networks that see the same images, and who receives its outputs.
struct Extraction {
  const FeatureNet& net;
  OutputConsumer consume;
  int64_t first_images = 0;  ///< it sees the first so many; 0: all
};

/// As extract(), of one reading of the images through several networks; outputs of different networks come in
/// no particular order. Seconds are those of all networks together.
ExtractReport extract_all(data::ImageSource& source, std::span<const Extraction> extractions,
                          const ExtractProgress& progress = {});

}  // namespace ddpm_eval::metrics
