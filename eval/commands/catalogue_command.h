#pragma once

#include "base/data/catalogue.h"
#include "eval/command.h"

#include <string>

namespace ddpm_eval::eval {

/// `ddpm-eval data` and `ddpm-eval weights` differ in their shelf and their words only.
struct CatalogueCommand {
  data::Shelf shelf = data::Shelf::kData;
  std::string name;  ///< "data"
  std::string help;
};

/// Adds `<name> list`, `<name> fetch NAME... [--mirror URL]` and `<name> verify [NAME...]`.
void add_catalogue_command(CLI::App& program, Session& session, const CatalogueCommand& command);

}  // namespace ddpm_eval::eval
