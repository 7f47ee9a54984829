#pragma once

#include <span>
#include <string_view>

namespace ddpm_eval::eval {

/// A metric that a grid's table has a column for, and what it is called there.
struct TableMetric {
  std::string_view key;
  std::string_view name;
  bool higher_is_better = false;
};

/// In the order of the columns.
std::span<const TableMetric> table_metrics();

/// Throws LogicError for a key that is none of them.
const TableMetric& table_metric(std::string_view key);

}  // namespace ddpm_eval::eval
