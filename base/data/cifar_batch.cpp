#include "base/data/cifar_batch.h"

#include "base/core/error.h"
#include "base/data/cifar10_format.h"
#include "base/data/pickle.h"

#include <array>
#include <cstring>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using Kind = PickleValue::Kind;

constexpr int64_t kPixels = 3 * kCifar10Plane;

/// A copy of bytes as uint8 of `shape`.
at::Tensor copied(std::span<const char> bytes, const std::vector<int64_t>& shape) {
  at::Tensor array = torch::empty(shape, torch::kUInt8);
  std::memcpy(array.data_ptr(), bytes.data(), bytes.size());
  return array;
}

/// Of rows of pixels [n, 3072].
at::Tensor as_images(const at::Tensor& rows) {
  return rows.reshape({rows.size(0), 3, kCifar10Side, kCifar10Side}).contiguous();
}

void require_label(int64_t label, int64_t record, int64_t classes, const std::string& origin) {
  if (label < 0 || label >= classes) {
    throw DataError("{}: label {} in record {}, where 0 to {} are possible; the file is damaged", origin,
                    label, record, classes - 1);
  }
}

/// Walks a batch's tree, which may be of any form.
class BatchReader {
 public:
  BatchReader(PickleRef root, const std::string& origin) : root_(root), origin_(origin) {
    require(root->kind == Kind::kDict, "it is no dict");
  }

  /// uint8 [n, 3072].
  at::Tensor rows() const {
    PickleRef array = field("data");
    require(array->kind == Kind::kCall && array->items[0]->text.ends_with(" _reconstruct") &&
                array->items.size() == 3 && array->items[2]->kind == Kind::kTuple &&
                array->items[2]->items.size() == 5,
            "its 'data' is no NumPy array");
    const auto& state = array->items[2]->items;  // version, shape, dtype, Fortran order, bytes
    require(state[1]->kind == Kind::kTuple && state[1]->items.size() == 2 && is_size(state[1]->items[0]) &&
                is_size(state[1]->items[1]) && state[1]->items[1]->integer == kPixels,
            "its 'data' is not of shape [n, 3072]");
    require(is_bytes_type(state[2]), "its 'data' is not uint8");
    require(state[3]->kind == Kind::kBool && is_text(state[4]), "its 'data' is no NumPy array");
    const int64_t count = state[1]->items[0]->integer;
    const auto bytes = state[4]->text;
    require(count > 0 && bytes.size() % kPixels == 0 && count == static_cast<int64_t>(bytes.size() / kPixels),
            "its 'data' has another number of bytes than its shape says");
    const bool by_columns = state[3]->integer != 0;
    const auto shape =
        by_columns ? std::vector<int64_t>{kPixels, count} : std::vector<int64_t>{count, kPixels};
    const at::Tensor array_u8 = copied(bytes, shape);
    return by_columns ? array_u8.t() : array_u8;
  }

  at::Tensor labels(const char* key, int64_t count, int64_t classes) const {
    PickleRef list = field(key);
    if (list->kind != Kind::kList || static_cast<int64_t>(list->items.size()) != count) {
      refuse(fmt::format("its '{}' are no list of a label for each of its {} images", key, count));
    }
    at::Tensor labels = torch::empty({count}, torch::kInt64);
    auto* values = labels.data_ptr<int64_t>();
    for (int64_t i = 0; i < count; ++i) {
      PickleRef label = list->items[static_cast<size_t>(i)];
      if (label->kind != Kind::kInteger || !label->text.empty()) {
        refuse(fmt::format("its '{}' are no integers", key));
      }
      require_label(label->integer, i, classes, origin_);
      values[i] = label->integer;
    }
    return labels;
  }

 private:
  [[noreturn]] void refuse(const std::string& problem) const {
    throw DataError("{}: is no batch of CIFAR: {}", origin_, problem);
  }
  void require(bool condition, const char* problem) const {
    if (!condition) {
      refuse(problem);
    }
  }

  static bool is_text(PickleRef value) { return value->kind == Kind::kString || value->kind == Kind::kBytes; }
  static bool is_size(PickleRef value) {
    return value->kind == Kind::kInteger && value->text.empty() && value->integer >= 0;
  }
  /// numpy.dtype('u1', ...)
  static bool is_bytes_type(PickleRef type) {
    return type->kind == Kind::kCall && type->items[0]->text == "numpy dtype" &&
           !type->items[1]->items.empty() && is_text(type->items[1]->items[0]) &&
           type->items[1]->items[0]->text == "u1";
  }

  PickleRef field(std::string_view key) const {
    for (size_t i = 0; i < root_->items.size(); i += 2) {
      if (is_text(root_->items[i]) && root_->items[i]->text == key) {
        return root_->items[i + 1];
      }
    }
    refuse(fmt::format("it has no '{}'", key));
  }

  PickleRef root_;
  const std::string& origin_;
};

}  // namespace

CifarBatch parse_cifar_binary(std::span<const char> bytes, const std::string& origin, int64_t classes) {
  const int64_t label_bytes = classes == kCifar10Classes ? 1 : 2;
  const int64_t record = label_bytes + kPixels;
  const auto size = static_cast<int64_t>(bytes.size());
  if (size == 0 || size % record != 0) {
    throw DataError("{}: {} bytes are no whole number of records of {}; the file is cut short", origin, size,
                    record);
  }
  const at::Tensor records = copied(bytes, {size / record, record});
  CifarBatch batch;
  batch.labels = records.select(1, label_bytes - 1).to(torch::kInt64);
  for (int64_t i = 0; i < size / record; ++i) {
    require_label(static_cast<uint8_t>(bytes[static_cast<size_t>(i * record + label_bytes - 1)]), i, classes,
                  origin);
  }
  batch.images_u8 = as_images(records.narrow(1, label_bytes, kPixels));
  return batch;
}

CifarBatch parse_cifar_pickle(std::span<const char> bytes, const std::string& origin, int64_t classes) {
  static constexpr std::array<std::string_view, 4> kNumpy = {"numpy.core.multiarray _reconstruct",
                                                             "numpy._core.multiarray _reconstruct",
                                                             "numpy ndarray", "numpy dtype"};
  const Pickle pickle(bytes, {.origin = origin, .globals = kNumpy, .what = "the batches of CIFAR"});
  const BatchReader reader(pickle.root(), origin);
  const at::Tensor rows = reader.rows();
  CifarBatch batch;
  batch.labels = reader.labels(classes == kCifar10Classes ? "labels" : "fine_labels", rows.size(0), classes);
  batch.images_u8 = as_images(rows);
  return batch;
}

}  // namespace ddpm_eval::data
