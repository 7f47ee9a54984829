#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/statistics.h"
#include "bench/support.h"

#include <bit>
#include <cmath>
#include <string>

namespace ddpm_eval::core {
namespace {

using bench::measure;
using bench::once;
using bench::Peak;

// The null subject: a fixed chain of operations, each of which waits for the one before. It uses nothing of
// this project, so that what it shows is the machine and the harness.
constexpr int64_t kNullSteps = 4'000'000;
constexpr uint64_t kNullAnswer = 0xa2a0a4e773e987bf;

/// Marsaglia's xorshift64.
uint64_t xorshift(int64_t steps) {
  uint64_t x = 1;
  for (int64_t i = 0; i < steps; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

void null(benchmark::State& state) {
  once({}, [] {
    const uint64_t answer = xorshift(kNullSteps);
    DDPM_CHECK(answer == kNullAnswer, "the null subject gives {:#x}", answer);
  });
  int64_t steps = kNullSteps;
  measure(state, {.items = static_cast<double>(kNullSteps)}, [&] {
    benchmark::DoNotOptimize(steps);
    return xorshift(steps);
  });
}
BENCHMARK(null)->Unit(benchmark::kMillisecond)->UseRealTime();

/// What an iteration of the harness costs.
void empty(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::ClobberMemory();
  }
}
BENCHMARK(empty)->UseRealTime();

void sha256(benchmark::State& state) {
  once({}, [] {
    // The third example of FIPS 180-2.
    const std::string got = sha256_hex(std::string(1'000'000, 'a'));
    DDPM_CHECK(got == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "SHA-256 gives {}",
               got);
  });
  const std::string text(static_cast<size_t>(state.range(0)), 'a');
  measure(state, {.bytes = static_cast<double>(state.range(0)), .peak = Peak::kNone},
          [&] { return sha256_hex(text); });
}
BENCHMARK(sha256)
    ->ArgName("bytes")
    ->Arg(4 << 10)
    ->Arg(16 << 20)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

std::vector<double> differences(int64_t n) {
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(std::sin(static_cast<double>(i)) + 0.2);
  }
  return values;
}

/// The share of all 2^n signs, one after the other.
double sign_flip_p_by_counting(const std::vector<double>& values) {
  const auto sum_of = [&](uint64_t signs) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      sum += (signs >> i & 1) != 0 ? -values[i] : values[i];
    }
    return std::abs(sum);
  };
  const uint64_t all = uint64_t{1} << values.size();
  const double least = sum_of(0) - 1e-9;
  uint64_t reaching = 0;
  for (uint64_t signs = 0; signs < all; ++signs) {
    reaching += sum_of(signs) >= least ? 1 : 0;
  }
  return static_cast<double>(reaching) / static_cast<double>(all);
}

void sign_flip(benchmark::State& state) {
  once({}, [] {
    const auto few = differences(15);
    bench::expect_close("the sign-flip test", sign_flip_p(few), sign_flip_p_by_counting(few), 1e-12);
  });
  const auto values = differences(state.range(0));
  // In the number of half sums, to which its time is to be proportional.
  measure(state, {.items = 1, .family = "sign_flip", .n = int64_t{1} << (state.range(0) / 2)},
          [&] { return sign_flip_p(values); });
}
BENCHMARK(sign_flip)
    ->ArgName("differences")
    ->Arg(24)
    ->Arg(28)
    ->Arg(32)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime()
    ->Complexity(benchmark::oN);

}  // namespace
}  // namespace ddpm_eval::core
