#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

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

/// Images that a folder of PNGs may hold: the names of more would not sort in order.
inline constexpr int64_t kMaxPngFiles = 1'000'000;

/// PNG files 000000.png, 000001.png, ... in `folder`, which is made if need be. Each file appears whole;
/// files are encoded in parallel. `first_index` is the number in the first file's name; files of the same
/// names are replaced. Throws UsageError beyond a million files, whose names would not sort in order, and
/// ResourceError if the folder cannot be made.
std::unique_ptr<ImageSink> make_png_folder_sink(const std::filesystem::path& folder, int64_t first_index = 0);

/// How many files 000000.png, 000001.png, ... `folder` holds before the first gap. Empty files, which a power
/// cut may leave, count as gaps.
int64_t count_png_sequence(const std::filesystem::path& folder);

/// Whether `folder` has any .png directly in it.
bool holds_png(const std::filesystem::path& folder);

/// One `.npz` as guided-diffusion ("ADM") writes it: `arr_0`, uint8 [N, H, W, 3], uncompressed; greyscale is
/// replicated. Images must be of one size. Other tools ignore the member kSampleProvenance, which holds
/// `provenance_json` if there is any. The file appears on finish(); memory does not depend on N.
std::unique_ptr<ImageSink> make_npz_sink(const std::filesystem::path& target,
                                         const std::string& provenance_json = {});

/// The name under which samples say how they were made: a member of an .npz, a file in a folder.
inline constexpr const char* kSampleProvenance = "samples.json";

}  // namespace ddpm_eval::data
