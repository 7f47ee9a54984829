#pragma once

#include "base/core/digest.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace ddpm_eval::data {

/// No deflate stream grows by more than this factor when it is inflated.
inline constexpr uint64_t kDeflateLimit = 1032;

/// Bytes read once from front to back: a file, a member of an archive, a buffer.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// Fills `out` with the next `count` bytes. Throws DataError naming the origin if fewer are left or reading
  /// fails.
  virtual void read(void* out, size_t count) = 0;

  /// Bytes not yet read, as the container states them; no more than the container can really hold.
  virtual uint64_t remaining() const = 0;

  /// "samples.npz: arr_0", for messages.
  virtual const std::string& origin() const = 0;
};

/// A file opened for reading, at any offset or in order.
class FileStream final : public ByteStream {
 public:
  /// Throws DataError if the file is missing, a folder or unreadable.
  explicit FileStream(const std::filesystem::path& path);
  ~FileStream() override;
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;

  uint64_t size() const { return size_; }
  void seek(uint64_t offset) { offset_ = offset; }

  void read(void* out, size_t count) override;
  uint64_t remaining() const override { return offset_ < size_ ? size_ - offset_ : 0; }
  const std::string& origin() const override { return origin_; }

 private:
  std::string origin_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  uint64_t offset_ = 0;
};

/// Bytes in memory, which must outlive the stream.
class SpanStream final : public ByteStream {
 public:
  SpanStream(std::span<const char> bytes, std::string origin);
  void read(void* out, size_t count) override;
  uint64_t remaining() const override { return bytes_.size(); }
  const std::string& origin() const override { return origin_; }

 private:
  std::span<const char> bytes_;
  std::string origin_;
};

/// Another stream, which must outlive this one, with the SHA-256 of what has been read of it.
class DigestStream final : public ByteStream {
 public:
  explicit DigestStream(ByteStream& inner) : inner_(inner) {}
  void read(void* out, size_t count) override;
  uint64_t remaining() const override { return inner_.remaining(); }
  const std::string& origin() const override { return inner_.origin(); }

  /// 64 lower-case hexadecimal digits. Call once, after the last read().
  std::string sha256() { return digest_.finish(); }

 private:
  ByteStream& inner_;
  core::Sha256 digest_;
};

}  // namespace ddpm_eval::data
