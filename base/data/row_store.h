#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// The rows of a matrix, gathered batch by batch and read in blocks: in memory as long as they are few, then
/// in a temporary file without a name, which goes with the process however that ends. Memory does not grow
/// with their number, nor does adding rows wait for a GPU batch by batch.
class RowStore {
 public:
  static constexpr int64_t kInMemory = 32 << 20;

  RowStore() = default;
  /// Up to `in_memory` bytes are held before the file in `folder` is begun, and between writing to it. An
  /// empty `folder` is the system's, which TMPDIR sets.
  explicit RowStore(int64_t in_memory, std::filesystem::path folder = {});
  ~RowStore();
  RowStore(RowStore&& other) noexcept;
  RowStore& operator=(RowStore&& other) noexcept;
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  /// Takes a copy of float32 [n, columns], n >= 1, on any device; columns as the first time. Throws
  /// ResourceError, naming the folder, where the file cannot be written.
  void add(const at::Tensor& rows);

  int64_t count() const { return count_; }
  int64_t columns() const { return columns_; }

  /// Rows [begin, begin + count) as float32 [count, columns] on the CPU, in the order they were added. Throws
  /// ResourceError where the file cannot be read.
  at::Tensor read(int64_t begin, int64_t count) const;

  /// The rows of these numbers in this order, float32 [n, columns] on the CPU. Throws as read().
  at::Tensor gather(std::span<const int64_t> rows) const;

  /// All rows, in memory.
  at::Tensor read_all() const { return read(0, count_); }

 private:
  void write_pending();
  void read_into(at::Tensor& into, int64_t begin) const;
  int64_t row_bytes() const { return columns_ * static_cast<int64_t>(sizeof(float)); }

  int64_t in_memory_ = kInMemory;
  std::filesystem::path folder_;
  int64_t columns_ = 0;
  int64_t count_ = 0;
  int64_t written_ = 0;              ///< rows in the file, the first ones
  std::vector<at::Tensor> pending_;  ///< the others
  int64_t pending_rows_ = 0;
  int descriptor_ = -1;
};

}  // namespace ddpm_eval::data
