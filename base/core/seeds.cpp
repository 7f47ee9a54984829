#include "base/core/seeds.h"

namespace ddpm_eval::core {

uint64_t stream_key(uint64_t root_seed, std::string_view purpose) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : purpose) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return mix64(mix64(root_seed) ^ hash);
}

}  // namespace ddpm_eval::core
