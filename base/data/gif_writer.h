#pragma once

#include "base/data/sinks.h"

#include <cstdint>
#include <filesystem>
#include <memory>

// Animated GIF, written with giflib.
namespace ddpm_eval::data {

/// The least that browsers obey, and the most that is of use. GIF counts in hundredths of a second.
inline constexpr int64_t kMinGifDelayMs = 20;
inline constexpr int64_t kMaxGifDelayMs = 60'000;
/// Of a GIF's sides.
inline constexpr int64_t kMaxGifSide = 65'535;

struct GifOptions {
  int64_t delay_ms = 100;  ///< how long a frame is shown, rounded to 10 ms
  int64_t hold_ms = 100;   ///< the first and the last frame
  bool and_back = false;   ///< the last frame is followed by the others in reverse, to the second
  int64_t colours = 256;   ///< 2..256; fewer make a smaller file of noise

  /// Throws UsageError naming the option of the command line: --delay, --hold or --colours.
  void validate() const;
};

/// A GIF of the images written, one frame each, that plays for ever. Greyscale keeps its levels, or the
/// nearest of `colours` evenly spaced ones. RGB keeps its colours if all frames together have no more than
/// `colours`; else each frame has a palette of its own by median cut. No dithering: equal pixels stay equal.
/// The same frames give the same bytes. Images must be of one size, up to kMaxGifSide; frames stay in memory
/// until finish(), when the file appears. Throws ResourceError if it cannot be written.
std::unique_ptr<ImageSink> make_gif_sink(const std::filesystem::path& target, const GifOptions& options = {});

}  // namespace ddpm_eval::data
