#include "base/data/row_store.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <torch/types.h>
#include <unistd.h>

namespace ddpm_eval::data {
namespace {

[[noreturn]] void fail_store(const std::filesystem::path& folder, const char* what, int error) {
  throw core::ResourceError(
      "{}: a temporary file for the network's outputs cannot be {}: {}; set TMPDIR to a folder with room",
      folder.string(), what, std::strerror(error));
}

int open_unnamed(const std::filesystem::path& folder) {
  std::string name = (folder / "ddpm-eval-rows-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) {
    fail_store(folder, "made", errno);
  }
  ::unlink(name.c_str());
  return descriptor;
}

/// The transfer of `bytes` by `step`, which may do less at a time; false, with errno, if it fails.
template <class Step>
bool transfer_all(int64_t bytes, const Step& step) {
  for (int64_t done = 0; done < bytes;) {
    const ssize_t part = step(done, bytes - done);
    if (part < 0 && errno == EINTR) {
      continue;
    }
    if (part <= 0) {
      errno = part == 0 ? EIO : errno;
      return false;
    }
    done += part;
  }
  return true;
}

}  // namespace

RowStore::RowStore(int64_t in_memory, std::filesystem::path folder)
    : in_memory_(in_memory), folder_(std::move(folder)) {}

RowStore::~RowStore() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

RowStore::RowStore(RowStore&& other) noexcept { *this = std::move(other); }

RowStore& RowStore::operator=(RowStore&& other) noexcept {
  std::swap(in_memory_, other.in_memory_);
  std::swap(folder_, other.folder_);
  std::swap(columns_, other.columns_);
  std::swap(count_, other.count_);
  std::swap(written_, other.written_);
  std::swap(pending_, other.pending_);
  std::swap(pending_rows_, other.pending_rows_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void RowStore::add(const at::Tensor& rows) {
  tensor::expect(rows, at::kFloat, {-1, count_ == 0 ? -1 : columns_}, "rows");
  DDPM_CHECK(rows.size(0) >= 1 && rows.size(1) >= 1, "no rows");
  columns_ = rows.size(1);
  pending_.push_back(rows.clone(at::MemoryFormat::Contiguous));
  pending_rows_ += rows.size(0);
  count_ += rows.size(0);
  if (pending_rows_ * row_bytes() > in_memory_) {
    write_pending();
  }
}

void RowStore::write_pending() {
  if (descriptor_ < 0) {
    std::error_code error;
    folder_ = folder_.empty() ? std::filesystem::temp_directory_path(error) : folder_;
    if (error) {
      throw core::ResourceError("TMPDIR: {}; set it to a folder with room", error.message());
    }
    descriptor_ = open_unnamed(folder_);
  }
  for (const auto& rows : pending_) {
    const auto block = rows.cpu();
    const auto* bytes = static_cast<const char*>(block.data_ptr());
    const int64_t place = written_ * row_bytes();
    if (!transfer_all(block.size(0) * row_bytes(), [&](int64_t done, int64_t left) {
          return ::pwrite(descriptor_, bytes + done, static_cast<size_t>(left), place + done);
        })) {
      fail_store(folder_, "written", errno);
    }
    written_ += block.size(0);
  }
  pending_.clear();
  pending_rows_ = 0;
}

/// Fills float32 [count, columns] with the rows from `begin` on.
void RowStore::read_into(at::Tensor& into, int64_t begin) const {
  const int64_t count = into.size(0);
  DDPM_CHECK(begin >= 0 && begin + count <= count_, "rows {} to {} of {}", begin, begin + count, count_);
  const int64_t from_file = std::clamp<int64_t>(written_ - begin, 0, count);
  auto* bytes = static_cast<char*>(into.data_ptr());
  const int64_t place = begin * row_bytes();
  if (!transfer_all(from_file * row_bytes(), [&](int64_t done, int64_t left) {
        return ::pread(descriptor_, bytes + done, static_cast<size_t>(left), place + done);
      })) {
    fail_store(folder_, "read", errno);
  }
  int64_t row = written_;
  for (const auto& rows : pending_) {
    const int64_t first = std::max(begin, row);
    const int64_t last = std::min(begin + count, row + rows.size(0));
    if (first < last) {
      into.narrow(0, first - begin, last - first).copy_(rows.narrow(0, first - row, last - first));
    }
    row += rows.size(0);
  }
}

at::Tensor RowStore::read(int64_t begin, int64_t count) const {
  auto into = torch::empty({count, columns_}, at::kFloat);
  read_into(into, begin);
  return into;
}

at::Tensor RowStore::gather(std::span<const int64_t> rows) const {
  auto into = torch::empty({static_cast<int64_t>(rows.size()), columns_}, at::kFloat);
  for (size_t i = 0; i < rows.size(); ++i) {
    auto row = into.narrow(0, static_cast<int64_t>(i), 1);
    read_into(row, rows[i]);
  }
  return into;
}

}  // namespace ddpm_eval::data
