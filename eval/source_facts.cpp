#include "eval/source_facts.h"

#include "base/core/error.h"
#include "eval/point_set.h"

#include <optional>

#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

/// Of the official files, which are checked when they are read.
struct KnownSet {
  int64_t train = 0;
  int64_t test = 0;
  std::vector<int64_t> row_shape;
};

std::optional<KnownSet> known_set(data::SourceKind kind) {
  switch (kind) {
    case data::SourceKind::kCifar10:
    case data::SourceKind::kCifar100:
      return KnownSet{50'000, 10'000, {3, 32, 32}};
    case data::SourceKind::kMnist:
    case data::SourceKind::kFashionMnist:
      return KnownSet{60'000, 10'000, {1, 28, 28}};
    default:
      return std::nullopt;
  }
}

}  // namespace

int64_t examples_in(const data::SourceSpec& spec) {
  if (const auto known = known_set(spec.kind)) {
    return data::resolve_subset(spec.subset, spec.split == data::Split::kTrain ? known->train : known->test,
                                spec.text);
  }
  if (spec.kind == data::SourceKind::kPoints) {
    return spec.subset.count.value_or(kDefaultPoints);
  }
  if (spec.kind == data::SourceKind::kNoise) {
    return spec.subset.count.value();
  }
  return data::open_image_source(spec)->size().value_or(0);
}

std::vector<int64_t> row_shape_of(const data::SourceSpec& spec) {
  if (const auto known = known_set(spec.kind)) {
    return known->row_shape;
  }
  if (spec.kind == data::SourceKind::kPoints) {
    return {2};
  }
  if (spec.kind == data::SourceKind::kNoise) {
    return {3, spec.noise_shape.height, spec.noise_shape.width};
  }
  auto first = spec;
  first.subset.count = 1;
  return data::load_image_dataset(first).images_u8.sizes().slice(1).vec();
}

}  // namespace ddpm_eval::eval
