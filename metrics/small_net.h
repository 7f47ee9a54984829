#pragma once

#include "base/core/config.h"
#include "base/data/dataset.h"
#include "base/data/safetensors.h"
#include "base/tensor/named_tensor.h"
#include "base/training/batches.h"
#include "base/training/loop_config.h"
#include "base/training/task.h"
#include "metrics/feature_net.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

// A small Inception-style classifier for images that the FID Inception does not suit, such as
// Fashion-MNIST's. Its features are means over positions, its classifier has no bias, and its file holds
// plain convolutions: batch norm is folded into them when the file is written.
namespace ddpm_eval::metrics {

/// The network's shape. The default has 71,872 parameters and 128 features.
struct SmallNetOptions {
  int64_t channels = 1;  ///< 1: greyscale, 3: RGB
  int64_t side = 28;     ///< of the square images, 8..256
  int64_t classes = 10;  ///< 2..1000
  int64_t width = 32;    ///< a multiple of 8 in 8..128; features: 4 * width

  void fields(core::ConfigVisitor& v);

  /// Throws UsageError naming the key.
  void validate() const;
};

/// How the classifier is trained: a loss for the training loop, and the settings of that loop.
struct SmallNetTraining {
  int64_t batch_size = 128;
  int64_t max_shift = 1;  ///< images are moved by up to so many pixels either way, black moving in
  bool flip = true;       ///< mirror half of the images
  int64_t seed = 0;       ///< of weights, data order and augmentation

  void fields(core::ConfigVisitor& v);
  void validate() const;
};

/// The loop's settings for SmallNetTraining: Adam, a short warm-up, cosine decay to zero over `steps`, no
/// averaging, a checkpoint every 500 steps. 4,690 steps of 128 are ten epochs of Fashion-MNIST.
training::LoopConfig small_net_loop(int64_t steps = 4690);

/// The classifier under training: cross-entropy on augmented batches. The order of the data, the shifts and
/// the flips are functions of (seed, step).
class SmallNetTask final : public training::TrainTask {
 public:
  /// Throws DataError if the images do not fit the options or labels are missing or out of range.
  SmallNetTask(const SmallNetOptions& options, const SmallNetTraining& training, data::ImageDataset dataset);

  tensor::NamedTensors parameters() override;
  tensor::NamedTensors buffers() override;
  at::Tensor loss(int64_t step, training::StepLog& log) override;
  int64_t batch_size() const override { return training_.batch_size; }

  /// The batch of `step` as the network sees it, float32 [batch_size, channels, side, side] in [-1, 1], and
  /// its labels.
  struct Batch {
    at::Tensor images;
    at::Tensor labels;
  };
  Batch batch(int64_t step);

  /// The weights for inference: `<unit>.weight`, `<unit>.bias` with the running statistics folded in, and
  /// `classifier.weight`.
  tensor::NamedTensors folded() const;

 private:
  SmallNetOptions options_;
  SmallNetTraining training_;
  data::ImageDataset dataset_;
  training::BatchOrder order_;
  tensor::NamedTensors parameters_;
  tensor::NamedTensors buffers_;
};

/// What a file of weights says about itself, beside the options.
struct SmallNetCard {
  std::string name = "fashion-mnist-small";
  std::string data;     ///< "fashion-mnist:train"
  std::string command;  ///< that made it
  int64_t seed = 0;
  int64_t steps = 0;
  double test_accuracy = 0.0;  ///< on `test_data`, 0..1
  std::string test_data;       ///< "fashion-mnist:test"
};

/// The file of a trained network, for data::write_safetensors().
data::SafeTensors small_net_file(const SmallNetOptions& options, const SmallNetCard& card,
                                 tensor::NamedTensors folded);

/// A network out of such a file. `origin` names it in messages, `sha256` is that of its bytes. Throws
/// DataError if a tensor or a key is missing, has another shape than the options say or is not finite.
std::unique_ptr<FeatureNet> make_small_net(const data::SafeTensors& file, const std::string& origin,
                                           const std::string& sha256);
std::unique_ptr<FeatureNet> load_small_net(const std::filesystem::path& path);

/// Card of a file, without its tensors; throws DataError.
SmallNetCard small_net_card(const std::map<std::string, std::string>& metadata, const std::string& origin);

/// The share of images whose largest logit is their label's, 0..1. `images_u8` is uint8 [n, 1 or 3, H, W], n
/// > 0.
double accuracy(const FeatureNet& net, const at::Tensor& images_u8, const at::Tensor& labels);

}  // namespace ddpm_eval::metrics
