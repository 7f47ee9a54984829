#include "base/data/gif_writer.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/palette.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gif_lib.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using MapHandle = std::unique_ptr<ColorMapObject, decltype(&GifFreeMapObject)>;

/// giflib fails for want of memory alone: the bytes go to a string, and the arguments are ours.
void check(bool done) {
  if (!done) {
    throw core::ResourceError("no memory for a GIF");
  }
}

int append(GifFileType* gif, const GifByteType* bytes, int count) {
  static_cast<std::string*>(gif->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
  return count;
}

/// giflib's palettes have a power of two of entries; what is left over is black.
MapHandle make_map(const Palette& palette) {
  const auto& colours = palette.colours();
  int size = 2;
  while (size < static_cast<int>(colours.size())) {
    size *= 2;
  }
  MapHandle map(GifMakeMapObject(size, nullptr), GifFreeMapObject);
  check(map != nullptr);
  for (size_t i = 0; i < colours.size(); ++i) {
    map->Colors[i] = {colours[i][0], colours[i][1], colours[i][2]};
  }
  return map;
}

/// The pixels of uint8 [C, H, W], row by row.
std::vector<Colour> pixels_of(const at::Tensor& image) {
  const auto rgb = image.expand({3, -1, -1}).permute({1, 2, 0}).contiguous();
  const auto* bytes = rgb.data_ptr<uint8_t>();
  std::vector<Colour> pixels(static_cast<size_t>(rgb.numel() / 3));
  for (auto& pixel : pixels) {
    pixel = {bytes[0], bytes[1], bytes[2]};
    bytes += 3;
  }
  return pixels;
}

/// One file on its way into a string.
class Encoder {
 public:
  Encoder(int width, int height) : width_(width), height_(height) {
    int error = 0;
    gif_ = EGifOpen(&bytes_, append, &error);
    check(gif_ != nullptr);
    EGifSetGifVersion(gif_, true);  // 89a, which has delays
  }
  ~Encoder() {
    if (gif_ != nullptr) {
      EGifCloseFile(gif_, nullptr);
    }
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// `shared` is the palette of all frames, or null.
  void begin(const ColorMapObject* shared) {
    constexpr int kBitsPerChannel = 8;
    check(EGifPutScreenDesc(gif_, width_, height_, kBitsPerChannel, 0, shared) == GIF_OK);
    // The extension of Netscape Navigator 2 that all have taken over: repeat, 0 times for ever.
    const unsigned char for_ever[] = {1, 0, 0};
    check(EGifPutExtensionLeader(gif_, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
          EGifPutExtensionBlock(gif_, 11, "NETSCAPE2.0") == GIF_OK &&
          EGifPutExtensionBlock(gif_, sizeof for_ever, for_ever) == GIF_OK &&
          EGifPutExtensionTrailer(gif_) == GIF_OK);
  }

  /// `own` is the palette of this frame alone, or null. `indices` [height, width] into the one that counts.
  void add(std::vector<uint8_t>& indices, const ColorMapObject* own, int64_t delay_ms) {
    GraphicsControlBlock control{DISPOSE_DO_NOT, false, static_cast<int>((delay_ms + 5) / 10),
                                 NO_TRANSPARENT_COLOR};
    GifByteType block[4];
    const size_t size = EGifGCBToExtension(&control, block);
    check(EGifPutExtension(gif_, GRAPHICS_EXT_FUNC_CODE, static_cast<int>(size), block) == GIF_OK &&
          EGifPutImageDesc(gif_, 0, 0, width_, height_, false, own) == GIF_OK);
    for (int y = 0; y < height_; ++y) {
      check(EGifPutLine(gif_, indices.data() + static_cast<size_t>(y) * static_cast<size_t>(width_),
                        width_) == GIF_OK);
    }
  }

  std::string finish() {
    check(EGifCloseFile(std::exchange(gif_, nullptr), nullptr) == GIF_OK);
    return std::move(bytes_);
  }

 private:
  int width_;
  int height_;
  std::string bytes_;
  GifFileType* gif_ = nullptr;
};

class GifSink final : public ImageSink {
 public:
  GifSink(std::filesystem::path target, const GifOptions& options)
      : target_(std::move(target)), options_(options) {
    options_.validate();
  }

  void write(const at::Tensor& images_u8) override {
    tensor::expect(images_u8, at::kByte, {-1, -1, -1, -1}, "images_u8");
    DDPM_CHECK(images_u8.size(1) == 1 || images_u8.size(1) == 3, "images_u8 is {}",
               tensor::describe(images_u8));
    if (images_u8.size(2) > kMaxGifSide || images_u8.size(3) > kMaxGifSide) {
      throw core::UsageError("{}: {} x {} pixels, and a GIF has at most {} a side", target_.string(),
                             images_u8.size(3), images_u8.size(2), kMaxGifSide);
    }
    for (const auto& frame : images_u8.cpu().unbind()) {
      DDPM_CHECK(frames_.empty() || frame.sizes() == frames_.front().sizes(), "{} among frames of {}",
                 tensor::describe(frame), tensor::describe(frames_.front()));
      frames_.push_back(frame);
    }
  }

  void finish() override {
    if (frames_.empty()) {
      throw core::DataError("{}: no frames to write", target_.string());
    }
    const auto& first = frames_.front();
    Encoder encoder(static_cast<int>(first.size(2)), static_cast<int>(first.size(1)));
    const auto shared = shared_palette();
    const auto shared_map = shared ? make_map(*shared) : MapHandle(nullptr, GifFreeMapObject);
    encoder.begin(shared_map.get());
    const size_t last = frames_.size() - 1;
    std::vector<size_t> order(frames_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    for (size_t i = last; options_.and_back && i > 1; --i) {
      order.push_back(i - 1);
    }
    std::vector<uint8_t> indices;
    for (const size_t i : order) {
      const auto pixels = pixels_of(frames_[i]);
      const auto palette = shared ? *shared : Palette::of_pixels(pixels, options_.colours);
      const auto own_map = shared ? MapHandle(nullptr, GifFreeMapObject) : make_map(palette);
      indices.resize(pixels.size());
      std::transform(pixels.begin(), pixels.end(), indices.begin(),
                     [&](const Colour& colour) { return palette.index_of(colour); });
      encoder.add(indices, own_map.get(), i == 0 || i == last ? options_.hold_ms : options_.delay_ms);
    }
    core::write_file(target_, encoder.finish());
  }

 private:
  /// One for all frames, if it shows them as they are or if they are grey.
  std::optional<Palette> shared_palette() const {
    if (frames_.front().size(0) == 1) {
      return Palette::greys(options_.colours);
    }
    std::vector<Colour> colours;  // of the frames so far, each once
    for (const auto& frame : frames_) {
      const auto pixels = pixels_of(frame);
      const auto of_frame = Palette::of_pixels(pixels, options_.colours);
      colours.insert(colours.end(), of_frame.colours().begin(), of_frame.colours().end());
      const auto together = Palette::of_pixels(colours, options_.colours);
      if (!of_frame.exact() || !together.exact()) {
        return std::nullopt;
      }
      colours = together.colours();
    }
    return Palette::of_pixels(colours, options_.colours);
  }

  std::filesystem::path target_;
  GifOptions options_;
  std::vector<at::Tensor> frames_;
};

}  // namespace

void GifOptions::validate() const {
  for (const auto& [flag, value] : {std::pair{"--delay", delay_ms}, std::pair{"--hold", hold_ms}}) {
    if (value < kMinGifDelayMs || value > kMaxGifDelayMs) {
      throw core::UsageError("{} {}: is not within {}..{} milliseconds", flag, value, kMinGifDelayMs,
                             kMaxGifDelayMs);
    }
  }
  if (colours < 2 || colours > 256) {
    throw core::UsageError("--colours {}: is not within 2..256", colours);
  }
}

std::unique_ptr<ImageSink> make_gif_sink(const std::filesystem::path& target, const GifOptions& options) {
  return std::make_unique<GifSink>(target, options);
}

}  // namespace ddpm_eval::data
