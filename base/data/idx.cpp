#include "base/data/idx.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/paths.h"

#include <cstring>
#include <optional>

#include <torch/types.h>
#include <zlib.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 31;
constexpr uint64_t kDeflateLimit = 1032;  // no deflate stream grows by more than this factor
constexpr int64_t kMaxSide = 4096;
constexpr int64_t kClasses = 10;
constexpr int kGzipWindow = 15 + 16;  // zlib's way to ask for the gzip format

/// The bytes of a plain or gzip file in order, with the most there can be.
class IdxBytes {
 public:
  explicit IdxBytes(const fs::path& path)
      : path_(path.string()), bytes_(core::read_file(path, kMaxFileBytes)) {
    gzip_ = bytes_.size() >= 2 && bytes_[0] == '\x1f' && bytes_[1] == '\x8b';
    if (gzip_) {
      stream_.next_in = reinterpret_cast<Bytef*>(bytes_.data());
      stream_.avail_in = static_cast<uInt>(bytes_.size());
      DDPM_CHECK(::inflateInit2(&stream_, kGzipWindow) == Z_OK, "inflateInit2 failed");
    }
  }
  ~IdxBytes() {
    if (gzip_) {
      ::inflateEnd(&stream_);
    }
  }
  IdxBytes(const IdxBytes&) = delete;
  IdxBytes& operator=(const IdxBytes&) = delete;

  const std::string& path() const { return path_; }
  uint64_t at_most() const { return bytes_.size() * (gzip_ ? kDeflateLimit : 1); }

  void read(void* out, size_t count) {
    if (!gzip_) {
      if (count > bytes_.size() - position_) {
        fail_short();
      }
      std::memcpy(out, bytes_.data() + position_, count);
      position_ += count;
      return;
    }
    stream_.next_out = static_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(count);
    while (stream_.avail_out > 0) {
      const int state = ::inflate(&stream_, Z_NO_FLUSH);
      if (state == Z_STREAM_END && stream_.avail_out > 0) {
        fail_short();
      }
      if (state != Z_OK && state != Z_STREAM_END) {
        fail_damaged(state);
      }
    }
  }

  /// The contents must end here; for gzip, with a right checksum.
  void expect_end() {
    if (!gzip_) {
      if (position_ != bytes_.size()) {
        fail_long();
      }
      return;
    }
    char beyond = 0;
    stream_.next_out = reinterpret_cast<Bytef*>(&beyond);
    stream_.avail_out = 1;
    const int state = ::inflate(&stream_, Z_FINISH);
    if (stream_.avail_out == 0) {
      fail_long();
    }
    if (state != Z_STREAM_END) {
      fail_damaged(state);
    }
  }

 private:
  [[noreturn]] void fail_short() const {
    throw DataError("{}: is cut short: fewer bytes than its header says", path_);
  }
  [[noreturn]] void fail_long() const { throw DataError("{}: holds more bytes than its header says", path_); }
  [[noreturn]] void fail_damaged(int state) const {
    if (state == Z_BUF_ERROR) {
      throw DataError("{}: the gzip stream is cut short", path_);
    }
    throw DataError("{}: the gzip stream is damaged: {}", path_,
                    stream_.msg != nullptr ? stream_.msg : "checksum");
  }

  std::string path_;
  std::vector<char> bytes_;
  bool gzip_ = false;
  size_t position_ = 0;
  z_stream stream_{};
};

/// An array of bytes with `dimensions` sizes.
at::Tensor read_idx(const fs::path& path, size_t dimensions) {
  IdxBytes bytes(path);
  const auto next = [&] {
    std::array<uint8_t, 4> raw{};
    bytes.read(raw.data(), raw.size());
    return uint32_t{raw[0]} << 24 | uint32_t{raw[1]} << 16 | uint32_t{raw[2]} << 8 | raw[3];
  };
  const uint32_t magic = next(), want = 0x800 + static_cast<uint32_t>(dimensions);
  if (magic != want) {
    throw DataError("{}: begins with {:#x}, where an IDX file of {} has {:#x}", path.string(), magic,
                    dimensions == 1 ? "labels" : "images", want);
  }
  std::vector<int64_t> shape;
  for (size_t i = 0; i < dimensions; ++i) {
    shape.push_back(next());
    if (shape.back() == 0 || (i > 0 && shape.back() > kMaxSide)) {
      throw DataError("{}: a size of {} is not possible", path.string(), shape.back());
    }
  }
  // At most 2^32 x 4096 x 4096: no overflow.
  uint64_t count = 1;
  for (const int64_t size : shape) {
    count *= static_cast<uint64_t>(size);
  }
  if (count > bytes.at_most() || count > kMaxFileBytes) {
    throw DataError("{}: is cut short: its header asks for {} bytes", path.string(), count);
  }
  at::Tensor array = torch::empty(shape, torch::kUInt8);
  bytes.read(array.data_ptr(), count);
  bytes.expect_end();
  return array;
}

}  // namespace

ImageDataset load_idx(const std::string& name, const fs::path& images_path, const fs::path& labels_path) {
  ImageDataset dataset;
  dataset.name = name;
  dataset.images_u8 = read_idx(images_path, 3).unsqueeze(1);
  dataset.labels = read_idx(labels_path, 1).to(torch::kInt64);
  dataset.classes = kClasses;
  if (dataset.labels.size(0) != dataset.images_u8.size(0)) {
    throw DataError("{}: {} labels for the {} images of {}", labels_path.string(), dataset.labels.size(0),
                    dataset.images_u8.size(0), images_path.filename().string());
  }
  if (const auto largest = dataset.labels.max().item<int64_t>(); largest >= kClasses) {
    throw DataError("{}: a label of {}, where 0 to 9 are possible", labels_path.string(), largest);
  }
  return dataset;
}

ImageDataset load_mnist_like(const std::string& name, Split split, const fs::path& folder) {
  const bool train = split == Split::kTrain;
  const std::string prefix = train ? "train" : "t10k";
  const auto candidates = folder.empty() ? core::data_candidates(name) : std::vector<fs::path>{folder};
  const auto find = [&](const fs::path& in, const std::string& stem) -> std::optional<fs::path> {
    std::error_code error;
    for (const auto* suffix : {"", ".gz"}) {
      if (fs::path path = in / (prefix + stem + suffix); fs::exists(path, error)) {
        return path;
      }
    }
    return std::nullopt;
  };
  for (const auto& candidate : candidates) {
    const auto images = find(candidate, "-images-idx3-ubyte");
    const auto labels = find(candidate, "-labels-idx1-ubyte");
    if (images && labels) {
      return load_idx(name + (train ? ":train" : ":test"), *images, *labels);
    }
  }
  throw DataError("{}-images-idx3-ubyte[.gz] and its labels are not in {}; run 'ddpm-eval data fetch {}'{}",
                  prefix, candidates.front().string(), name,
                  name == "fashion-mnist" ? " or install Debian's dataset-fashion-mnist" : "");
}

}  // namespace ddpm_eval::data
