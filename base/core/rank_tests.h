#pragma once

#include <cstdint>
#include <span>

// What can be said of measurements whose noise has no known distribution: tests by ranks, and the shifts with
// intervals that belong to them. All values must be finite; all results are exact functions of them.
namespace ddpm_eval::core {

/// Of the hypothesis that nothing differs, against larger and against smaller values.
struct OneSidedP {
  double greater = 1;
  double less = 1;
};

/// As many values of both samples together as rank_sum_test() is exact for.
inline constexpr int64_t kMaxExactRankSum = 60;
/// As many differences as paired_shift() is exact for.
inline constexpr int64_t kMaxExactDifferences = 100;

/// The rank-sum test of two independent samples (Wilcoxon 1945; Mann & Whitney 1947): the share of the ways
/// to choose as many of all values as `values` has whose ranks sum to as much or more (`greater`), or as
/// little or less, as those found. Equal values share the mean of their ranks, and the share is exact with
/// them too. Beyond kMaxExactRankSum values, the normal approximation with the corrections for ties and for
/// continuity. 1 and 1 if a sample is empty.
OneSidedP rank_sum_test(std::span<const double> values, std::span<const double> others);

/// The smallest p that rank_sum_test() can give for samples of these sizes: 1 / C(n + m, n)
/// where it is exact.
double smallest_rank_sum_p(int64_t n, int64_t m);

/// The rank-sum test within blocks (van Elteren 1960), of `values[i]` and `others[i]` measured one after the
/// other: both are cut at the same places into `blocks` parts, as equal as can be, the ranks are those within
/// a part, and their sum is held against all choices within each part, so that what changes from part to part
/// changes nothing. Exact, with ties too. One block is rank_sum_test(), which also takes its place where
/// there are more values in a part than that is exact for. Both must be equally many, and at least one for
/// each block.
OneSidedP blocked_rank_sum_test(std::span<const double> values, std::span<const double> others,
                                int64_t blocks);

/// The smallest p that blocked_rank_sum_test() can give for n and n values.
double smallest_blocked_rank_sum_p(int64_t n, int64_t blocks);

/// An estimate with an interval that covers the true value at least as often as asked, whatever the
/// distribution; infinite where there are too few values for that.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// The median alone. `values` must not be empty.
double middle(std::span<const double> values);

/// The median, with order statistics as the ends (the sign test turned round). `values` must not be empty.
Estimate median(std::span<const double> values, double confidence);

/// By how much `values` are above `others`: the median of all n m differences (Hodges & Lehmann 1963) and the
/// interval of the rank-sum test turned round (Moses 1953; Lehmann 1963). Neither may be empty.
Estimate shift(std::span<const double> values, std::span<const double> others, double confidence);

/// The centre of paired differences: the median of the n (n + 1) / 2 means of two of them (Hodges & Lehmann
/// 1963) and the interval of the signed-rank test turned round (Tukey 1949). They must not be none.
Estimate paired_shift(std::span<const double> differences, double confidence);

}  // namespace ddpm_eval::core
