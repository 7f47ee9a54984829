#include "eval/ablation/grid_cells.h"

#include "base/core/error.h"
#include "base/core/record.h"
#include "base/core/temporary_name.h"
#include "base/core/text.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ddpm_eval::eval {
namespace {

using core::Json;

struct CellHead {
  GridCell& cell;

  void fields(core::ConfigVisitor& v) {
    AnyKeys settings;
    AnyKeys published;
    v.value("name", cell.name);
    v.value("row", cell.row);
    v.value("column", cell.column);
    v.section("set", settings);
    v.section("published", published);
    v.value("not_comparable", cell.not_comparable);
    v.value("unstable", cell.unstable);
  }
};

/// "objective.loss" and its value, for dotted keys and for tables alike.
void flatten(const Json& object, const std::string& prefix, std::vector<std::pair<std::string, Json>>& out) {
  for (const auto& [key, value] : object.items()) {
    const auto full = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      flatten(value, full, out);
    } else {
      out.emplace_back(full, value);
    }
  }
}

/// Why cells must not set `key`; empty if they may.
std::string reserved(const std::string& key) {
  if (key == "train.seed") {
    return "'seeds' gives every cell the same ones";
  }
  if (key == "train.steps") {
    return "[budget] steps is the same for all cells";
  }
  if (key == "train.time_limit_s") {
    return "a budget of time would make the table depend on the machine's load; [budget] has steps";
  }
  if (key.starts_with("train.diverged_")) {
    return "[stop] fixes the rule for all cells";
  }
  if (key == "score" || key.starts_with("score.")) {
    return "the grid's own [score] says how cells are scored";
  }
  return {};
}

/// A value as people read it: strings without quotes.
std::string plain(const std::string& json) {
  const auto value = core::parse_json(json);
  return value.is_string() ? value.get<std::string>() : json;
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-";

constexpr size_t kMaxFolderName = 255;  ///< of Linux's file systems, in bytes

/// `text` as a part of a folder's name.
std::string file_safe(std::string text) {
  for (char& c : text) {
    if (kNameCharacters.find(c) == std::string_view::npos) {
      c = '-';
    }
  }
  return text;
}

}  // namespace

Json take(Json& object, const char* key, const Json& empty, const std::string& origin) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return empty;
  }
  if (found->type() != empty.type()) {
    throw core::UsageError("{}: {}: expected a {}", origin, key, empty.is_array() ? "list" : "table");
  }
  return std::exchange(*found, empty);
}

std::vector<GridSetting> read_settings(const Json& object, const std::string& origin) {
  std::vector<std::pair<std::string, Json>> flat;
  flatten(object, "", flat);
  std::vector<GridSetting> settings;
  for (const auto& [key, value] : flat) {
    if (const auto why = reserved(key); !why.empty()) {
      throw core::UsageError("{}: {} is not for a cell to set: {}", origin, key, why);
    }
    settings.push_back({key, core::json_text(value)});
  }
  return settings;
}

std::vector<GridAxis> read_axes(const Json& object, const std::string& origin) {
  std::vector<std::pair<std::string, Json>> flat;
  flatten(object, "", flat);
  std::vector<GridAxis> axes;
  for (const auto& [key, values] : flat) {
    const auto where = origin + ": axes";
    if (!values.is_array() || values.empty()) {
      throw core::UsageError("{}.{}: expected a list of values", where, key);
    }
    GridAxis axis{key, {}};
    for (const auto& value : values) {
      axis.values.push_back(read_settings({{key, value}}, where).front().value);
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

void require_one_line(const std::string& origin, const std::string& key, const std::string& text) {
  if (core::printable(text) != text) {
    throw core::UsageError("{}: {}: '{}' holds a control character; write it as one line of plain text",
                           origin, key, core::excerpt(text));
  }
}

void require_usable(const GridCell& cell, const std::string& origin) {
  const auto refuse = [&](const std::string& why) {
    throw core::UsageError("{}: cell '{}': name: {}", origin, core::excerpt(cell.name), why);
  };
  if (cell.name.size() > kMaxFolderName) {
    refuse(fmt::format("has {} bytes, and a folder's name {} at most; shorten it", cell.name.size(),
                       kMaxFolderName));
  }
  if (std::ranges::find(kGridFiles, cell.name) != std::end(kGridFiles)) {
    refuse("is that of a file which the grid itself has in its folder; choose another");
  }
  if (core::TemporaryName::is_one(cell.name)) {
    refuse("is as those of temporary files, which are swept away; choose another");
  }
  const auto where = fmt::format("{}: cell '{}'", origin, cell.name);
  require_one_line(where, "row", cell.row);
  require_one_line(where, "column", cell.column);
  require_one_line(where, "not_comparable", cell.not_comparable);
  for (const auto& [metric, value] : cell.published) {
    require_one_line(where, "published", metric);
    require_one_line(where, "published." + metric, value);
  }
}

GridCell read_cell(Json object, const std::string& origin) {
  GridCell cell;
  if (!object.is_object()) {
    throw core::UsageError("{}: expected a table", origin);
  }
  const auto settings = take(object, "set", Json::object(), origin);
  const auto published = take(object, "published", Json::object(), origin);
  read_head(object, origin, CellHead{cell});
  if (cell.name.empty() || cell.name.front() == '.' ||
      cell.name.find_first_not_of(kNameCharacters) != std::string::npos) {
    throw core::UsageError("{}: name: '{}' must be of letters, digits and . _ = -, as it names a folder",
                           origin, cell.name);
  }
  cell.row = cell.row.empty() ? cell.name : cell.row;
  cell.settings = read_settings(settings, fmt::format("{}: set", origin));
  for (const auto& setting : cell.settings) {
    if (setting.key.starts_with("train.")) {
      throw core::UsageError(
          "{}: set: {}: no cell is tuned by itself; put it into the grid's [set] for all cells, or make it "
          "one "
          "of its [axes]",
          origin, setting.key);
    }
  }
  for (const auto& [metric, value] : published.items()) {
    cell.published[metric] = value.is_string() ? value.get<std::string>() : core::json_text(value);
  }
  return cell;
}

std::vector<GridCell> crossed(const std::vector<GridCell>& cells, const GridAxis& axis, bool as_columns,
                              const std::string& origin) {
  std::vector<GridCell> result;
  for (const auto& cell : cells) {
    for (const auto& setting : cell.settings) {
      if (setting.key == axis.key) {
        throw core::UsageError("{}: axes.{}: cell '{}' sets that key too", origin, axis.key, cell.name);
      }
    }
    for (const auto& value : axis.values) {
      auto next = cell;
      const auto label = last_part(axis.key) + " = " + plain(value);
      next.name += (cell.name.empty() ? "" : "_") + file_safe(last_part(axis.key) + "=" + plain(value));
      auto& place = as_columns ? next.column : next.row;
      place += (place.empty() ? "" : ", ") + label;
      next.settings.push_back({axis.key, value});
      result.push_back(std::move(next));
    }
  }
  return result;
}

}  // namespace ddpm_eval::eval
