#include "base/tensor/noise.h"

#include "base/core/error.h"
#include "base/core/seeds.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include <ATen/Parallel.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

/// The stream of one (key, index, step). Steps are 2^32 blocks apart, so streams of one index never overlap.
at::philox_engine stream(uint64_t key, int64_t index, int64_t step) {
  at::philox_engine engine(key, static_cast<uint64_t>(index), 0);
  engine.incr_n(static_cast<uint64_t>(step) << 32);
  return engine;
}

float uniform01(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

/// Runs fill(engine, row pointer, row length) for every row, in parallel over rows; the result does not
/// depend on how.
template <class Fill>
at::Tensor fill_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                     at::IntArrayRef row_shape, const Fill& fill) {
  DDPM_CHECK(step >= 0 && step < (int64_t{1} << 31), "noise step {} is out of range", step);
  std::vector<int64_t> shape{static_cast<int64_t>(indices.size())};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  at::Tensor rows = torch::empty(shape, torch::kFloat32);
  const int64_t length = indices.empty() ? 0 : rows.numel() / shape[0];
  const uint64_t seed = core::stream_key(key.seed, key.purpose);
  float* data = rows.data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, length));
  at::parallel_for(0, shape[0], grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      auto engine = stream(seed, indices[static_cast<size_t>(r)], step);
      fill(engine, data + r * length, length);
    }
  });
  return rows;
}

}  // namespace

at::Tensor normal_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                       at::IntArrayRef row_shape) {
  return fill_rows(key, indices, step, row_shape, [](at::philox_engine& engine, float* row, int64_t length) {
    for (int64_t i = 0; i < length; i += 2) {
      // u in (0, 1]: the logarithm stays finite.
      const float u = (static_cast<float>(engine() >> 8) + 1.0F) * 0x1p-24F;
      const float angle = 2.0F * std::numbers::pi_v<float> * uniform01(engine());
      const float radius = std::sqrt(-2.0F * std::log(u));
      row[i] = radius * std::cos(angle);
      if (i + 1 < length) {
        row[i + 1] = radius * std::sin(angle);
      }
    }
  });
}

at::Tensor uniform_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                        at::IntArrayRef row_shape) {
  return fill_rows(key, indices, step, row_shape, [](at::philox_engine& engine, float* row, int64_t length) {
    for (int64_t i = 0; i < length; ++i) {
      row[i] = uniform01(engine());
    }
  });
}

at::Tensor integers(const NoiseKey& key, std::span<const int64_t> indices, int64_t step, int64_t bound) {
  DDPM_CHECK(bound >= 1 && bound <= (int64_t{1} << 31), "bound {} is out of range", bound);
  const uint64_t seed = core::stream_key(key.seed, key.purpose);
  at::Tensor draws = torch::empty({static_cast<int64_t>(indices.size())}, torch::kInt64);
  int64_t* data = draws.data_ptr<int64_t>();
  for (size_t i = 0; i < indices.size(); ++i) {
    auto engine = stream(seed, indices[i], step);
    data[i] = static_cast<int64_t>((static_cast<uint64_t>(engine()) * static_cast<uint64_t>(bound)) >> 32);
  }
  return draws;
}

at::Tensor permutation(const NoiseKey& key, int64_t index, int64_t count) {
  auto engine = stream(core::stream_key(key.seed, key.purpose), index, 0);
  at::Tensor order = torch::arange(count, torch::kInt64);
  int64_t* data = order.data_ptr<int64_t>();
  for (int64_t i = count - 1; i > 0; --i) {
    const auto j = (static_cast<uint64_t>(engine()) * static_cast<uint64_t>(i + 1)) >> 32;
    std::swap(data[i], data[j]);
  }
  return order;
}

std::vector<int64_t> index_range(int64_t begin, int64_t end) {
  std::vector<int64_t> range(static_cast<size_t>(std::max<int64_t>(0, end - begin)));
  std::iota(range.begin(), range.end(), begin);
  return range;
}

}  // namespace ddpm_eval::tensor
