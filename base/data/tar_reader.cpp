#include "base/data/tar_reader.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/byte_stream.h"
#include "base/data/gz_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <exception>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr uint64_t kBlock = 512;
constexpr size_t kPlainBuffer = 1 << 16, kGzipBuffer = 1 << 17;

struct ReadDeleter {
  void operator()(struct archive* handle) const { archive_read_free(handle); }
};

/// In the "C" locale libarchive could not give names that an archive has as UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : before_(::uselocale(utf8())) {}
  ~Utf8Locale() { ::uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    DDPM_CHECK(locale != nullptr, "there is no locale C.UTF-8");
    return locale;
  }
  locale_t before_;
};

bool begins_as_gzip(FileStream& file) {
  std::array<unsigned char, 2> start{};
  if (file.size() < start.size()) {
    return false;
  }
  file.read(start.data(), start.size());
  return start[0] == 0x1f && start[1] == 0x8b;
}

TarReader::Kind kind_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) {
    return TarReader::Kind::kHardLink;
  }
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return TarReader::Kind::kFile;
    case AE_IFDIR:
      return TarReader::Kind::kFolder;
    case AE_IFLNK:
      return TarReader::Kind::kSymbolicLink;
    default:
      return TarReader::Kind::kOther;
  }
}

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

struct TarReader::State {
  State(const std::filesystem::path& path, uint64_t position, uint64_t most)
      : name(path.string()), file(path), first(position), most_unpacked(most), handle(archive_read_new()) {
    DDPM_CHECK(handle != nullptr, "libarchive cannot start");
    if (begins_as_gzip(file)) {
      DDPM_CHECK(position == 0, "{} is gzip, which is read from its front", name);
      gz.emplace(path);
    }
    buffer.resize(gz ? kGzipBuffer : kPlainBuffer);
    file.seek(position);
    archive_read_support_format_tar(handle.get());
    expect(archive_read_open2(handle.get(), this, nullptr, &State::on_read, &State::on_skip, nullptr));
  }

  /// libarchive does not compare gzip's checksum, zlib does: so the bytes come through GzReader.
  static la_ssize_t on_read(struct archive* handle, void* self, const void** bytes) {
    auto& state = *static_cast<State*>(self);
    try {
      const size_t got = state.refill();
      *bytes = state.buffer.data();
      return static_cast<la_ssize_t>(got);
    } catch (...) {  // no exception may cross C code
      state.failure = std::current_exception();
      archive_set_error(handle, EIO, "unreadable");
      return ARCHIVE_FATAL;
    }
  }

  static la_int64_t on_skip(struct archive*, void* self, la_int64_t count) {
    auto& state = *static_cast<State*>(self);
    if (state.gz) {
      return 0;  // what is not skipped is read
    }
    const uint64_t skipped = std::min(static_cast<uint64_t>(count), state.file.remaining());
    state.file.seek(state.file.size() - state.file.remaining() + skipped);
    return static_cast<la_int64_t>(skipped);
  }

  size_t refill() {
    if (!gz) {
      const auto count = static_cast<size_t>(std::min<uint64_t>(buffer.size(), file.remaining()));
      file.read(buffer.data(), count);
      return count;
    }
    const size_t got = gz->read(buffer.data(), buffer.size());
    unpacked += got;
    if (unpacked > most_unpacked) {
      throw DataError("{}: unpacks to more than {} bytes", name, most_unpacked);
    }
    tail.append(buffer.data(), got);
    tail.erase(0, tail.size() - std::min<size_t>(tail.size(), kBlock));
    return got;
  }

  /// Warnings are about owners and odd names, which do not matter here.
  void expect(int64_t code) const {
    if (failure) {
      std::rethrow_exception(failure);
    }
    if (code < ARCHIVE_OK && code != ARCHIVE_WARN) {
      const char* reason = archive_error_string(handle.get());
      throw DataError("{}: damaged archive: {}", name, reason != nullptr ? reason : "unknown reason");
    }
  }

  std::string name;
  FileStream file;
  uint64_t first;
  uint64_t most_unpacked;
  std::optional<GzReader> gz;
  std::vector<char> buffer;
  std::string tail;  ///< of what a gzip archive has given
  uint64_t unpacked = 0;
  std::string entry_name;
  std::exception_ptr failure;
  std::unique_ptr<struct archive, ReadDeleter> handle;
};

TarReader::TarReader(const std::filesystem::path& path, uint64_t position, uint64_t most_unpacked)
    : state_(std::make_unique<State>(path, position, most_unpacked)) {}

TarReader::~TarReader() = default;

bool TarReader::is_gzip() const { return state_->gz.has_value(); }

std::optional<TarReader::Entry> TarReader::next() {
  const Utf8Locale names;
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(state_->handle.get(), &entry);
  if (code == ARCHIVE_EOF) {
    while (state_->gz && state_->refill() > 0) {
    }
    return std::nullopt;
  }
  state_->expect(code);
  const Kind kind = kind_of(entry);
  Entry found{
      .name = text_of(archive_entry_pathname(entry)),
      .kind = kind,
      .size = static_cast<uint64_t>(std::max<int64_t>(archive_entry_size(entry), 0)),
      .position = state_->first + static_cast<uint64_t>(archive_read_header_position(state_->handle.get()))};
  if (kind == Kind::kHardLink) {
    found.target = text_of(archive_entry_hardlink(entry));
  } else if (kind == Kind::kSymbolicLink) {
    found.target = text_of(archive_entry_symlink(entry));
  }
  state_->entry_name = found.name;
  return found;
}

void TarReader::read(void* into, uint64_t count) {
  auto* bytes = static_cast<char*>(into);
  while (count > 0) {
    const la_ssize_t got = archive_read_data(state_->handle.get(), bytes, count);
    state_->expect(got);
    if (got <= 0) {
      throw DataError("{}: '{}' is not as long as announced", state_->name,
                      core::printable(state_->entry_name));
    }
    bytes += got;
    count -= static_cast<uint64_t>(got);
  }
}

bool TarReader::has_end_mark() {
  std::string last = state_->tail;
  if (!state_->gz) {
    last.resize(std::min(kBlock, state_->file.size()));
    state_->file.seek(state_->file.size() - last.size());
    state_->file.read(last.data(), last.size());
  }
  return last.size() == kBlock && std::ranges::all_of(last, [](char byte) { return byte == '\0'; });
}

}  // namespace ddpm_eval::data
