#include "base/data/torch_file.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "base/data/torch_state.h"

#include <cstring>

#include <zip.h>

namespace ddpm_eval::data {
namespace {

using Bytes = std::span<const char>;
using Kind = PickleValue::Kind;

PickleOptions pickle_options(const std::string& origin) {
  return {.origin = origin, .globals = torch_globals()};
}

// The legacy stream: five pickles, then the storages in the order of the fifth.

/// 0x1950a86a20f9469cfc6c, little-endian.
constexpr std::string_view kTorchMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kStreamVersion = 1001;

class LegacyReader {
 public:
  LegacyReader(Bytes bytes, const std::string& origin) : rest_(bytes), origin_(origin) {}

  tensor::NamedTensors read() {
    read_preamble();
    const Pickle object(rest_, pickle_options(origin_));
    skip(object.size());
    const auto ids = storage_ids(object, origin_);

    const Pickle keys(rest_, pickle_options(origin_));
    skip(keys.size());
    if (keys.root()->kind != Kind::kList) {
      throw core::DataError("{}: the list of storages is missing", origin_);
    }
    Storages storages;
    for (PickleRef key : keys.root()->items) {
      const auto id = ids.find(std::string(key->text));
      if (key->kind != Kind::kString || id == ids.end() || storages.count(id->first) != 0) {
        throw core::DataError("{}: the list of storages does not fit the tensors", origin_);
      }
      storages.emplace(id->first, read_storage(id->second));
    }
    if (storages.size() != ids.size()) {
      throw core::DataError("{}: {} storages are listed where {} are needed", origin_, storages.size(),
                            ids.size());
    }
    if (!rest_.empty()) {
      throw core::DataError("{}: {} bytes too many at the end", origin_, rest_.size());
    }
    return collect_state(object, storages, origin_);
  }

 private:
  void skip(size_t count) { rest_ = rest_.subspan(count); }

  void read_preamble() {
    const Pickle magic(rest_, pickle_options(origin_));
    if (magic.root()->kind != Kind::kInteger || magic.root()->text != kTorchMagic) {
      throw core::DataError("{}: not a file of torch.save (its magic number is missing)", origin_);
    }
    skip(magic.size());
    const Pickle version(rest_, pickle_options(origin_));
    if (version.root()->kind != Kind::kInteger || version.root()->integer != kStreamVersion) {
      throw core::DataError("{}: torch.save's stream version is not {}", origin_, kStreamVersion);
    }
    skip(version.size());
    const Pickle system(rest_, pickle_options(origin_));
    skip(system.size());
    const auto& items = system.root()->items;
    for (size_t i = 0; system.root()->kind == Kind::kDict && i < items.size(); i += 2) {
      if (items[i]->kind == Kind::kString && items[i]->text == "little_endian") {
        if (items[i + 1]->kind == Kind::kBool && items[i + 1]->integer == 1) {
          return;
        }
        throw core::DataError("{}: was saved on a big-endian machine, which is not read", origin_);
      }
    }
    throw core::DataError("{}: does not say its byte order", origin_);
  }

  at::Tensor read_storage(const StorageId& id) {
    int64_t count = 0;
    if (rest_.size() < sizeof(count)) {
      throw core::DataError("{}: cut short before storage '{}'", origin_, core::excerpt(id.key));
    }
    std::memcpy(&count, rest_.data(), sizeof(count));
    skip(sizeof(count));
    if (count != id.count) {
      throw core::DataError("{}: storage '{}' has {} elements where {} are announced", origin_,
                            core::excerpt(id.key), count, id.count);
    }
    const uint64_t needed = static_cast<uint64_t>(count) * c10::elementSize(id.dtype);
    if (needed > rest_.size()) {
      throw core::DataError("{}: cut short: storage '{}' needs {} bytes and {} are left", origin_,
                            core::excerpt(id.key), needed, rest_.size());
    }
    const auto bytes = rest_.first(needed);
    skip(needed);
    return make_storage(id, bytes, origin_);
  }

