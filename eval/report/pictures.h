#pragma once

#include "eval/plot.h"
#include "eval/report/page.h"

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// What a page shows of files: pictures, animations and points.
namespace ddpm_eval::eval {

/// A PNG file as data_url(), or nothing if it is larger than a page should hold. Throws DataError if it is no
/// PNG.
std::optional<std::string> png_url(const std::filesystem::path& file);

/// The first samples of a folder that `sample` or `ablate` writes to, 64 of small images, as one picture.
struct SampleGrid {
  std::string url;
  int64_t count = 0;
};

/// Nothing if there are none yet. Throws DataError naming an image that is damaged or of another size.
std::optional<SampleGrid> sample_grid(const std::filesystem::path& folder);

/// The animations (*.gif) directly in `folder`, in the order of their names; those that would make the page
/// too large are links. Empty if there are none. Throws DataError for one that is no GIF.
Html animations_of(const std::filesystem::path& folder, const Page& page);

using PlanePoints = std::vector<std::array<double, 2>>;

/// The first points of a .npy file, as many as a scatter plot shows; those that are not finite are left out.
/// Throws DataError if it holds no float array [n, 2].
PlanePoints points_of_file(const std::filesystem::path& file);

/// As many points of a source, if that is made up or a .npy file that is still there; else none.
PlanePoints points_of_source(const std::string& source);

/// In the square around all of them that view_of() chooses.
ScatterPlot scatter_of(const PlanePoints& points, const PlanePoints& behind);

}  // namespace ddpm_eval::eval
