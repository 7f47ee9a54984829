#include "base/core/numpy_random.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>

#include <gmock/gmock.h>
#include <openssl/evp.h>

namespace ddpm_eval::core {
namespace {

using ::testing::ElementsAre;

std::string md5_of_list(const std::vector<int64_t>& values) {
  std::string text;
  for (const int64_t value : values) {
    text += (text.empty() ? "" : ",") + std::to_string(value);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EXPECT_EQ(EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_md5(), nullptr), 1);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4U];
    hex += "0123456789abcdef"[digest[i] & 15U];
  }
  return hex;
}

std::vector<int64_t> first(const std::vector<int64_t>& values, size_t count) {
  return {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count)};
}

// What NumPy itself gives for np.random.RandomState(s).permutation(10).
TEST(NumpyRandom, PermutesAsNumPyDoes) {
  EXPECT_THAT(NumpyRandom(0).permutation(10), ElementsAre(2, 8, 4, 9, 1, 6, 7, 3, 0, 5));
  EXPECT_THAT(NumpyRandom(42).permutation(10), ElementsAre(8, 1, 5, 0, 7, 2, 9, 4, 3, 6));
  EXPECT_THAT(NumpyRandom(1).permutation(1), ElementsAre(0));
  EXPECT_THAT(NumpyRandom(1).permutation(0), ElementsAre());
}

struct Draw {
  int64_t count;
  int64_t size;
  int64_t sum;
  std::vector<int64_t> first;
  std::string md5;
};

// The image subsets on which torch-fidelity's published values were taken: RandomState(2020), indices sorted.
TEST(NumpyRandom, DrawsTorchFidelitysSubsets) {
  const std::vector<Draw> draws = {
      {50000, 100, 2706256, {1438, 1497, 2293}, "225f7dfe97053ee4c19129146fb77c20"},
      {50000, 256, 6288956, {530, 544, 676}, "2cb65e8766bb26ab18a9a5701dbd88f9"},
      {50000, 5000, 124427886, {5, 19, 40}, "734a3855c2e4ee9c2bdf7d84d23b2fc9"},
      {10000, 256, 1297026, {43, 73, 107}, "dd7f79e9bebbc4ad9af5be0dfe49eba0"},
      {10000, 5000, 25128033, {1, 3, 5}, "ae6949171050ad1e30b9c92b67a6e1d0"},
  };
  for (const auto& draw : draws) {
    auto chosen = NumpyRandom(2020).choice(draw.count, draw.size);
    std::sort(chosen.begin(), chosen.end());
    EXPECT_EQ(std::accumulate(chosen.begin(), chosen.end(), int64_t{0}), draw.sum);
    EXPECT_EQ(first(chosen, 3), draw.first);
    EXPECT_EQ(md5_of_list(chosen), draw.md5);
  }
}

TEST(NumpyRandom, ShufflesForTheInceptionScore) {
  EXPECT_THAT(first(NumpyRandom(2020).permutation(256), 5), ElementsAre(68, 158, 34, 97, 245));
  EXPECT_THAT(first(NumpyRandom(2020).permutation(5000), 5), ElementsAre(2398, 2360, 3232, 27, 1246));
  EXPECT_THAT(first(NumpyRandom(2020).permutation(50000), 5), ElementsAre(24397, 39273, 6546, 13504, 49765));
}

// KID draws two subsets in turn from one generator, and each draw consumes a whole permutation.
TEST(NumpyRandom, ConsecutiveChoicesFollowTheStream) {
  NumpyRandom random(2020);
  const auto one = random.choice(256, 64);
  EXPECT_THAT(first(one, 3), ElementsAre(68, 158, 34));
  EXPECT_EQ(std::accumulate(one.begin(), one.end(), int64_t{0}), 7485);
  const auto two = random.choice(256, 64);
  EXPECT_THAT(first(two, 3), ElementsAre(171, 221, 39));
  EXPECT_EQ(std::accumulate(two.begin(), two.end(), int64_t{0}), 8890);
  EXPECT_THAT(first(random.choice(256, 64), 3), ElementsAre(100, 152, 111));
}

}  // namespace
}  // namespace ddpm_eval::core
