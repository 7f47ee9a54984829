#include "base/data/sinks.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_array_writer.h"
#include "base/data/image_codec.h"
#include "base/data/zip_writer.h"
#include "base/tensor/shape.h"

#include <cerrno>
#include <cstring>

#include <ATen/Parallel.h>
#include <fcntl.h>
#include <torch/types.h>
#include <unistd.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::ResourceError;

void expect_images(const at::Tensor& images_u8) {
  tensor::expect(images_u8, at::kByte, {-1, -1, -1, -1}, "images_u8");
  DDPM_CHECK(images_u8.size(1) == 1 || images_u8.size(1) == 3, "images_u8 is {}",
             tensor::describe(images_u8));
}

std::string png_name(int64_t index) { return fmt::format("{:06}.png", index); }

class PngFolderSink final : public ImageSink {
 public:
  PngFolderSink(fs::path folder, int64_t first_index) : folder_(std::move(folder)), next_index_(first_index) {
    core::make_folders(folder_);
  }

  void write(const at::Tensor& images_u8) override {
    expect_images(images_u8);
    if (next_index_ + images_u8.size(0) > kMaxPngFiles) {
      throw core::UsageError("{}: a folder of PNGs holds at most {} images; write an .npz", folder_.string(),
                             kMaxPngFiles);
    }
    const at::Tensor images = images_u8.cpu();
    at::parallel_for(0, images.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto png = encode_png(images[i]);
        core::AtomicFile file(folder_ / png_name(next_index_ + i));
        file.write(png.data(), png.size());
        file.commit(core::Durability::kLater);
      }
    });
    next_index_ += images.size(0);
  }

  /// One sync of the file system instead of one a file.
  void finish() override {
    const int descriptor = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = descriptor >= 0 && ::syncfs(descriptor) == 0;
    const int error = errno;
    if (descriptor >= 0) {
      ::close(descriptor);
    }
    if (!synced) {
      throw ResourceError("{}: sync failed: {}", folder_.string(), std::strerror(error));
    }
  }

 private:
  fs::path folder_;
  int64_t next_index_;
};

class NpzSink final : public ImageSink {
 public:
  NpzSink(const fs::path& target, std::string provenance_json)
      : zip_(target), images_(zip_, target.string()), provenance_json_(std::move(provenance_json)) {}

  void write(const at::Tensor& images_u8) override {
    expect_images(images_u8);
    images_.add(images_u8);
  }

  void finish() override {
    images_.end();
    if (!provenance_json_.empty()) {
      zip_.add(kSampleProvenance, provenance_json_);
    }
    zip_.commit();
  }

 private:
  ZipWriter zip_;
  ImageArrayWriter images_;
  std::string provenance_json_;
};

}  // namespace

std::unique_ptr<ImageSink> make_png_folder_sink(const fs::path& folder, int64_t first_index) {
  return std::make_unique<PngFolderSink>(folder, first_index);
}

int64_t count_png_sequence(const fs::path& folder) {
  int64_t count = 0;
  std::error_code error;
  for (;; ++count) {
    const auto bytes = fs::file_size(folder / png_name(count), error);
    if (error || bytes == 0) {
      return count;
    }
  }
}

bool holds_png(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".png") {
      return true;
    }
  }
  return false;
}

std::unique_ptr<ImageSink> make_npz_sink(const fs::path& target, const std::string& provenance_json) {
  return std::make_unique<NpzSink>(target, provenance_json);
}

}  // namespace ddpm_eval::data
