#pragma once

#include <array>
#include <cstdint>
#include <vector>

// The hot loops of metrics/filter_resample.cpp: without LibTorch, compiled for several instruction sets.
namespace ddpm_eval::metrics::detail {

/// The weights of a separable resampler in one direction: output o is the sum over j < count[o] of
/// weights[o * width + j] * input[first[o] + j].
template <class Number>
struct Filter {
  std::vector<int64_t> first;  ///< never falls from one output to the next
  std::vector<int64_t> count;
  std::vector<Number> weights;  ///< [outputs, width], zero beyond count
  int64_t width = 0;            ///< the largest count
};

/// Source rows that are filtered side by side, and their three colours.
inline constexpr int64_t kFilterRows = 4;
inline constexpr int64_t kFilterLanes = 3 * kFilterRows;

/// Filters the columns of kFilterRows rows at once. `planes` has for each row the bytes of red, green and
/// blue, `columns` of them; `packed` is room for columns * kFilterLanes numbers. Row r goes, interleaved, to
/// out + r * stride. Sums are of `Number`, from left to right, then rounded to float32.
template <class Number>
void filter_columns(const std::array<const uint8_t*, kFilterLanes>& planes, int64_t columns,
                    const Filter<Number>& filter, Number* packed, float* out, int64_t stride);

struct Bounds {
  float low, high;
};

/// out[i] = the sum over j < taps of weights[j] * rows[j][i], from top to bottom in `Number`, rounded to
/// float32 and then held within `bounds`.
template <class Number>
void blend_rows(const float* const* rows, const Number* weights, int64_t taps, int64_t count, Bounds bounds,
                float* out);

}  // namespace ddpm_eval::metrics::detail
