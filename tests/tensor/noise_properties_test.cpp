#include "base/tensor/noise.h"
#include "tests/support/generators.h"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

namespace ddpm_eval::tensor {
namespace {

using testing::any_integer;

RC_GTEST_PROP(NoiseProperties, ARowDependsOnItsIndexAlone, ()) {
  const NoiseKey key{static_cast<uint64_t>(any_integer(0, INT64_MAX - 1)), "property"};
  const int64_t step = any_integer(0, (INT64_C(1) << 31) - 1);
  const std::vector<int64_t> shape{any_integer(1, 5), any_integer(1, 7)};
  const int64_t first = any_integer(0, 1'000'000);
  const int64_t count = any_integer(2, 20);
  const int64_t cut = any_integer(1, count - 1);
  const auto head = index_range(first, first + cut);
  const auto tail = index_range(first + cut, first + count);
  const auto whole = index_range(first, first + count);
  std::vector<int64_t> backwards(whole.rbegin(), whole.rend());
  for (const bool normal : {true, false}) {
    const auto rows = [normal](const NoiseKey& of, std::span<const int64_t> indices, int64_t at,
                               at::IntArrayRef row) {
      return normal ? normal_rows(of, indices, at, row) : uniform_rows(of, indices, at, row);
    };
    const auto expected = rows(key, whole, step, shape);
    RC_ASSERT(torch::cat({rows(key, head, step, shape), rows(key, tail, step, shape)}).equal(expected));
    RC_ASSERT(rows(key, backwards, step, shape).flip(0).equal(expected));
    // Another seed or step is another draw.
    RC_ASSERT(!rows({key.seed + 1, key.purpose}, whole, step, shape).equal(expected));
    RC_ASSERT(!rows(key, whole, step == 0 ? 1 : step - 1, shape).equal(expected));
  }
  const int64_t bound = any_integer(1, INT64_C(1) << 31);
  const auto expected = integers(key, whole, step, bound);
  RC_ASSERT(torch::cat({integers(key, head, step, bound), integers(key, tail, step, bound)}).equal(expected));
  RC_ASSERT(expected.min().item<int64_t>() >= 0);
  RC_ASSERT(expected.max().item<int64_t>() < bound);
}

RC_GTEST_PROP(NoiseProperties, APermutationVisitsEverythingOnce, ()) {
  const int64_t count = any_integer(1, 500);
  const auto order =
      permutation({static_cast<uint64_t>(any_integer(0, 1000)), "property"}, any_integer(0, 1000), count);
  RC_ASSERT(std::get<0>(order.sort()).equal(torch::arange(count)));
}

}  // namespace
}  // namespace ddpm_eval::tensor
