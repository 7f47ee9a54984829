#include "base/data/zip_archive.h"

#include "base/core/error.h"

#include <algorithm>

#include <zip.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr uint64_t kMaxMembers = 1 << 22;

/// One member being read.
class MemberStream final : public ByteStream {
 public:
  MemberStream(zip_file_t* file, uint64_t size, std::string origin)
      : file_(file), remaining_(size), origin_(std::move(origin)) {
    if (remaining_ == 0) {
      check_end();
    }
  }
  ~MemberStream() override { ::zip_fclose(file_); }
  MemberStream(const MemberStream&) = delete;
  MemberStream& operator=(const MemberStream&) = delete;

  void read(void* out, size_t count) override {
    if (count > remaining_) {
      throw DataError("{}: is cut short", origin_);
    }
    auto* bytes = static_cast<char*>(out);
    while (count > 0) {
      const zip_int64_t got = ::zip_fread(file_, bytes, count);
      if (got <= 0) {
        throw DataError("{}: the archive is damaged: {}", origin_,
                        got < 0 ? ::zip_file_strerror(file_) : "the member ends early");
      }
      bytes += got;
      count -= static_cast<size_t>(got);
      remaining_ -= static_cast<uint64_t>(got);
      if (remaining_ == 0) {
        check_end();
      }
    }
  }
  uint64_t remaining() const override { return remaining_; }
  const std::string& origin() const override { return origin_; }

 private:
  /// libzip compares the CRC when asked for a byte beyond the last one.
  void check_end() {
    char beyond = 0;
    const zip_int64_t got = ::zip_fread(file_, &beyond, 1);
    if (got != 0) {
      throw DataError("{}: the archive is damaged: {}", origin_,
                      got < 0 ? ::zip_file_strerror(file_) : "the member is longer than stated");
    }
  }

  zip_file_t* file_;
  uint64_t remaining_;
  std::string origin_;
};

uint32_t little_endian(const std::string& bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = count; i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
  }
  return value;
}

/// How many bytes stand before the archive, as a program that unpacks it does, where offsets do not count
/// them; 0 if none, or if that cannot be told (zip64).
uint64_t bytes_before_archive(FileStream& file) {
  constexpr uint64_t kEndRecord = 22, kLongestComment = 0xffff;
  const uint64_t tail = std::min(file.size(), kEndRecord + kLongestComment);
  std::string bytes(tail, '\0');
  file.seek(file.size() - tail);
  file.read(bytes.data(), bytes.size());
  const size_t end = bytes.rfind("PK\x05\x06");
  if (end == std::string::npos || bytes.size() - end < kEndRecord) {
    return 0;
  }
  const uint64_t named = uint64_t{little_endian(bytes, end + 12, 4)} + little_endian(bytes, end + 16, 4);
  const uint64_t place = file.size() - tail + end;  // where the directory, which it follows, should end
  return named < place ? place - named : 0;
}

zip_t* open_zip(const std::filesystem::path& path, FileStream& file, zip_error_t& error) {
  int code = 0;
  if (zip_t* zip = ::zip_open(path.c_str(), ZIP_RDONLY, &code); zip != nullptr) {
    return zip;
  }
  ::zip_error_init_with_code(&error, code);
  const uint64_t before = code == ZIP_ER_NOZIP || code == ZIP_ER_INCONS ? bytes_before_archive(file) : 0;
  if (before == 0) {
    return nullptr;
  }
  zip_source_t* source = ::zip_source_file_create(path.c_str(), before, -1, nullptr);
  zip_t* zip = source == nullptr ? nullptr : ::zip_open_from_source(source, ZIP_RDONLY, nullptr);
  if (zip == nullptr && source != nullptr) {
    ::zip_source_free(source);
  }
  return zip;
}

}  // namespace

struct ZipArchive::Archive {
  zip_t* zip = nullptr;
  uint64_t file_bytes = 0;
  ~Archive() {
    if (zip != nullptr) {
      ::zip_discard(zip);
    }
  }
};

ZipArchive::ZipArchive(const std::filesystem::path& path, std::string_view kind)
    : path_(path), archive_(std::make_unique<Archive>()) {
  FileStream file(path);
  archive_->file_bytes = file.size();
  zip_error_t error{};
  archive_->zip = open_zip(path, file, error);
  if (archive_->zip == nullptr) {
    const int code = ::zip_error_code_zip(&error);
    const std::string reason = ::zip_error_strerror(&error);
    ::zip_error_fini(&error);
    // What makes a file a zip archive stands at its end.
    throw DataError("{}: is not a readable {} ({}){}", path.string(), kind, reason,
                    code == ZIP_ER_NOZIP ? "; it may be cut short" : "");
  }
  const zip_int64_t count = ::zip_get_num_entries(archive_->zip, 0);
  if (count < 0 || static_cast<uint64_t>(count) > kMaxMembers) {
    throw DataError("{}: {} members are too many for a {}", path.string(), count, kind);
  }
  for (zip_int64_t i = 0; i < count; ++i) {
    // Raw: libzip would turn bytes that are no UTF-8 into other names than the files had in their folder.
    const char* name = ::zip_get_name(archive_->zip, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    names_.emplace_back(name != nullptr ? name : "");
  }
}

ZipArchive::~ZipArchive() = default;

std::optional<uint64_t> ZipArchive::find(const std::string& member) const {
  const zip_int64_t index = ::zip_name_locate(archive_->zip, member.c_str(), ZIP_FL_ENC_RAW);
  return index < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(index));
}

std::unique_ptr<ByteStream> ZipArchive::open(uint64_t index) const {
  zip_t* zip = archive_->zip;
  const std::string origin = path_.string() + ": " + names_.at(index);
  zip_stat_t status;
  ::zip_stat_init(&status);
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (::zip_stat_index(zip, index, 0, &status) != 0 || (status.valid & kNeeded) != kNeeded) {
    throw DataError("{}: the archive is damaged: {}", origin, ::zip_strerror(zip));
  }
  if (status.encryption_method != ZIP_EM_NONE) {
    throw DataError("{}: is encrypted, and encrypted archives are not read", origin);
  }
  if (status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) {
    throw DataError("{}: is compressed by zip's method {}; only stored and deflated members are read", origin,
                    status.comp_method);
  }
  const uint64_t factor = status.comp_method == ZIP_CM_STORE ? 1 : kDeflateLimit;
  if (status.comp_size > archive_->file_bytes || status.size / factor > status.comp_size) {
    throw DataError("{}: the archive is damaged: {} bytes in {} cannot be", origin, status.size,
                    status.comp_size);
  }
  zip_file_t* file = ::zip_fopen_index(zip, index, 0);
  if (file == nullptr) {
    throw DataError("{}: cannot be read: {}", origin, ::zip_strerror(zip));
  }
  return std::make_unique<MemberStream>(file, status.size, origin);
}

}  // namespace ddpm_eval::data
