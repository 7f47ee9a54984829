#include "base/data/npz.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/npy.h"
#include "base/data/zip_writer.h"

#include <torch/types.h>
#include <zip.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr std::string_view kSuffix = ".npy";
constexpr uint64_t kMaxTextBytes = 16 << 20;
constexpr uint64_t kMaxMembers = 1 << 20;
constexpr uint64_t kNpzDeflateLimit = 1032;  // no deflate stream grows by more than this factor

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

}  // namespace

struct NpzReader::Archive {
  zip_t* zip = nullptr;
  uint64_t file_bytes = 0;
  ~Archive() {
    if (zip != nullptr) {
      ::zip_discard(zip);
    }
  }
};

NpzReader::NpzReader(const std::filesystem::path& path) : path_(path), archive_(std::make_unique<Archive>()) {
  archive_->file_bytes = FileStream(path).size();
  int code = 0;
  archive_->zip = ::zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive_->zip == nullptr) {
    zip_error_t error;
    ::zip_error_init_with_code(&error, code);
    const std::string reason = ::zip_error_strerror(&error);
    ::zip_error_fini(&error);
    throw DataError("{}: is not a readable .npz archive ({}); it may be cut short", path.string(), reason);
  }
  const zip_int64_t count = ::zip_get_num_entries(archive_->zip, 0);
  if (count < 0 || static_cast<uint64_t>(count) > kMaxMembers) {
    throw DataError("{}: {} members are too many for an .npz archive", path.string(), count);
  }
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* raw = ::zip_get_name(archive_->zip, static_cast<zip_uint64_t>(i), 0);
    const std::string_view name = raw != nullptr ? raw : "";
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) {
      names_.emplace_back(name.substr(0, name.size() - kSuffix.size()));
    }
  }
}

NpzReader::~NpzReader() = default;

bool NpzReader::contains(std::string_view key) const {
  return std::find(names_.begin(), names_.end(), key) != names_.end();
}

std::unique_ptr<ByteStream> NpzReader::open_member(const std::string& member) const {
  zip_t* zip = archive_->zip;
  const std::string origin = path_.string() + ": " + member;
  const zip_int64_t index = ::zip_name_locate(zip, member.c_str(), 0);
  zip_stat_t status;
  ::zip_stat_init(&status);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if (index < 0 || ::zip_stat_index(zip, static_cast<zip_uint64_t>(index), 0, &status) != 0 ||
      (status.valid & kNeeded) != kNeeded) {
    throw DataError("{}: the archive is damaged: {}", origin, ::zip_strerror(zip));
  }
  const uint64_t factor = status.comp_method == ZIP_CM_STORE ? 1 : kNpzDeflateLimit;
  if (status.comp_size > archive_->file_bytes || status.size / factor > status.comp_size) {
    throw DataError("{}: the archive is damaged: {} bytes in {} cannot be", origin, status.size,
                    status.comp_size);
  }
  zip_file_t* file = ::zip_fopen_index(zip, static_cast<zip_uint64_t>(index), 0);
  if (file == nullptr) {
    throw DataError("{}: cannot be read: {}", origin, ::zip_strerror(zip));
  }
  return std::make_unique<MemberStream>(file, status.size, origin);
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

bool NpzReader::has_member(const std::string& member) const {
  return ::zip_name_locate(archive_->zip, member.c_str(), 0) >= 0;
}

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

void write_npz(const std::filesystem::path& target, const tensor::NamedTensors& arrays,
               const std::vector<TextMember>& texts) {
  ZipWriter zip(target);
  for (const auto& [name, array] : arrays) {
    const at::Tensor plain = array.detach().cpu().contiguous();
    zip.begin(name + std::string(kSuffix));
    const std::string header = npy_header(plain.scalar_type(), plain.sizes());
    zip.write(header.data(), header.size());
    zip.write(plain.data_ptr(), plain.nbytes());
    zip.end();
  }
  for (const auto& [name, text] : texts) {
    zip.add(name, text);
  }
  zip.commit();
}

}  // namespace ddpm_eval::data
