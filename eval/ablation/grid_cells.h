#pragma once

#include "base/core/error.h"
#include "eval/ablation/grid.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What a grid's file says of its cells. `origin` names the file, or the file and the place in it, in
// messages.
namespace ddpm_eval::eval {

/// Runs `check`; what it throws of the user's words is told with the place that they are in.
template <class Check>
void told_with(const std::string& place, const Check& check) {
  try {
    check();
  } catch (const core::UsageError& error) {
    throw core::UsageError("{}: {}", place, error.what());
  }
}

/// Stands for keys that are no fixed list: they are taken out of the tree before it is read.
struct AnyKeys {
  void fields(core::ConfigVisitor&) {}
};

/// `object[key]`, which is replaced by `empty`; what is not there is empty too. Throws UsageError for a value
/// of another type.
core::Json take(core::Json& object, const char* key, const core::Json& empty, const std::string& origin);

/// Reads the fields of `head`. Throws UsageError for unknown keys, with the nearest known one.
template <class Head>
void read_head(const core::Json& object, const std::string& origin, Head head) {
  auto tree = core::ConfigTree::from_json(object.dump(), origin);
  core::read_config(tree, head);
}

/// Keys of the configuration, dotted or nested. Throws UsageError for those that the grid itself sets.
std::vector<GridSetting> read_settings(const core::Json& object, const std::string& origin);

struct GridAxis {
  std::string key;
  std::vector<std::string> values;  ///< JSON
};

std::vector<GridAxis> read_axes(const core::Json& object, const std::string& origin);

/// Throws UsageError naming `key` if `text`, which tables show, has line breaks or other control characters.
void require_one_line(const std::string& origin, const std::string& key, const std::string& text);

/// Throws UsageError for a name that no folder of a cell can have, and for labels that are not one line.
void require_usable(const GridCell& cell, const std::string& origin);

/// One of [[cells]].
GridCell read_cell(core::Json object, const std::string& origin);

/// `cells` times the values of `axis`, which become labels of columns if there are rows already and no
/// further axis, else of rows. Throws UsageError for a cell that sets the axis's key itself.
std::vector<GridCell> crossed(const std::vector<GridCell>& cells, const GridAxis& axis, bool as_columns,
                              const std::string& origin);

}  // namespace ddpm_eval::eval
