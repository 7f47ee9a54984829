#pragma once

#include <cstdint>
#include <string_view>

namespace ddpm_eval::core {

/// One well-mixed 64-bit value from another (the finaliser of SplitMix64, Steele et al. 2014).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The key of a named random stream. Every use of randomness has a purpose ("sample.noise", "train.order")
/// and derives its key from the one root seed of the run, so that a new consumer never shifts the numbers of
/// another.
uint64_t stream_key(uint64_t root_seed, std::string_view purpose);

}  // namespace ddpm_eval::core
