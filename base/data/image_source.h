#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// What a source has met so far; complete once the source is drained. Goes into records and warnings.
struct SourceReport {
  int64_t yielded = 0;                  ///< images handed out
  int64_t lossy = 0;                    ///< of these, from lossy files: JPEG or lossy WebP
  std::vector<std::string> unreadable;  ///< "path: reason" for every file that was left out
  std::vector<std::string>
      notes;  ///< things a reader of the score should know, each once: "16-bit images ..."
};

/// The classes of a set of images. A label is a number from 0 to count - 1.
struct Classes {
  int64_t count = 0;                 ///< 0: the images have no labels
  std::vector<std::string> names{};  ///< [count], by label; empty where classes are known by number alone
  std::string absent{};              ///< where count is 0: why, as half a sentence: "its images lie in ..."
};

/// A stream of images, the one way in which metrics see any set: a data set, a folder, an archive or a
/// sampler.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  /// As the user wrote it, resolved: "cifar10:train", "samples/".
  virtual std::string name() const = 0;

  /// How many images there will be at most, where that is known beforehand (unreadable files are among them).
  virtual std::optional<int64_t> size() const = 0;

  /// The next images in order: uint8 RGB [n, 3, H, W], contiguous, with 1 <= n <= max_images and all of one
  /// size; an undefined tensor once drained. Neighbours of different sizes come in separate calls. Throws
  /// DataError.
  virtual at::Tensor next(int64_t max_images) = 0;

  virtual const SourceReport& report() const = 0;

  /// The classes that the set has, known before an image is read. Of no effect on next(): labels that are
  /// damaged or incomplete are DataErrors here and in labels(), for those who need them.
  virtual Classes classes() const { return {.absent = "images of this kind have none"}; }

  /// int64 [report().yielded]: the labels of the images that next() has handed out, in their order; undefined
  /// where classes() has none. Throws DataError.
  virtual at::Tensor labels() const { return {}; }

  /// What else the images depend on, as a JSON object: a sampler's checkpoint, its step and settings. Empty
  /// for sets that their name describes.
  virtual std::string context_json() const { return {}; }
};

/// uint8 RGB [n, 3, H, W], contiguous, of images [n, 1 or 3, H, W]: greyscale is replicated.
at::Tensor as_rgb(const at::Tensor& images_u8);

}  // namespace ddpm_eval::data
