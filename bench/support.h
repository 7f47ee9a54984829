#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ATen/core/Tensor.h>
#include <benchmark/benchmark.h>

// What the benchmark programs share: main(), checks of answers before they are timed, and counters. Every
// program is run as
//
//   [DDPM_EVAL_THREADS=N] [DDPM_EVAL_BENCH_PEAKS=0] [DDPM_EVAL_BENCH_CHECKS=0] bench_<room> [...]
//
// A wrong answer ends it with exit code 1. The peaks of the machine, which `of_peak` is a share of, are
// measured when the first benchmark needs them, in about a second; DDPM_EVAL_BENCH_PEAKS=0 leaves both out.
// DDPM_EVAL_BENCH_CHECKS=0 leaves out the checks that go through once(), where another process has made them.
namespace ddpm_eval::bench {

/// Throws LogicError unless |got - wanted| <= tolerance |wanted|, both in float64 (Euclidean norms).
void expect_close(const char* what, const at::Tensor& got, const at::Tensor& wanted, double tolerance);
void expect_close(const char* what, double got, double wanted, double tolerance);

/// Whether longer checks are to be made.
bool checks_wanted();

/// Calls `check` at the first time for these arguments: Google Benchmark calls a function several times to
/// find out how many iterations it wants.
template <class Check>
void once(std::initializer_list<int64_t> arguments, const Check& check) {
  static std::set<std::vector<int64_t>> done;  // one set for each lambda, which has a type of its own
  if (checks_wanted() && done.insert(arguments).second) {
    check();
  }
}

/// float32 of this shape, standard normal, a function of `name`.
at::Tensor normal(std::string_view name, at::IntArrayRef shape);

/// Sum over the coordinates of what `term` makes of row i of `x` and row j of `y`, both float32 and
/// without gaps, in float64.
template <class Term>
double over_coordinates(const at::Tensor& x, int64_t i, const at::Tensor& y, int64_t j, const Term& term) {
  const float* a = x.data_ptr<float>() + i * x.size(1);
  const float* b = y.data_ptr<float>() + j * y.size(1);
  double sum = 0;
  for (int64_t d = 0; d < x.size(1); ++d) {
    sum += term(double(a[d]), double(b[d]));
  }
  return sum;
}

/// Which of the machine's peaks work is held against.
enum class Peak {
  kNone,     ///< none: no peak is known for it, as for bfloat16 and for work on files
  kFloat32,  ///< a product of large float32 matrices, a copy of a large array
  kFloat64,  ///< the same in float64
};

/// What one iteration does, counted on paper. What is zero is not stated.
struct Work {
  double items = 0;  ///< what "items_per_second" counts: images, steps, updates
  double flop = 0;   ///< operations of the plain algorithm; multiplying and adding are two
  double bytes = 0;  ///< read and written if every array goes through memory once
  Peak peak = Peak::kFloat32;
  const char* family = nullptr;  ///< sizes of one family are compared: the counter "exponent"
  int64_t n = 0;                 ///< the size that its complexity is in
};

/// Sets the counters of a benchmark whose iterations together took `seconds`.
void report(benchmark::State& state, const Work& work, double seconds);

/// The timed loop: calls `body` and reports.
template <class Body>
void measure(benchmark::State& state, const Work& work, const Body& body) {
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      benchmark::ClobberMemory();
    } else {
      benchmark::DoNotOptimize(body());
    }
  }
  report(state, work, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

/// What the peaks are of: products of square matrices of this side, by LibTorch's BLAS and, in float32, by
/// oneDNN, whichever is faster; and a copy of an array of so many bytes, which are read and written, by
/// LibTorch or by memcpy.
inline constexpr int64_t kPeakSide = 2048;
inline constexpr int64_t kPeakBytes = int64_t{256} << 20;

/// memcpy on every thread. Beyond the caches it writes past them, without reading first what it overwrites.
void copy_by_parts(at::Tensor& to, const at::Tensor& from);

}  // namespace ddpm_eval::bench
