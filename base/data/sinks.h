#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// Takes images in order and keeps them in files.
class ImageSink {
 public:
  virtual ~ImageSink() = default;

  /// uint8 [n, 1 or 3, H, W]. Throws ResourceError when the disk is full.
  virtual void write(const at::Tensor& images_u8) = 0;

  /// Call once, after the last write: what was written is then on the disk. Throws ResourceError.
  virtual void finish() = 0;
};

struct PngFolderOptions {
  int64_t first_index = 0;  ///< number in the first file's name
};

/// PNG files 000000.png, 000001.png, ... in `folder`, which is made if need be. Each file appears whole;
/// files are encoded in parallel. Throws UsageError if the folder holds PNG files already and ResourceError
/// if it cannot be made.
std::unique_ptr<ImageSink> make_png_folder_sink(const std::filesystem::path& folder,
                                                const PngFolderOptions& options = {});

/// One `.npz` as guided-diffusion ("ADM") writes it: `arr_0`, uint8 [N, H, W, 3], uncompressed; greyscale is
/// replicated. Images must be of one size. The file appears on finish(); memory does not depend on N.
std::unique_ptr<ImageSink> make_npz_sink(const std::filesystem::path& target);

/// The `.npz` sink for such a name, else the folder sink.
std::unique_ptr<ImageSink> open_image_sink(const std::filesystem::path& target);

}  // namespace ddpm_eval::data
