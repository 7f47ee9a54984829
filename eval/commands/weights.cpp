#include "eval/commands/catalogue_command.h"

namespace ddpm_eval::eval {

void add_weights_command(CLI::App& program, Session& session) {
  add_catalogue_command(
      program, session,
      {data::Shelf::kWeights, "weights", "Network weights by name: list, fetch and verify them"});
}

}  // namespace ddpm_eval::eval
