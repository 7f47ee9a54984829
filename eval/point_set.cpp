#include "eval/point_set.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/npy.h"
#include "base/data/points.h"
#include "base/tensor/shape.h"
#include "eval/console.h"
#include "eval/run_source.h"
#include "eval/sample_output.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

/// float32 [n, 2], and whether float64 values were rounded to it.
struct ReadPoints {
  at::Tensor points;
  bool rounded = false;
};

ReadPoints read_points(const data::SourceSpec& spec) {
  const auto path = spec.path.string();
  const auto bytes = core::read_file(spec.path);
  auto points = data::parse_npy(bytes, path);
  if (!points.is_floating_point() || points.dim() != 2 || points.size(1) != 2) {
    throw core::DataError("{}: holds {}, where points are a float array [n, 2]; convert and save again", path,
                          tensor::describe(points));
  }
  points = data::take_subset(points, spec.subset, spec.text);
  const auto narrowed = points.to(torch::kFloat32);
  if (!torch::isfinite(narrowed).all().item<bool>()) {
    throw core::DataError("{}: has values that are not finite in float32", path);
  }
  return {narrowed, !narrowed.to(points.scalar_type()).equal(points)};
}

}  // namespace

bool holds_points(const data::SourceSpec& spec) {
  if (spec.kind != data::SourceKind::kArray || spec.path.extension() != ".npy") {
    return spec.kind == data::SourceKind::kPoints;
  }
  data::FileStream stream(spec.path);
  return data::read_npy_header(stream).shape.size() == 2;
}

PointSet open_points(const std::string& source, int64_t other_count, const Session& session) {
  const auto spec = data::parse_source(source);
  Json record = {{"source", source}, {"kind", "points"}};
  if (spec.kind == data::SourceKind::kArray) {
    const auto [points, rounded] = read_points(spec);
    record["count"] = points.size(0);
    if (rounded) {
      const auto note = fmt::format("the float64 points of {} were rounded to float32", source);
      print_note(note);
      record["notes"] = {note};
    }
    if (auto context = read_sample_provenance(spec.path); !context.is_null()) {
      record["context"] = std::move(context);
    }
    return {points, "", record};
  }
  if (spec.kind == data::SourceKind::kRun) {
    auto drawn = draw_run_points(spec, console_progress("sampling " + source, "points", session.quiet));
    record["count"] = drawn.points.size(0);
    record["context"] = std::move(drawn.context);
    return {drawn.points, "", record};
  }
  const int64_t count = spec.subset.count.value_or(other_count);
  if (count < 2) {
    throw core::UsageError("{}: num must be at least 2", source);
  }
  record["count"] = count;
  record["seed"] = spec.seed;
  return {data::make_points(spec.name, spec.subset.first, count, spec.seed), spec.name, record};
}

}  // namespace ddpm_eval::eval
