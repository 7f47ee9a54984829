#include "base/data/zip_archive.h"

#include "base/core/error.h"
#include "base/data/zip_extent.h"
#include "base/data/zip_window.h"

#include <optional>
#include <utility>

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

/// In libzip's words, or where those are of the system, whose last error may be of anything, in ours.
std::string reason_of(zip_error_t& error) {
  if (::zip_error_system_type(&error) == ZIP_ET_SYS || ::zip_error_code_zip(&error) == ZIP_ER_INVAL) {
    return "its directory leads out of the file";
  }
  return ::zip_error_strerror(&error);
}

}  // namespace

struct ZipArchive::Archive {
  explicit Archive(const std::filesystem::path& path) : file(path) {}
  ~Archive() {
    if (zip != nullptr) {
      ::zip_discard(zip);
    }
  }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  FileStream file;
  std::optional<ZipWindow> window;
  zip_t* zip = nullptr;
};

ZipArchive::ZipArchive(const std::filesystem::path& path, std::string_view kind)
    : path_(path), archive_(std::make_unique<Archive>(path)) {
  auto extent = find_zip(archive_->file);
  if (!extent.problem.empty()) {
    // What makes a file a zip archive stands at its end.
    throw DataError("{}: is not a readable {} ({}); it may be cut short", path.string(), kind,
                    extent.problem);
  }
  auto& window = archive_->window.emplace(archive_->file, std::move(extent));
  zip_error_t error;
  ::zip_error_init(&error);
  zip_source_t* source = window.source();
  DDPM_CHECK(source != nullptr, "libzip cannot start");
  archive_->zip = ::zip_open_from_source(source, ZIP_RDONLY, &error);
  if (archive_->zip == nullptr) {
    ::zip_source_free(source);
    const std::string reason = reason_of(error);
    ::zip_error_fini(&error);
    throw window.failure() ? *window.failure()
                           : DataError("{}: is not a readable {} ({})", path.string(), kind, reason);
  }
  window.reveal();
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
  if (status.comp_size > archive_->file.size() || status.size / factor > status.comp_size) {
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
