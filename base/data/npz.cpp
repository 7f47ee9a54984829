#include "base/data/npz.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/npy.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr std::string_view kSuffix = ".npy";
constexpr uint64_t kMaxTextBytes = 16 << 20;

}  // namespace

NpzReader::NpzReader(const std::filesystem::path& path) : path_(path), zip_(path, ".npz archive") {
  for (const std::string_view name : zip_.names()) {
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) {
      names_.emplace_back(name.substr(0, name.size() - kSuffix.size()));
    }
  }
}

bool NpzReader::contains(std::string_view key) const {
  return std::find(names_.begin(), names_.end(), key) != names_.end();
}

std::unique_ptr<ByteStream> NpzReader::open_member(const std::string& member) const {
  const auto index = zip_.find(member);
  if (!index) {
    throw DataError("{}: {}: the archive is damaged: no such member", path_.string(), member);
  }
  return zip_.open(*index);
}

std::unique_ptr<ByteStream> NpzReader::open(std::string_view key) const {
  if (!contains(key)) {
    throw DataError("{}: has no array '{}'; it holds {}", path_.string(), key,
                    names_.empty() ? "no array" : core::join_or(names_));
  }
  return open_member(std::string(key).append(kSuffix));
}

at::Tensor NpzReader::read(std::string_view key, uint64_t max_bytes) const {
  const auto stream = open(key);
  if (stream->remaining() > max_bytes) {
    throw DataError("{}: {} bytes, more than the {} that are read into memory", stream->origin(),
                    stream->remaining(), max_bytes);
  }
  return read_npy(*stream);
}

bool NpzReader::has_member(const std::string& member) const { return zip_.find(member).has_value(); }

std::string NpzReader::read_text(const std::string& member) const {
  if (!has_member(member)) {
    return {};
  }
  const auto stream = open_member(member);
  if (stream->remaining() > kMaxTextBytes) {
    throw DataError("{}: {} bytes are too many for a text", stream->origin(), stream->remaining());
  }
  std::string text(stream->remaining(), '\0');
  stream->read(text.data(), text.size());
  return text;
}

void add_array(ZipWriter& zip, const std::string& name, const at::Tensor& array) {
  const at::Tensor plain = array.detach().cpu().contiguous();
  zip.begin(name + std::string(kSuffix));
  const std::string header = npy_header(plain.scalar_type(), plain.sizes());
  zip.write(header.data(), header.size());
  zip.write(plain.data_ptr(), plain.nbytes());
  zip.end();
}

void write_npz(const std::filesystem::path& target, const tensor::NamedTensors& arrays,
               const std::vector<TextMember>& texts) {
  ZipWriter zip(target);
  for (const auto& [name, array] : arrays) {
    add_array(zip, name, array);
  }
  for (const auto& [name, text] : texts) {
    zip.add(name, text);
  }
  zip.commit();
}

}  // namespace ddpm_eval::data
