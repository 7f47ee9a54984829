#include "base/tensor/noise.h"

#include "base/core/error.h"
#include "base/core/seeds.h"
#include "base/tensor/noise_kernel.h"
#include "base/tensor/send.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include <ATen/Parallel.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <torch/types.h>
#ifdef DDPM_EVAL_WITH_CUDA
#include "base/tensor/noise_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#endif

namespace ddpm_eval::tensor {
namespace {

/// The stream of one (key, index, step). Steps are 2^32 blocks apart, so streams of one index never overlap.
at::philox_engine stream(uint64_t key, int64_t index, int64_t step) {
  at::philox_engine engine(key, static_cast<uint64_t>(index), 0);
  engine.incr_n(static_cast<uint64_t>(step) << 32);
  return engine;
}

float uniform01(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }

void check_step(int64_t step) {
  DDPM_CHECK(step >= 0 && step < (int64_t{1} << 31), "noise step {} is out of range", step);
}

std::vector<int64_t> with_rows(int64_t count, at::IntArrayRef row_shape) {
  std::vector<int64_t> shape{count};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  return shape;
}

/// Runs fill(r, row pointer, row length) for every row r, in parallel over rows; the result does not depend
/// on how.
template <class Number, class Fill>
at::Tensor fill_rows(int64_t count, at::IntArrayRef row_shape, const Fill& fill) {
  at::Tensor rows = torch::empty(with_rows(count, row_shape), c10::CppTypeToScalarType<Number>::value);
  const int64_t length = count == 0 ? 0 : rows.numel() / count;
  auto* data = rows.data_ptr<Number>();
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, length));
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      fill(static_cast<size_t>(r), data + r * length, length);
    }
  });
  return rows;
}

/// The same from the words of each row's stream, a word a number: fill(words, count, numbers).
template <class Number, class Fill>
at::Tensor fill_rows_from_words(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                                at::IntArrayRef row_shape, const Fill& fill) {
  check_step(step);
  const uint64_t seed = core::stream_key(key.seed, key.purpose);
  const auto fill_row = [&](size_t r, Number* row, int64_t length) {
    constexpr int64_t kWords = 4 * detail::kPhiloxBlocks;
    DDPM_CHECK(length < int64_t{1} << 34, "a row of {} numbers", length);
    const detail::PhiloxStream of{seed, static_cast<uint64_t>(indices[r]), static_cast<uint32_t>(step)};
    uint32_t words[kWords];
    for (int64_t i = 0; i < length; i += kWords) {
      detail::philox_words(of, static_cast<uint32_t>(i / 4), words);
      fill(words, std::min(kWords, length - i), row + i);
    }
  };
  return fill_rows<Number>(static_cast<int64_t>(indices.size()), row_shape, fill_row);
}

at::Tensor normal_rows_on_gpu(uint64_t seed, std::span<const int64_t> indices, int64_t step,
                              at::IntArrayRef row_shape, at::Device device) {
#ifdef DDPM_EVAL_WITH_CUDA
  const auto count = static_cast<int64_t>(indices.size());
  at::Tensor rows = torch::empty(with_rows(count, row_shape), torch::dtype(torch::kFloat32).device(device));
  if (rows.numel() > 0) {
    const auto on_device = send(torch::tensor(std::vector<int64_t>(indices.begin(), indices.end())), device);
    cuda::normal_rows(seed, on_device.data_ptr<int64_t>(), count, rows.numel() / count, step,
                      rows.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
  }
  return rows;
#else
  (void)seed, (void)indices, (void)step, (void)row_shape;
  DDPM_CHECK(false, "noise on {}", device.str());
#endif
}

}  // namespace

at::Tensor normal_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                       at::IntArrayRef row_shape, at::Device device) {
  check_step(step);
  const uint64_t seed = core::stream_key(key.seed, key.purpose);
  if (!device.is_cpu()) {
    return normal_rows_on_gpu(seed, indices, step, row_shape, device);
  }
  const auto fill_row = [&](size_t r, float* row, int64_t length) {
    auto engine = stream(seed, indices[r], step);
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
  };
  return fill_rows<float>(static_cast<int64_t>(indices.size()), row_shape, fill_row);
}

at::Tensor uniform_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                        at::IntArrayRef row_shape) {
  return fill_rows_from_words<float>(key, indices, step, row_shape, detail::uniform01);
}

at::Tensor keep_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                     at::IntArrayRef row_shape, double rate) {
  const auto limit = static_cast<float>(rate);
  return fill_rows_from_words<bool>(key, indices, step, row_shape,
                                    [limit](const uint32_t* words, int64_t count, bool* kept) {
                                      detail::at_least(words, count, limit, kept);
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
