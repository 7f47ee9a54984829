#include "base/data/idx_format.h"

#include "base/core/error.h"

#include <algorithm>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr uint64_t kMaxPayloadBytes = uint64_t{1} << 31;
constexpr int64_t kMaxSide = 4096;

}  // namespace

IdxHeader read_idx_header(GzReader& reader, IdxKind kind) {
  IdxHeader header;
  const auto next = [&] {
    std::array<uint8_t, 4> raw{};
    reader.read_exactly(raw.data(), raw.size());
    header.header.insert(header.header.end(), raw.begin(), raw.end());
    return uint32_t{raw[0]} << 24 | uint32_t{raw[1]} << 16 | uint32_t{raw[2]} << 8 | raw[3];
  };
  const uint32_t dimensions = kind == IdxKind::kImages ? 3 : 1;
  const uint32_t magic = next(), want = 0x800 + dimensions;
  if (magic != want) {
    throw DataError("{}: begins with {:#x}, where an IDX file of {} has {:#x}", reader.path(), magic,
                    kind == IdxKind::kImages ? "images" : "labels", want);
  }
  header.payload_bytes = 1;  // at most 2^32 x 4096 x 4096: no overflow
  for (uint32_t i = 0; i < dimensions; ++i) {
    const int64_t size = next();
    if (size == 0 || (i > 0 && size > kMaxSide)) {
      throw DataError("{}: a size of {} is not possible", reader.path(), size);
    }
    header.shape.push_back(size);
    header.payload_bytes *= static_cast<uint64_t>(size);
  }
  if (header.payload_bytes > std::min(reader.at_most(), kMaxPayloadBytes)) {
    throw DataError("{}: is cut short: its header asks for {} bytes", reader.path(), header.payload_bytes);
  }
  return header;
}

void check_idx_labels(const std::string& path, std::span<const uint8_t> labels) {
  const auto wrong =
      std::find_if(labels.begin(), labels.end(), [](uint8_t label) { return label >= kIdxClasses; });
  if (wrong != labels.end()) {
    throw DataError("{}: a label of {}, where 0 to 9 are possible", path, *wrong);
  }
}

}  // namespace ddpm_eval::data
