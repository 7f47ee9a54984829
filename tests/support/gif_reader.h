#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <gif_lib.h>
#include <torch/types.h>

namespace ddpm_eval::testing {

/// A GIF as giflib's decoder reads it.
struct DecodedGif {
  at::Tensor frames_u8;     ///< RGB uint8 [n, 3, H, W]
  std::vector<int> delays;  ///< hundredths of a second
  std::string application;  ///< of the first application extension, and its data
  std::string application_data;
  bool shared_palette = false;  ///< no frame has one of its own
};

inline DecodedGif read_gif(const std::filesystem::path& path) {
  int error = 0;
  GifFileType* gif = DGifOpenFileName(path.c_str(), &error);
  if (gif == nullptr || DGifSlurp(gif) != GIF_OK) {
    throw std::runtime_error(path.string() + " is no readable GIF");
  }
  DecodedGif decoded;
  decoded.shared_palette = true;
  std::vector<at::Tensor> frames;
  for (int i = 0; i < gif->ImageCount; ++i) {
    const SavedImage& image = gif->SavedImages[i];
    const auto* map = image.ImageDesc.ColorMap != nullptr ? image.ImageDesc.ColorMap : gif->SColorMap;
    decoded.shared_palette = decoded.shared_palette && image.ImageDesc.ColorMap == nullptr;
    at::Tensor pixels = torch::empty({gif->SHeight, gif->SWidth, 3}, torch::kUInt8);
    auto* out = pixels.data_ptr<uint8_t>();
    for (int at = 0; at < gif->SHeight * gif->SWidth; ++at) {
      const auto& colour = map->Colors[image.RasterBits[at]];
      *out++ = colour.Red;
      *out++ = colour.Green;
      *out++ = colour.Blue;
    }
    frames.push_back(pixels.permute({2, 0, 1}).contiguous());
    GraphicsControlBlock control{};
    DGifSavedExtensionToGCB(gif, i, &control);
    decoded.delays.push_back(control.DelayTime);
    for (int e = 0; e < image.ExtensionBlockCount; ++e) {
      const ExtensionBlock& block = image.ExtensionBlocks[e];
      const std::string bytes(reinterpret_cast<const char*>(block.Bytes),
                              static_cast<size_t>(block.ByteCount));
      if (block.Function == APPLICATION_EXT_FUNC_CODE) {
        decoded.application = bytes;
      } else if (block.Function == CONTINUE_EXT_FUNC_CODE) {
        decoded.application_data = bytes;
      }
    }
  }
  decoded.frames_u8 = torch::stack(frames);
  DGifCloseFile(gif, &error);
  return decoded;
}

}  // namespace ddpm_eval::testing
