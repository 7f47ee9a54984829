#include "base/data/image_labels.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "base/core/text.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;
using core::Json;

/// The entries of a dataset.json, by the images' places.
using LabelsByPlace = std::unordered_map<std::string, int64_t>;

void add_entry(const Json& entry, size_t number, const std::string& origin, LabelsByPlace& labels) {
  if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
    throw DataError("{}: entry {} of its labels is no [\"path\", number]", origin, number);
  }
  const auto& place = entry[0].get_ref<const std::string&>();
  const auto& label = entry[1];
  // Compared as double, since the number may be beyond any whole type.
  if (!label.is_number_integer() || label.get<double>() < 0 ||
      label.get<double>() >= static_cast<double>(kMaxClasses)) {
    throw DataError("{}: the label of '{}' is {}, where whole numbers from 0 to {} are possible", origin,
                    core::excerpt(place), core::excerpt(label.dump()), kMaxClasses - 1);
  }
  const auto value = label.get<int64_t>();
  const auto [known, is_new] = labels.emplace(place, value);
  if (!is_new && known->second != value) {
    throw DataError("{}: '{}' has two labels in it, {} and {}", origin, core::excerpt(place), known->second,
                    value);
  }
}

/// By the text of a dataset.json.
FileLabels told_labels(const ImageFiles& files, const std::string& text) {
  const std::string origin = files.name() + ": " + kLabelsFile;
  const Json json = core::parse_json(text);
  if (!json.is_object() || !json.contains("labels") ||
      !(json["labels"].is_array() || json["labels"].is_null())) {
    throw DataError(
        "{}: is no {{\"labels\": [[\"path\", number], ...]}}; mend it, or rename it if it is no file of "
        "labels",
        origin);
  }
  if (json["labels"].is_null() || json["labels"].empty()) {
    return {{.absent = fmt::format("{} says that there are none", kLabelsFile)}, {}};
  }
  LabelsByPlace by_place;
  FileLabels told;
  for (size_t i = 0; i < json["labels"].size(); ++i) {
    add_entry(json["labels"][i], i, origin, by_place);
  }
  for (const auto& [place, label] : by_place) {
    told.classes.count = std::max(told.classes.count, label + 1);
  }
  int64_t without = 0;
  std::string first;
  for (int64_t i = 0; i < files.count(); ++i) {
    const auto place = files.place(i).generic_string();
    const auto found = by_place.find(place);
    if (found != by_place.end()) {
      told.labels.push_back(found->second);
    } else if (without++ == 0) {
      first = place;
    }
  }
  if (without > 0) {
    throw DataError("{}: has no label for {} of the {} images, '{}' the first of them", origin, without,
                    files.count(), core::printable(first));
  }
  return told;
}

/// The number that `name` is, zeros before it or not, if that can be a label.
std::optional<int64_t> as_label(const std::string& name) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_whole = error == std::errc() && end == name.data() + name.size();
  return is_whole && name.front() != '-' && number < kMaxClasses ? std::optional(number) : std::nullopt;
}

/// By the folders that the images lie in.
FileLabels folder_labels(const ImageFiles& files) {
  std::map<fs::path, int64_t> folders;
  for (int64_t i = 0; i < files.count(); ++i) {
    folders.emplace(files.place(i).parent_path(), 0);
    if (static_cast<int64_t>(folders.size()) > kMaxClasses) {
      return {{.absent = fmt::format("its images lie in more than {} folders", kMaxClasses)}, {}};
    }
  }
  const auto& first = folders.begin()->first;
  if (folders.size() == 1) {
    return {{.absent = fmt::format(
                 "its images lie in one folder, not in one for each class, and there is no {}", kLabelsFile)},
            {}};
  }
  for (auto other = std::next(folders.begin()); other != folders.end(); ++other) {
    const auto& folder = other->first;
    if (first.empty() || folder.parent_path() != first.parent_path()) {
      return {{.absent = fmt::format(
                   "it has images in '{}' and in '{}', where class folders lie side by side",
                   core::printable(first.empty() ? "." : first.string()), core::printable(folder.string()))},
              {}};
    }
  }
  FileLabels found;
  std::set<int64_t> distinct;
  for (const auto& entry : folders) {
    if (const auto number = as_label(entry.first.filename().string())) {
      distinct.insert(*number);
    }
  }
  const bool numbers = distinct.size() == folders.size();
  for (auto& [folder, label] : folders) {  // sorted by names, as they have one parent
    const auto name = folder.filename().string();
    if (numbers) {
      label = *as_label(name);
      found.classes.count = std::max(found.classes.count, label + 1);
    } else {
      label = found.classes.count++;
      found.classes.names.push_back(name);
    }
  }
  for (int64_t i = 0; i < files.count(); ++i) {
    found.labels.push_back(folders.at(files.place(i).parent_path()));
  }
  return found;
}

}  // namespace

void require_labels_size(const std::string& origin, uint64_t bytes) {
  if (bytes > kMaxLabelsBytes) {
    throw DataError("{}: {} bytes, where {} are the most of a file of labels", origin, bytes,
                    kMaxLabelsBytes);
  }
}

FileLabels label_files(const ImageFiles& files) {
  const auto text = files.labels_text();
  return text ? told_labels(files, *text) : folder_labels(files);
}

}  // namespace ddpm_eval::data