  Bytes rest_;
  const std::string& origin_;
};

// The zip archive: <top>/data.pkl and one stored entry <top>/data/<key> per storage.

class ZipReader {
 public:
  ZipReader(Bytes bytes, const std::string& origin) : origin_(origin), budget_(bytes.size()) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source != nullptr) {
      archive_ = zip_open_from_source(source, ZIP_RDONLY, &error);
      if (archive_ == nullptr) {
        zip_source_free(source);
      }
    }
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (archive_ == nullptr) {
      throw core::DataError("{}: damaged or cut short: {}", origin_, reason);
    }
  }
  ~ZipReader() { zip_discard(archive_); }
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  tensor::NamedTensors read() {
    const std::string top = top_folder();
    if (find(top + "constants.pkl") >= 0) {
      throw core::DataError("{}: is a TorchScript archive, not a state dict; save model.state_dict() instead",
                            origin_);
    }
    if (const auto order = find(top + "byteorder"); order >= 0) {
      if (const auto text = read_entry(order); std::string_view(text.data(), text.size()) != "little") {
        throw core::DataError("{}: was saved on a big-endian machine, which is not read", origin_);
      }
    }
    const auto text = read_entry(find(top + "data.pkl"));
    const Pickle object(text, pickle_options(origin_));
    if (object.size() != text.size()) {
      throw core::DataError("{}: data.pkl has {} bytes too many", origin_, text.size() - object.size());
    }
    Storages storages;
    for (const auto& [key, id] : storage_ids(object, origin_)) {
      const auto entry = find(top + "data/" + key);
      if (entry < 0) {
        throw core::DataError("{}: storage '{}' is missing", origin_, core::excerpt(key));
      }
      storages.emplace(key, make_storage(id, read_entry(entry), origin_));
    }
    return collect_state(object, storages, origin_);
  }

 private:
  zip_int64_t find(const std::string& name) const {
    return name.find('\0') == std::string::npos ? zip_name_locate(archive_, name.c_str(), 0) : -1;
  }

  /// "name/" or "" with which data.pkl begins.
  std::string top_folder() const {
    const zip_int64_t count = zip_get_num_entries(archive_, 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const char* name = zip_get_name(archive_, static_cast<zip_uint64_t>(i), 0);
      const std::string_view entry = name != nullptr ? name : "";
      const auto slash = entry.find('/');
      const size_t start = slash == std::string_view::npos ? 0 : slash + 1;
      if (entry.substr(start) == "data.pkl") {
        return std::string(entry.substr(0, start));
      }
    }
    throw core::DataError("{}: a zip archive without data.pkl; not a file of torch.save", origin_);
  }

  /// The whole entry, its CRC checked. Entries may not be compressed, and together not larger than the file.
  std::vector<char> read_entry(zip_int64_t index) {
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    const auto at = static_cast<zip_uint64_t>(index);
    zip_stat_t status;
    if (zip_stat_index(archive_, at, 0, &status) != 0 || (status.valid & kNeeded) != kNeeded) {
      throw core::DataError("{}: damaged: {}", origin_, zip_strerror(archive_));
    }
    const std::string name = core::excerpt(status.name != nullptr ? status.name : "");
    if (status.comp_method != ZIP_CM_STORE || status.encryption_method != ZIP_EM_NONE) {
      throw core::DataError("{}: entry '{}' is compressed or encrypted; torch.save does neither", origin_,
                            name);
    }
    if (status.size > budget_) {
      throw core::DataError("{}: entry '{}' claims {} bytes, more than the file can hold", origin_, name,
                            status.size);
    }
    budget_ -= status.size;

    std::vector<char> bytes(status.size);
    zip_file_t* file = zip_fopen_index(archive_, at, 0);
    if (file == nullptr) {
      throw core::DataError("{}: entry '{}' is damaged: {}", origin_, name, zip_strerror(archive_));
    }
    char beyond = 0;
    const zip_int64_t got = zip_fread(file, bytes.data(), bytes.size());
    // The CRC is compared when the end is met, not before.
    const zip_int64_t more = got < 0 ? -1 : zip_fread(file, &beyond, 1);
    const std::string reason = zip_file_strerror(file);
    zip_fclose(file);
    if (got != static_cast<zip_int64_t>(bytes.size()) || more != 0) {
      throw core::DataError("{}: entry '{}' is damaged: {}", origin_, name, reason);
    }
    return bytes;
  }

  const std::string& origin_;
  uint64_t budget_;
  zip_t* archive_ = nullptr;
};

}  // namespace

tensor::NamedTensors read_torch_bytes(Bytes bytes, const std::string& origin) {
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), "PK\x03\x04", 4) == 0) {
    return ZipReader(bytes, origin).read();
  }
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != 0x80) {
    throw core::DataError("{}: not a file of torch.save (it begins as neither a zip archive nor a pickle)",
                          origin);
  }
  return LegacyReader(bytes, origin).read();
}

tensor::NamedTensors read_torch_file(const std::filesystem::path& path) {
  const auto bytes = core::read_file(path);
  return read_torch_bytes(bytes, path.string());
}

}  // namespace ddpm_eval::data
