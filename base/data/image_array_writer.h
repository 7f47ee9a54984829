#pragma once

#include "base/data/zip_writer.h"

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// The member `arr_0` of an .npz as guided-diffusion ("ADM") writes it: uint8 [N, H, W, 3] of one size,
/// greyscale replicated, as a stream. No other member may be written between the first add() and end().
class ImageArrayWriter {
 public:
  /// `origin` names the file in messages.
  ImageArrayWriter(ZipWriter& zip, std::string origin) : zip_(zip), origin_(std::move(origin)) {}

  /// uint8 [n, 1 or 3, H, W]. Throws DataError for images of another size than the first, and what ZipWriter
  /// throws.
  void add(const at::Tensor& images_u8);

  /// Throws DataError where there were none.
  void end();

 private:
  std::string header() const;

  ZipWriter& zip_;
  std::string origin_;
  int64_t count_ = 0;
  int64_t height_ = 0;
  int64_t width_ = 0;
};

}  // namespace ddpm_eval::data
