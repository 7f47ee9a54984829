#include "base/data/prefetch.h"

#include <atomic>
#include <stdexcept>

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using Numbers = Prefetch<int64_t>;

TEST(Prefetch, HandsResultsOutInOrder) {
  Numbers numbers(500, {.threads = 5, .ahead = 7}, [](int64_t i, const Numbers::Announce&) { return 3 * i; });
  for (int64_t i = 0; i < 500; ++i) {
    ASSERT_FALSE(numbers.drained());
    ASSERT_EQ(numbers.next(), 3 * i);
  }
  EXPECT_TRUE(numbers.drained());
}

TEST(Prefetch, HoldsNoMoreThanTheLimitAndOneResult) {
  // Sizes of 1 to 40 where 50 fit; every hundredth is larger than the limit.
  constexpr int64_t kLimit = 50, kCount = 1000, kHuge = 90;
  const auto size = [](int64_t i) { return i % 100 == 50 ? kHuge : 1 + 7 * i % 40; };
  std::atomic<int64_t> held = 0, most = 0;
  Numbers numbers(kCount, {.threads = 6, .ahead = 24, .held_bytes = kLimit},
                  [&](int64_t i, const Numbers::Announce& announce) {
                    announce(size(i));
                    const int64_t now = held += size(i);
                    for (int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                    }
                    return i;
                  });
  for (int64_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(numbers.next(), i);
    held -= size(i);  // a little late: next() has given the room away
  }
  EXPECT_LE(most, kLimit + kHuge + kHuge);
}

TEST(Prefetch, TheLimitHoldsBackWhatTheCountWouldLetThrough) {
  std::atomic<int64_t> made = 0;
  const auto count_made = [&](int64_t limit, int64_t want) {
    made = 0;
    Numbers numbers(100, {.threads = 2, .ahead = 20, .held_bytes = limit},
                    [&](int64_t i, const Numbers::Announce& announce) {
                      announce(10);
                      ++made;
                      return i;
                    });
    numbers.next();
    // Time for the threads to go on as far as they may.
    for (int i = 0; i < 20 || (i < 2000 && made < want); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return made.load();
  };
  EXPECT_EQ(count_made(INT64_MAX, 21), 21);
  // The first, the one that is due then, and two that fit beside it.
  EXPECT_LE(count_made(25, 0), 4);
}

TEST(Prefetch, AnExceptionComesWhereItsResultIsDue) {
  Numbers numbers(10, {.threads = 3, .ahead = 5, .held_bytes = 2},
                  [](int64_t i, const Numbers::Announce& announce) {
                    announce(1);
                    return i == 4 ? throw std::runtime_error("four") : i;
                  });
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(numbers.next(), i);
  }
  EXPECT_THROW(numbers.next(), std::runtime_error);
  EXPECT_EQ(numbers.next(), 5);
}

TEST(Prefetch, MayBeLeftWhileResultsWaitForRoom) {
  Numbers numbers(100, {.threads = 4, .ahead = 50, .held_bytes = 1},
                  [](int64_t i, const Numbers::Announce& announce) {
                    announce(1);
                    return i;
                  });
  EXPECT_EQ(numbers.next(), 0);
}

}  // namespace
}  // namespace ddpm_eval::data
