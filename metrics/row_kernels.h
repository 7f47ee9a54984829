#pragma once

#include <cstdint>

// Private to metrics: loops over rows of features and over rows of their products, in a file of its own that
// sees no LibTorch. Sums run in an order that depends on the length alone: the same bits on every processor
// and for any number of threads.
namespace ddpm_eval::metrics::detail {

/// Sum of (x - y)^2 in float64 over rows of `dim` numbers; the same bits for (y, x).
double squared_distance(const float* x, const float* y, int64_t dim);

/// Sum of x y in float64, in which the products of float32 numbers are exact.
double inner_product(const float* x, const float* y, int64_t dim);

/// To the nearest number that float16 has, ties to even; numbers beyond its largest, 65504, stay what they
/// are.
void round_to_half(const float* x, int64_t count, float* rounded);

/// One number, as above.
float rounded_to_half(float x);

/// inner_product() of both rows rounded to half precision.
double inner_product_of_halves(const float* x, const float* y, int64_t dim);

/// The rounded row's squares, each rounded to half precision again, added up in float64.
double sum_of_half_squares(const float* x, int64_t dim);

/// moved = x scale - centre, which may be written over x.
void centre_row(const float* x, float scale, const float* centre, int64_t dim, float* moved);

/// The places j, ascending, where products[j] is not less than by_column[j] + by_row, NaN included. Returns
/// how many; `places` has room for `count`.
int64_t find_reaching(const float* products, const float* by_column, float by_row, int64_t count,
                      int32_t* places);

/// largest[j] := the larger of it and products[j] - shift; NaN is passed over.
void raise_to(const float* products, float shift, int64_t count, float* largest);

/// The sum in float32 as NumPy adds up what lies side by side: halves, down to 128 numbers in eight sums.
float pairwise_sum(const float* values, int64_t count);

/// sums[j] += values[j] in float32.
void add_to(const float* values, int64_t count, float* sums);

/// What is added up over a row of kernel values.
struct RowSums {
  double sum = 0.0;
  double squares = 0.0;
};

/// values[j] = c_1 t + c_2 t^2 + ... + c_degree t^degree with t = factor products[j] + by_column[j] + by_row,
/// where coefficients[p] is c_(p+1).
void polynomial_row(const double* products, double factor, const double* by_column, double by_row,
                    const double* coefficients, int64_t degree, int64_t count, double* values);

/// values[j] = exp(min(t, 0)).
void exponential_row(const double* products, double factor, const double* by_column, double by_row,
                     int64_t count, double* values);

/// wide[j] = narrow[j].
void widen(const float* narrow, int64_t count, double* wide);

/// Sums of a row, which is also added to `columns` unless that is null.
RowSums add_up(const double* values, int64_t count, double* columns);

}  // namespace ddpm_eval::metrics::detail
