#include "eval/film.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "eval/name_ending.h"
#include "eval/point_panel.h"
#include "eval/sheet.h"

#include <algorithm>

#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kMaxScale = 32, kMaxColumns = 200, kMaxFrames = 2000;
constexpr int64_t kMaxPixels = int64_t{1} << 26, kMaxGifPixels = int64_t{1} << 28;
/// Images are enlarged at least to this side by default.
constexpr int64_t kEasySide = 56;
constexpr int64_t kStripPanelUnit = 80, kGifPanelUnit = 200, kPointScale = 2;
/// Lines between images, roughly: for the limits above.
constexpr int64_t kSpacing = 6;

/// 0 stands for the default.
void require_count(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value != 0 && (value < least || value > most)) {
    throw core::UsageError("{} {}: is neither 0, the default, nor within {}..{}", flag, value, least, most);
  }
}

/// Joins what strip and GIF want, each ascending.
FilmPlan joined(const std::vector<int64_t>& strip, const std::vector<int64_t>& gif) {
  FilmPlan plan;
  std::set_union(strip.begin(), strip.end(), gif.begin(), gif.end(), std::back_inserter(plan.moments));
  const auto positions = [&](const std::vector<int64_t>& wanted) {
    std::vector<size_t> list;
    for (const int64_t moment : wanted) {
      const auto found = std::lower_bound(plan.moments.begin(), plan.moments.end(), moment);
      list.push_back(static_cast<size_t>(found - plan.moments.begin()));
    }
    return list;
  };
  plan.strip = positions(strip);
  plan.gif = positions(gif);
  return plan;
}

template <class Choose>
FilmPlan plan_with(const FilmOptions& options, const Choose& choose) {
  return joined(options.strip.empty() ? std::vector<int64_t>() : choose(options.columns),
                options.gif.empty() ? std::vector<int64_t>() : choose(options.frames));
}

std::string caption_of(int64_t level) { return fmt::format("t = {}", level); }

bool shows_images(const Film& film) { return film.moments.dim() == 5; }

int64_t point_scale(const FilmOptions& options) { return options.scale > 0 ? options.scale : kPointScale; }

/// Images by rows of one image each, columns of one moment each; points in one row.
Sheet strip_sheet(const Film& film, const FilmPlan& plan, const FilmOptions& options) {
  Sheet sheet;
  sheet.columns = static_cast<int64_t>(plan.strip.size());
  sheet.corner = "t =";
  for (const size_t at : plan.strip) {
    sheet.column_labels.push_back(std::to_string(film.levels[at]));
  }
  if (shows_images(film)) {
    const int64_t scale = image_scale(options, film.moments.size(3), film.moments.size(4));
    for (int64_t row = 0; row < film.moments.size(1); ++row) {
      for (const size_t at : plan.strip) {
        sheet.cells.push_back(enlarged(film.moments[static_cast<int64_t>(at)][row], scale));
      }
    }
  } else {
    const auto view = view_of(film.moments);
    for (const size_t at : plan.strip) {
      sheet.cells.push_back(point_panel(film.moments[static_cast<int64_t>(at)], view,
                                        {.side = kStripPanelUnit * point_scale(options), .numbers = false}));
    }
  }
  return sheet;
}

std::vector<at::Tensor> gif_frames(const Film& film, const FilmPlan& plan, const FilmOptions& options) {
  Sheet sheet;
  for (const size_t at : plan.gif) {
    sheet.caption_width = std::max(sheet.caption_width, caption_width(caption_of(film.levels[at])));
  }
  const bool images = shows_images(film);
  const auto view = images ? PlaneView{} : view_of(film.moments);
  std::vector<at::Tensor> frames;
  for (const size_t at : plan.gif) {
    const auto moment = film.moments[static_cast<int64_t>(at)];
    sheet.cells.clear();
    if (images) {
      const int64_t scale = image_scale(options, moment.size(2), moment.size(3));
      sheet.columns = grid_columns(moment.size(0));
      for (const auto& image : moment.unbind()) {
        sheet.cells.push_back(enlarged(image, scale));
      }
    } else {
      sheet.cells.push_back(point_panel(moment, view, {.side = kGifPanelUnit * point_scale(options)}));
    }
    sheet.caption = caption_of(film.levels[at]);
    sheet.progress = static_cast<double>(film.levels[at]) / static_cast<double>(film.last_level);
    frames.push_back(render(sheet));
  }
  return frames;
}

}  // namespace

void require_film_targets(const FilmOptions& options) {
  if (options.strip.empty() && options.gif.empty()) {
    throw core::UsageError("say what to make: --strip FILE.png, --gif FILE.gif or both");
  }
  if (!options.strip.empty()) {
    require_ending("--strip", options.strip, {".png"});
  }
  if (!options.gif.empty()) {
    require_ending("--gif", options.gif, {".gif"});
  }
}

