#include "bench/support.h"

#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/product.h"
#include "base/tensor/runtime.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::bench {
namespace {

constexpr int kPeakTrials = 3;

/// What this machine reaches, a second.
struct Peaks {
  double flop = 0;
  double bytes = 0;
};

template <class Body>
double least_seconds(const Body& body) {
  double least = HUGE_VAL;
  for (int trial = 0; trial <= kPeakTrials; ++trial) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    least = trial == 0 ? least : std::min(least, seconds);  // the first touches new memory
  }
  return least;
}

double measure_copy() {
  const auto from = torch::ones({kPeakBytes}, torch::kUInt8);
  auto to = torch::zeros_like(from);
  const double seconds =
      std::min(least_seconds([&] { to.copy_(from); }), least_seconds([&] { copy_by_parts(to, from); }));
  return 2.0 * static_cast<double>(kPeakBytes) / seconds;
}

double measure_product(at::ScalarType dtype) {
  const auto a = torch::ones({kPeakSide, kPeakSide}, dtype);
  double seconds = least_seconds([&] { return torch::mm(a, a); });
  if (dtype == torch::kFloat32) {
    using tensor::Operand;
    seconds = std::min(
        seconds, least_seconds([&] { return tensor::product(a, Operand::kPlain, a, Operand::kPlain); }));
  }
  return 2 * std::pow(static_cast<double>(kPeakSide), 3) / seconds;
}

Peaks measure_peaks(at::ScalarType dtype) {
  static const double bytes = measure_copy();
  const Peaks peaks{measure_product(dtype), bytes};
  fmt::print(stderr, "peaks: {:.1f} GFLOP/s in {}, {:.2f} GB/s\n", peaks.flop * 1e-9, c10::toString(dtype),
             peaks.bytes * 1e-9);
  return peaks;
}

const Peaks& peaks_of(Peak peak) {
  if (peak == Peak::kFloat64) {
    static const Peaks float64 = measure_peaks(torch::kFloat64);
    return float64;
  }
  static const Peaks float32 = measure_peaks(torch::kFloat32);
  return float32;
}

bool wanted(const char* variable) {
  const char* word = std::getenv(variable);
  return word == nullptr || std::string_view(word) != "0";
}

bool peaks_wanted() { return wanted("DDPM_EVAL_BENCH_PEAKS"); }

/// d log(time) / d log(n) between this size and the next smaller one that was measured in this process.
void report_exponent(benchmark::State& state, const Work& work, double seconds) {
  static std::map<std::string, std::map<int64_t, double>> families;
  auto& times = families[work.family];
  times[work.n] = seconds;
  const auto here = times.find(work.n);
  if (here == times.begin()) {
    return;
  }
  const auto& [n, before] = *std::prev(here);
  state.counters["exponent"] =
      std::log(seconds / before) / std::log(static_cast<double>(work.n) / static_cast<double>(n));
}

}  // namespace

bool checks_wanted() { return wanted("DDPM_EVAL_BENCH_CHECKS"); }

void expect_close(const char* what, const at::Tensor& got, const at::Tensor& wanted, double tolerance) {
  DDPM_CHECK(got.sizes() == wanted.sizes(), "{} has another shape than its reference", what);
  const auto exact = wanted.to(torch::kFloat64);
  const double error = (got.to(torch::kFloat64) - exact).norm().item<double>();
  DDPM_CHECK(error <= tolerance * exact.norm().item<double>(),
             "{} differs from its reference by {:.2e} of its norm", what,
             error / exact.norm().item<double>());
}

void expect_close(const char* what, double got, double wanted, double tolerance) {
  DDPM_CHECK(std::abs(got - wanted) <= tolerance * std::abs(wanted),
             "{} is {:.10g} where {:.10g} is expected", what, got, wanted);
}

void copy_by_parts(at::Tensor& to, const at::Tensor& from) {
  const auto bytes = static_cast<int64_t>(from.nbytes());
  const auto* source = static_cast<const char*>(from.data_ptr());
  auto* target = static_cast<char*>(to.data_ptr());
  const int64_t part = std::max<int64_t>(1, bytes / at::get_num_threads());
  at::parallel_for(0, bytes, part, [&](int64_t begin, int64_t end) {
    std::memcpy(target + begin, source + begin, static_cast<size_t>(end - begin));
  });
}

at::Tensor normal(std::string_view name, at::IntArrayRef shape) {
  return tensor::normal_rows({1, name}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

void report(benchmark::State& state, const Work& work, double seconds) {
  const auto iterations = static_cast<double>(state.iterations());
  const double each = seconds / iterations;
  if (work.items > 0) {
    state.SetItemsProcessed(std::llround(work.items * iterations));
  }
  if (work.flop > 0) {
    state.counters["GFLOP/s"] = work.flop * 1e-9 / each;
  }
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes * 1e-9 / each;
  }
  if (work.family != nullptr) {
    state.SetComplexityN(work.n);
    report_exponent(state, work, each);
  }
  if (work.peak != Peak::kNone && work.flop + work.bytes > 0 && peaks_wanted()) {
    const auto& peaks = peaks_of(work.peak);
    const double computing = work.flop / peaks.flop, moving = work.bytes / peaks.bytes;
    state.counters["of_peak"] = std::max(computing, moving) / each;
    state.SetLabel(computing > moving ? "peak: compute" : "peak: memory");
  }
}

}  // namespace ddpm_eval::bench

int main(int argc, char** argv) {
  using namespace ddpm_eval;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 2;
  }
  try {
    const char* threads = std::getenv("DDPM_EVAL_THREADS");
    tensor::configure_runtime(threads == nullptr ? 0 : std::atoi(threads));
    const auto runtime = tensor::runtime_info();
    benchmark::AddCustomContext("commit", std::string(core::build_info().commit));
    benchmark::AddCustomContext("compiler", std::string(core::build_info().compiler));
    benchmark::AddCustomContext("build", std::string(core::build_info().build_type));
    benchmark::AddCustomContext("libtorch", runtime.libtorch);
    benchmark::AddCustomContext("instruction_set", runtime.cpu_capability);
    benchmark::AddCustomContext("blas", runtime.blas);
    benchmark::AddCustomContext("threads", std::to_string(runtime.threads));
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
