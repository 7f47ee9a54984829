#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace ddpm_eval::core {

/// Streaming SHA-256 (OpenSSL's).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* bytes, size_t count);
  /// 64 lower-case hexadecimal digits. Call once.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::span<const char> bytes);

/// SHA-256 of a file's bytes. Throws DataError if it cannot be read, InterruptedError if asked to stop.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace ddpm_eval::core
