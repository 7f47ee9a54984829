#include "eval/report/pictures.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/grid.h"
#include "base/data/image_codec.h"
#include "base/data/npy.h"
#include "base/data/points.h"
#include "base/data/sinks.h"
#include "base/data/source_spec.h"
#include "base/tensor/shape.h"
#include "eval/point_panel.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxPictureBytes = 8 << 20;
constexpr uint64_t kMaxAnimationBytes = 6 << 20;
constexpr uint64_t kMaxAnimationsBytes = 18 << 20;
constexpr int64_t kGridSamples = 64;
constexpr int64_t kGridPixels = 1 << 19;  ///< beyond it fewer samples are shown, at least four
constexpr int64_t kScatterPoints = 800;

std::vector<fs::path> files_with(const fs::path& folder, const char* extension) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == extension && it->is_regular_file(error)) {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool begins_with(const std::vector<char>& bytes, std::string_view magic) {
  return std::string_view(bytes.data(), bytes.size()).starts_with(magic);
}

std::string text_of_bytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

at::Tensor decoded(const fs::path& file) {
  auto outcome = data::decode_image(core::read_file(file, kMaxPictureBytes));
  if (!outcome.problem.empty()) {
    throw core::DataError("{}: {}", file.string(), outcome.problem);
  }
  return outcome.header.greyscale ? outcome.image_u8.narrow(0, 0, 1) : outcome.image_u8;
}

PlanePoints as_points(const at::Tensor& tensor) {
  const auto plain =
      tensor.narrow(0, 0, std::min(tensor.size(0), kScatterPoints)).to(torch::kFloat64).contiguous();
  const auto* values = plain.data_ptr<double>();
  PlanePoints points;
  for (int64_t i = 0; i < plain.size(0); ++i) {
    if (std::isfinite(values[2 * i]) && std::isfinite(values[2 * i + 1])) {
      points.push_back({values[2 * i], values[2 * i + 1]});
    }
  }
  return points;
}

}  // namespace

std::optional<std::string> png_url(const fs::path& file) {
  std::error_code error;
  if (fs::file_size(file, error) > kMaxPictureBytes && !error) {
    return std::nullopt;
  }
  const auto bytes = core::read_file(file, kMaxPictureBytes);
  if (!begins_with(bytes, "\x89PNG\r\n")) {
    throw core::DataError("{}: is no PNG", file.string());
  }
  return data_url("image/png", bytes);
}

std::optional<SampleGrid> sample_grid(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return std::nullopt;
  }
  const int64_t there = std::min(data::count_png_sequence(folder), kGridSamples);
  std::vector<at::Tensor> images;
  int64_t count = there;
  for (int64_t i = 0; i < count; ++i) {
    const auto file = folder / fmt::format("{:06}.png", i);
    images.push_back(decoded(file));
    if (images.back().sizes() != images.front().sizes()) {
      throw core::DataError("{}: is {}, and the images before it are {}", file.string(),
                            tensor::describe(images.back()), tensor::describe(images.front()));
    }
    const int64_t pixels = images.front().size(1) * images.front().size(2);
    count = std::min(there, std::max<int64_t>(4, kGridPixels / pixels));
  }
  if (images.empty()) {
    return std::nullopt;
  }
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  return SampleGrid{data_url("image/png", data::encode_png(data::image_grid(torch::stack(images), columns))),
                    count};
}

Html animations_of(const fs::path& folder, const Page& page) {
  std::vector<Html> figures;
  Html links;
  uint64_t total = 0;
  for (const auto& file : files_with(folder, ".gif")) {
    std::error_code error;
    const uint64_t size = fs::file_size(file, error);
    const auto name = file.filename().string();
    if (!error && (size > kMaxAnimationBytes || total + size > kMaxAnimationsBytes)) {
      links.add(element("li", {}, page.link({name, file}), fmt::format(", {}", text_of_bytes(size))));
      continue;
    }
    const auto bytes = core::read_file(file, kMaxAnimationBytes);
    if (!begins_with(bytes, "GIF8")) {
      throw core::DataError("{}: is no GIF", file.string());
    }
    total += bytes.size();
    // Closing it is how a reader without scripts stops an animation.
    figures.push_back(element(
        "details", {{"open", "open"}}, element("summary", {}, name),
        element("figure", {},
                void_element("img", {{"src", data_url("image/gif", bytes)}, {"alt", "Animation " + name}}))));
  }
  Html all = figures_element(figures);
  if (!links.empty()) {
    all.add(element("p", {{"class", "soft"}}, "Too large for this page:")).add(element("ul", {}, links));
  }
  return all;
}

PlanePoints points_of_file(const fs::path& file) {
  const auto points = data::parse_npy(core::read_file(file), file.string());
  if (!points.is_floating_point() || points.dim() != 2 || points.size(1) != 2) {
    throw core::DataError("{}: holds {}, where points are a float array [n, 2]", file.string(),
                          tensor::describe(points));
  }
  return as_points(points);
}

PlanePoints points_of_source(const std::string& source) {
  const auto spec = data::parse_source(source);
  std::error_code error;
  if (spec.kind == data::SourceKind::kPoints) {
    const auto count = std::min(spec.subset.count.value_or(kScatterPoints), kScatterPoints);
    return as_points(data::make_points(spec.name, spec.subset.first, count, spec.seed));
  }
  const bool is_file = spec.kind == data::SourceKind::kArray && spec.path.extension() == ".npy";
  return is_file && fs::exists(spec.path, error) ? points_of_file(spec.path) : PlanePoints();
}

ScatterPlot scatter_of(const PlanePoints& points, const PlanePoints& behind) {
  ScatterPlot plot{behind, points};
  const auto& frame = behind.empty() ? points : behind;
  if (!frame.empty()) {
    auto flat = torch::empty({static_cast<int64_t>(frame.size()), 2}, torch::kFloat64);
    for (size_t i = 0; i < frame.size(); ++i) {
      flat[static_cast<int64_t>(i)][0] = frame[i][0];
      flat[static_cast<int64_t>(i)][1] = frame[i][1];
    }
    const auto view = view_of(flat);
    plot.x = view.x;
    plot.y = view.y;
    plot.half = 1.15 * view.half;
  }
  return plot;
}

}  // namespace ddpm_eval::eval
