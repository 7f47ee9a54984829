#include "base/data/zip_extent.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

namespace ddpm_eval::data {
namespace {

// PKWARE's APPNOTE, 4.3.12 to 4.3.16.
constexpr uint64_t kEndRecord = 22, kLongestComment = 0xffff;
constexpr uint64_t kDirectoryEntry = 46;  // without its name
constexpr uint64_t kLocator64 = 20, kEndRecord64 = 56;
constexpr std::string_view kEndMark = "PK\x05\x06", kEndMark64 = "PK\x06\x06", kLocatorMark64 = "PK\x06\x07",
                           kDirectoryMark = "PK\x01\x02";
/// Beyond what libzip looks through for end records.
constexpr uint64_t kTail = 3 * (kEndRecord + kLongestComment);

std::string bytes_at(FileStream& file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > file.size() - offset) {
    return {};
  }
  std::string bytes(count, '\0');
  file.seek(offset);
  file.read(bytes.data(), bytes.size());
  return bytes;
}

uint64_t little_endian(std::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  }
  return value;
}

struct ZipDirectory {
  uint64_t entries = 0;
  uint64_t bytes = 0;
  uint64_t offset = 0;  ///< from the archive's begin
  uint64_t end = 0;     ///< in the file: of the record that follows it
};

/// The end record of zip64 that the locator before `end_record` leads to; nothing where there is no locator.
std::optional<ZipDirectory> zip64_directory(FileStream& file, uint64_t end_record, std::string& problem) {
  const auto locator =
      end_record < kLocator64 ? std::string() : bytes_at(file, end_record - kLocator64, kLocator64);
  if (!locator.starts_with(kLocatorMark64)) {
    return std::nullopt;
  }
  // Directly before the locator, wherever the archive begins; else, after more fields than are known, where
  // the locator says.
  const uint64_t behind = end_record - kLocator64;
  for (const uint64_t place :
       {behind < kEndRecord64 ? file.size() : behind - kEndRecord64, little_endian(locator, 8, 8)}) {
    const auto record = bytes_at(file, place, kEndRecord64);
    if (record.starts_with(kEndMark64) && place < behind) {
      return ZipDirectory{little_endian(record, 32, 8), little_endian(record, 40, 8),
                          little_endian(record, 48, 8), place};
    }
  }
  problem = "its zip64 end record is not where its locator says";
  return std::nullopt;
}

/// The archive whose end record is at `end_record`.
ZipExtent extent_of(FileStream& file, uint64_t end_record) {
  ZipExtent extent;
  const auto record = bytes_at(file, end_record, kEndRecord);
  if (record.empty()) {
    extent.problem = "its end record is cut short";
    return extent;
  }
  extent.end = end_record + std::min(kEndRecord + little_endian(record, 20, 2), file.size() - end_record);
  ZipDirectory directory{little_endian(record, 10, 2), little_endian(record, 12, 4),
                         little_endian(record, 16, 4), end_record};
  if (const auto larger = zip64_directory(file, end_record, extent.problem)) {
    directory = *larger;
  }
  if (!extent.problem.empty()) {
    return extent;
  }
  if (directory.entries == 0 && directory.bytes == 0) {
    extent.begin = directory.end - std::min(directory.offset, directory.end);
    return extent;
  }
  // Before the end record, where the offset may count from anywhere, or else at the offset in the file.
  for (const uint64_t place : {directory.end - std::min(directory.bytes, directory.end), directory.offset}) {
    if (place < directory.end && directory.entries <= directory.bytes / kDirectoryEntry &&
        directory.bytes <= directory.end - place && place >= directory.offset &&
        bytes_at(file, place, kDirectoryMark.size()) == kDirectoryMark) {
      extent.begin = place - directory.offset;
      return extent;
    }
  }
  extent.problem = "its directory is not what its end record says";
  return extent;
}

}  // namespace

ZipExtent find_zip(FileStream& file) {
  const uint64_t tail_begin = file.size() - std::min(file.size(), kTail);
  const auto tail = bytes_at(file, tail_begin, file.size() - tail_begin);
  std::vector<uint64_t> marks;
  for (size_t at = tail.find(kEndMark); at != std::string::npos; at = tail.find(kEndMark, at + 1)) {
    marks.push_back(tail_begin + at);
  }
  ZipExtent found{.problem = "it has no end record"};
  for (auto mark = marks.rbegin(); mark != marks.rend(); ++mark) {
    if (file.size() - *mark > kEndRecord + kLongestComment) {
      break;
    }
    auto extent = extent_of(file, *mark);
    const bool is_first = mark == marks.rbegin();
    if (extent.problem.empty() && (is_first || extent.end == file.size())) {
      marks.erase(std::next(mark).base());
      extent.others = std::move(marks);
      return extent;
    }
    if (is_first) {
      found = extent;
    }
  }
  return found;
}

}  // namespace ddpm_eval::data
