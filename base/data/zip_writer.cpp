#include "base/data/zip_writer.h"

#include "base/core/error.h"

#include <zlib.h>

namespace ddpm_eval::data {
namespace {

constexpr uint32_t kUseZip64 = 0xFFFFFFFF;
constexpr uint16_t kZip64Version = 45;
constexpr uint16_t kUtf8Names = 1 << 11;
constexpr uint16_t kFirstDate = (1 << 5) | 1;  // 1 January 1980, the earliest a zip can say

/// Appends an integer in little-endian order.
template <class Integer>
void put(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i)));
  }
}

uint32_t crc_of(uint32_t crc, const void* bytes, size_t count) {
  return static_cast<uint32_t>(::crc32_z(crc, static_cast<const Bytef*>(bytes), count));
}

/// The fields that local and central headers share, from "version needed" to the length of the name.
void put_common(std::string& out, uint32_t crc, uint32_t size, size_t name_bytes) {
  put(out, kZip64Version);
  put(out, kUtf8Names);
  put(out, uint16_t{0});  // stored
  put(out, uint16_t{0});  // time
  put(out, kFirstDate);
  put(out, crc);
  put(out, size);  // compressed
  put(out, size);  // uncompressed
  put(out, static_cast<uint16_t>(name_bytes));
}

}  // namespace

std::string ZipWriter::local_header(const Member& member) const {
  std::string out;
  put(out, uint32_t{0x04034b50});
  put_common(out, member.crc, kUseZip64, member.name.size());
  put(out, uint16_t{20});
  out += member.name;
  put(out, uint16_t{1});  // the zip64 extra field, always: the size is not known beforehand
  put(out, uint16_t{16});
  put(out, member.size);
  put(out, member.size);
  return out;
}

std::string ZipWriter::central_header(const Member& member) const {
  const bool large = member.size >= kUseZip64 || member.offset >= kUseZip64;
  std::string out;
  put(out, uint32_t{0x02014b50});
  put(out, static_cast<uint16_t>((3 << 8) | kZip64Version));  // made on Unix
  put_common(out, member.crc, large ? kUseZip64 : static_cast<uint32_t>(member.size), member.name.size());
  put(out, static_cast<uint16_t>(large ? 28 : 0));
  put(out, uint16_t{0});               // comment
  put(out, uint16_t{0});               // disk
  put(out, uint16_t{0});               // internal attributes
  put(out, uint32_t{0100644u << 16});  // a plain file, readable by all
  put(out, large ? kUseZip64 : static_cast<uint32_t>(member.offset));
  out += member.name;
  if (large) {
    put(out, uint16_t{1});
    put(out, uint16_t{24});
    put(out, member.size);
    put(out, member.size);
    put(out, member.offset);
  }
  return out;
}

void ZipWriter::append(std::string_view bytes) {
  file_.write(bytes);
  position_ += bytes.size();
}

void ZipWriter::add(std::string_view name, std::string_view contents) {
  begin(name);
  write(contents.data(), contents.size());
  end();
}

void ZipWriter::begin(std::string_view name, std::string_view placeholder) {
  DDPM_CHECK(!open_ && !name.empty() && name.size() < 65536, "zip member '{}' cannot begin", name);
  open_ = true;
  members_.push_back({std::string(name), position_, 0, 0});
  append(local_header(members_.back()));
  append(placeholder);
  prefix_bytes_ = placeholder.size();
}

void ZipWriter::write(const void* bytes, size_t count) {
  DDPM_CHECK(open_, "no zip member has begun");
  if (count == 0) {
    return;  // and crc32(0 bytes at null) would start over
  }
  file_.write(bytes, count);
  position_ += count;
  members_.back().size += count;
  members_.back().crc = crc_of(members_.back().crc, bytes, count);
}

void ZipWriter::end(std::string_view prefix) {
  DDPM_CHECK(open_ && prefix.size() == prefix_bytes_, "{} bytes for a prefix of {}", prefix.size(),
             prefix_bytes_);
  Member& member = members_.back();
  member.crc = static_cast<uint32_t>(::crc32_combine(crc_of(0, prefix.data(), prefix.size()), member.crc,
                                                     static_cast<z_off_t>(member.size)));
  member.size += prefix.size();
  const std::string header = local_header(member);
  file_.overwrite(member.offset, header);
  file_.overwrite(member.offset + header.size(), prefix);
  open_ = false;
}

void ZipWriter::commit() {
  DDPM_CHECK(!open_, "a zip member has not ended");
  const uint64_t directory = position_;
  for (const auto& member : members_) {
    append(central_header(member));
  }
  const uint64_t directory_bytes = position_ - directory;
  const uint64_t end_record = position_;
  std::string out;
  put(out, uint32_t{0x06064b50});  // zip64 end of central directory
  put(out, uint64_t{44});
  put(out, kZip64Version);
  put(out, kZip64Version);
  put(out, uint32_t{0});
  put(out, uint32_t{0});
  put(out, static_cast<uint64_t>(members_.size()));
  put(out, static_cast<uint64_t>(members_.size()));
  put(out, directory_bytes);
  put(out, directory);
  put(out, uint32_t{0x07064b50});  // and where it is
  put(out, uint32_t{0});
  put(out, end_record);
  put(out, uint32_t{1});
  const bool small = directory < kUseZip64 && directory_bytes < kUseZip64 && members_.size() < 0xFFFF;
  if (small) {
    out.clear();
  }
  const auto count = static_cast<uint16_t>(small ? members_.size() : 0xFFFF);
  put(out, uint32_t{0x06054b50});  // end of central directory
  put(out, uint16_t{0});
  put(out, uint16_t{0});
  put(out, count);
  put(out, count);
  put(out, small ? static_cast<uint32_t>(directory_bytes) : kUseZip64);
  put(out, small ? static_cast<uint32_t>(directory) : kUseZip64);
  put(out, uint16_t{0});
  append(out);
  file_.commit();
}

}  // namespace ddpm_eval::data