void require_film_options(const FilmOptions& options) {
  require_film_targets(options);
  require_count("--columns", options.columns, 2, kMaxColumns);
  require_count("--frames", options.frames, 2, kMaxFrames);
  require_count("--scale", options.scale, 1, kMaxScale);
  options.gif_options.validate();
  for (const auto& target : {options.strip, options.gif}) {
    if (!target.empty()) {
      core::require_writable(target);
    }
  }
}

FilmPlan plan_both_ends(int64_t last, const FilmOptions& options) {
  return plan_with(options, [&](int64_t count) {
    std::vector<int64_t> moments;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t moment = (2 * k * last + count - 1) / (2 * (count - 1));
      if (moments.empty() || moment > moments.back()) {
        moments.push_back(moment);
      }
    }
    return moments;
  });
}

FilmPlan plan_parts(int64_t steps, const FilmOptions& options) {
  return plan_with(options, [&](int64_t count) {
    const int64_t parts = std::min(count, steps);
    std::vector<int64_t> moments;
    for (int64_t k = parts; k-- > 0;) {
      moments.push_back(steps - 1 - k * steps / parts);
    }
    return moments;
  });
}

void require_film_size(const FilmOptions& options, int64_t count, at::IntArrayRef row_shape) {
  if (row_shape.size() != 3) {
    return;
  }
  const int64_t scale = image_scale(options, row_shape[1], row_shape[2]);
  const double cell = static_cast<double>(scale * row_shape[1] + kSpacing) *
                      static_cast<double>(scale * row_shape[2] + kSpacing) * static_cast<double>(count);
  const double strip = options.strip.empty() ? 0 : cell * static_cast<double>(options.columns);
  const double gif = options.gif.empty() ? 0 : cell * static_cast<double>(options.frames);
  if (strip > static_cast<double>(kMaxPixels)) {
    throw core::UsageError(
        "--strip: {} images at {} moments are {:.3g} million pixels, more than {}; lower --num, "
        "--columns or --scale",
        count, options.columns, strip / 1e6, kMaxPixels / 1'000'000);
  }
  if (gif > static_cast<double>(kMaxGifPixels)) {
    throw core::UsageError(
        "--gif: {} images in {} frames are {:.3g} million pixels, more than {}; lower --num, "
        "--frames or --scale",
        count, options.frames, gif / 1e6, kMaxGifPixels / 1'000'000);
  }
}

void write_film(const Film& film, const FilmPlan& plan, const FilmOptions& options) {
  if (!options.strip.empty()) {
    write_strip(render(strip_sheet(film, plan, options)), options);
  }
  if (!options.gif.empty()) {
    write_gif_frames(gif_frames(film, plan, options), options);
  }
}

core::Json film_record(const Film& film, const FilmPlan& plan, const FilmOptions& options) {
  const auto levels = [&](const std::vector<size_t>& positions) {
    auto list = core::Json::array();
    for (const size_t at : positions) {
      list.push_back(film.levels[at]);
    }
    return list;
  };
  core::Json record;
  if (!options.strip.empty()) {
    record["strip"] = {{"file", options.strip.string()}, {"t", levels(plan.strip)}};
  }
  if (!options.gif.empty()) {
    record["gif"] = {{"file", options.gif.string()}, {"t", levels(plan.gif)}, {"play", gif_record(options)}};
  }
  record["scale"] = shows_images(film) ? image_scale(options, film.moments.size(3), film.moments.size(4))
                                       : point_scale(options);
  return record;
}

core::Json gif_record(const FilmOptions& options) {
  return {{"delay_ms", options.gif_options.delay_ms},
          {"hold_ms", options.gif_options.hold_ms},
          {"colours", options.gif_options.colours}};
}

int64_t image_scale(const FilmOptions& options, int64_t height, int64_t width) {
  const int64_t side = std::max<int64_t>(1, std::min(height, width));
  return options.scale > 0 ? options.scale : std::min(kMaxScale, (kEasySide + side - 1) / side);
}

void write_gif_frames(const std::vector<at::Tensor>& frames, const FilmOptions& options) {
  const auto sink = data::make_gif_sink(options.gif, options.gif_options);
  for (const auto& frame : frames) {
    sink->write(frame.unsqueeze(0));
  }
  sink->finish();
}

void write_strip(const at::Tensor& picture, const FilmOptions& options) {
  const auto png = data::encode_png(picture);
  core::write_file(options.strip, {png.data(), png.size()});
}

}  // namespace ddpm_eval::eval
