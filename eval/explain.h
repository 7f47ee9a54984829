#pragma once

#include "base/core/record.h"
#include "eval/command.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Why two tools give two numbers for the same images.
namespace ddpm_eval::eval {

struct ExplainOptions {
  std::string real;
  std::string fake;
  std::vector<std::string> presets;  ///< none: all
  std::string weights;               ///< of the FID Inception; empty: where `weights fetch` puts them
  bool strict = false;
};

/// Scores both sides as each preset's tool does, from one reading of the images: FID, and the Inception Score
/// where the tool has one. Presets of the same pre-processing share a pass through the network. The record
/// has a row for each preset, in the order of the presets, with what it does otherwise than the first. Throws
/// UsageError, DataError and InterruptedError.
core::Json explain_presets(const ExplainOptions& options, const Session& session);

/// The record for people: a table, and below it what the rows differ by.
void print_explanation(const core::Json& record);

}  // namespace ddpm_eval::eval
