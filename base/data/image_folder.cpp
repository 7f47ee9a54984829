#include "base/data/image_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "base/data/image_labels.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <sys/stat.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr uint64_t kMaxListBytes = uint64_t{1} << 30;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // of UTF-8, as Windows' editors write it

/// Pipes, sockets and devices: opening one may wait forever. A file that is missing is told when it is read.
bool is_special(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status);
}

/// Collects image files and what cannot be read. `visited` holds device and inode of every folder, against
/// loops of links.
void collect(const fs::path& folder, std::set<std::pair<dev_t, ino_t>>& visited, std::vector<fs::path>& files,
             std::vector<std::string>& unreadable) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0 || !visited.emplace(status.st_dev, status.st_ino).second) {
    return;
  }
  // Sorted, so that of a folder with two names the same one is taken everywhere.
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  if (error) {
    unreadable.push_back(fmt::format("{}: cannot be read: {}", folder.string(), error.message()));
  }
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  for (const auto& entry : entries) {
    if (fs::is_directory(entry, error)) {
      if (entry.filename() == kResourceForks) {
        continue;
      }
      collect(entry, visited, files, unreadable);
    } else if (is_image_name(entry)) {
      files.push_back(entry);
    } else if (error && error != std::errc::no_such_file_or_directory &&
               error != std::errc::too_many_symbolic_link_levels) {  // which may be a folder
      unreadable.push_back(fmt::format("{}: cannot be read: {}", entry.string(), error.message()));
    }
  }
}

class PathFiles final : public ImageFiles {
 public:
  /// `folder` is where all of them lie; empty for files of anywhere.
  PathFiles(std::string name, std::vector<fs::path> files, fs::path folder = {})
      : name_(std::move(name)), files_(std::move(files)), folder_(std::move(folder)) {}

  std::string name() const override { return name_; }
  int64_t count() const override { return static_cast<int64_t>(files_.size()); }
  std::string path(int64_t index) const override { return file(index).string(); }
  fs::path place(int64_t index) const override {
    return folder_.empty() ? file(index) : file(index).lexically_relative(folder_);
  }

  std::optional<std::string> labels_text() const override {
    const auto labels = folder_ / kLabelsFile;
    std::error_code error;
    if (folder_.empty() || !fs::exists(labels, error)) {
      return std::nullopt;
    }
    return core::read_text(labels, kMaxLabelsBytes);
  }

  std::vector<char> read(int64_t index) const override {
    if (is_special(file(index))) {
      throw DataError("is no regular file");
    }
    return core::read_file(file(index), kMaxImageFileBytes);
  }

 private:
  const fs::path& file(int64_t index) const { return files_[static_cast<size_t>(index)]; }

  std::string name_;
  std::vector<fs::path> files_;
  fs::path folder_;
};

}  // namespace

std::vector<fs::path> list_images(const fs::path& folder, std::vector<std::string>& unreadable) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw DataError("{}: {}", folder.string(),
                    fs::exists(folder, error) ? "is not a folder" : "no such folder");
  }
  std::set<std::pair<dev_t, ino_t>> visited;
  std::vector<fs::path> files;
  const fs::directory_iterator probe(folder, error);
  if (error) {
    throw DataError("{}: cannot be read: {}", folder.string(), error.message());
  }
  collect(folder, visited, files, unreadable);
  if (files.empty()) {
    throw DataError("{}: no image files in it or below; looked for {}{}", folder.string(), kImageExtensions,
                    unreadable.empty()
                        ? ""
                        : fmt::format("; {} place{} cannot be read, the first: {}", unreadable.size(),
                                      unreadable.size() == 1 ? "" : "s", unreadable.front()));
  }
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return files;
}

std::unique_ptr<ImageSource> open_image_folder(const fs::path& folder, const ImageFileOptions& options) {
  std::vector<std::string> unreadable;
  auto files = list_images(folder, unreadable);
  return open_image_files(std::make_unique<PathFiles>(folder.string(), std::move(files), folder),
                          std::move(unreadable), options);
}

std::vector<fs::path> listed_images(const fs::path& list) {
  const auto text = core::read_text(list, kMaxListBytes);
  std::vector<fs::path> files;
  std::set<std::string_view> seen;
  std::map<std::pair<dev_t, ino_t>, std::pair<size_t, std::string_view>> lines;  // by file
  const size_t after_mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  for (size_t begin = after_mark, number = 1; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    auto line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.empty()) {
      continue;
    }
    if (line.find('\0') != std::string_view::npos) {
      throw DataError("{}: line {} holds a NUL; a list has one path a line", list.string(), number);
    }
    if (!seen.insert(line).second) {
      throw DataError("{}: line {}: '{}' is in it twice", list.string(), number, core::excerpt(line));
    }
    files.push_back(list.parent_path() / line);
    // Two names of one file would count it twice; one that is not there is told when it is read.
    struct stat status {};
    if (::stat(files.back().c_str(), &status) != 0) {
      continue;
    }
    const auto [first, is_new] =
        lines.emplace(std::pair{status.st_dev, status.st_ino}, std::pair{number, line});
    if (!is_new) {
      throw DataError("{}: line {}: '{}' is the file of line {}, '{}', once more", list.string(), number,
                      core::excerpt(line), first->second.first, core::excerpt(first->second.second));
    }
  }
  if (files.empty()) {
    throw DataError("{}: no paths in it; a list has one a line", list.string());
  }
  return files;
}

std::unique_ptr<ImageSource> open_image_list(const fs::path& list, const ImageFileOptions& options) {
  return open_image_files(std::make_unique<PathFiles>("@" + list.string(), listed_images(list)), {}, options);
}

}  // namespace ddpm_eval::data
