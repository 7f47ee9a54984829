#pragma once

#include "base/core/record.h"
#include "base/data/gif_writer.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

// What `show` makes: the moments of a process side by side, a strip, and one after another, a GIF.
namespace ddpm_eval::eval {

struct FilmOptions {
  std::filesystem::path strip{};  ///< a .png; empty: none
  std::filesystem::path gif{};    ///< a .gif; empty: none
  int64_t columns = 0;            ///< of the strip; 0 until the maker of the film has chosen
  int64_t frames = 0;             ///< of the GIF; likewise
  int64_t scale = 0;  ///< 0: images are enlarged to 56 pixels or more, panels of points are 160 and 400
  data::GifOptions gif_options{};
};

/// Throws UsageError naming the flag: no target at all, or another ending.
void require_film_targets(const FilmOptions& options);

/// What can be told of the options before any work: throws UsageError as require_film_targets() and for
/// numbers out of range, and ResourceError if a target cannot be written.
void require_film_options(const FilmOptions& options);

/// Which moments are shown, and where.
struct FilmPlan {
  std::vector<int64_t> moments{};  ///< ascending, all that are needed
  std::vector<size_t> strip{};     ///< positions in `moments`; empty where there is no strip
  std::vector<size_t> gif{};
};

/// Moments 0..last, the ends among them, as evenly as whole numbers are: round(k last / (n - 1)), each once.
FilmPlan plan_both_ends(int64_t last, const FilmOptions& options);

/// Of the steps 0..steps-1 the last of each of n even parts, each once: of estimates along 1000 steps the
/// official code keeps these 20.
FilmPlan plan_parts(int64_t steps, const FilmOptions& options);

struct Film {
  at::Tensor moments{};           ///< uint8 [m, n, C, H, W] images, or float32 [m, n, 2] points
  std::vector<int64_t> levels{};  ///< of each moment: the t of the paper, 0 for data
  int64_t last_level = 0;         ///< T
};

/// Throws UsageError if pictures of `count` images of `row_shape` would be larger than is of use, naming the
/// flags.
void require_film_size(const FilmOptions& options, int64_t count, at::IntArrayRef row_shape);

/// Draws and writes what `options` name. The strip has a row for each image, or one for all points.
void write_film(const Film& film, const FilmPlan& plan, const FilmOptions& options);

/// What a record says of pictures: targets, t of each moment, scale, and how the GIF plays.
core::Json film_record(const Film& film, const FilmPlan& plan, const FilmOptions& options);

/// The part of it that is about how the GIF plays.
core::Json gif_record(const FilmOptions& options);

/// The factor that images of that height and width are enlarged by.
int64_t image_scale(const FilmOptions& options, int64_t height, int64_t width);

/// Frames of one size, uint8 [1 or 3, H, W] each, as a GIF.
void write_gif_frames(const std::vector<at::Tensor>& frames, const FilmOptions& options);

/// uint8 [1 or 3, H, W] as a PNG.
void write_strip(const at::Tensor& picture, const FilmOptions& options);

}  // namespace ddpm_eval::eval
