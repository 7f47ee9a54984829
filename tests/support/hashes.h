#pragma once

#include "base/core/seeds.h"

#include <cstdint>
#include <string_view>

// Numbers out of names and positions, which Python (tools/golden/hashes.py) makes alike, bit for bit.
namespace ddpm_eval::testing {

/// The 64-bit FNV-1a hash.
inline uint64_t fnv1a(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

/// Output `index` of SplitMix64 (Steele, Lea & Flood 2014) seeded with `seed`.
inline uint64_t splitmix64(uint64_t seed, uint64_t index) {
  return core::mix64(seed + index * 0x9e3779b97f4a7c15ULL);
}

}  // namespace ddpm_eval::testing
