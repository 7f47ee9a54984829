#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

namespace ddpm_eval::testing {

struct ArchiveEntry {
  std::string name;
  std::string content;
  unsigned type = AE_IFREG;  ///< a link (AE_IFLNK) leads to /etc/passwd
};

/// Writes an archive through libarchive, not through what is tested: a .tar.gz or, where `path` does not end
/// so, a .zip. `options` are libarchive's: "compression=store", "compression-level=1".
inline void write_archive(const std::filesystem::path& path, const std::vector<ArchiveEntry>& entries,
                          const char* options = nullptr, const char* password = nullptr) {
  struct archive* writer = archive_write_new();
  if (path.string().ends_with(".tar.gz")) {
    archive_write_add_filter_gzip(writer);
    archive_write_set_format_ustar(writer);
  } else {
    archive_write_set_format_zip(writer);
  }
  EXPECT_EQ(archive_write_set_options(writer, options), ARCHIVE_OK);
  if (password != nullptr) {
    EXPECT_EQ(archive_write_set_options(writer, "encryption=zipcrypt"), ARCHIVE_OK);
    EXPECT_EQ(archive_write_set_passphrase(writer, password), ARCHIVE_OK);
  }
  EXPECT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
  for (const auto& [name, content, type] : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, 0644);
    if (type == AE_IFLNK) {
      archive_entry_set_symlink(entry, "/etc/passwd");
    }
    // A warning is given for a name that is no UTF-8 and the header written all the same.
    EXPECT_GE(archive_write_header(writer, entry), ARCHIVE_WARN);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  EXPECT_EQ(archive_write_close(writer), ARCHIVE_OK);
  archive_write_free(writer);
}

}  // namespace ddpm_eval::testing
