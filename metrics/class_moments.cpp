#include "metrics/class_moments.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

namespace ddpm_eval::metrics {

std::vector<int64_t> class_counts(const at::Tensor& labels, int64_t classes) {
  tensor::expect(labels, at::kLong, {-1}, "labels");
  const auto all = labels.contiguous();
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (int64_t i = 0; i < all.size(0); ++i) {
    const int64_t label = all.data_ptr<int64_t>()[i];
    DDPM_CHECK(label >= 0 && label < classes, "label {} of {} classes", label, classes);
    ++counts[static_cast<size_t>(label)];
  }
  return counts;
}

Moments class_moments(const at::Tensor& features, const at::Tensor& labels, int64_t label) {
  tensor::expect(features, at::kFloat, {-1, -1}, "features");
  tensor::expect(labels, at::kLong, {features.size(0)}, "labels");
  return moments_of(features.index_select(0, labels.eq(label).nonzero().flatten()));
}

}  // namespace ddpm_eval::metrics
