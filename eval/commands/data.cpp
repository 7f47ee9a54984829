#include "eval/commands/catalogue_command.h"

namespace ddpm_eval::eval {

void add_data_command(CLI::App& program, Session& session) {
  add_catalogue_command(program, session,
                        {data::Shelf::kData, "data", "Data sets by name: list, fetch and verify them"});
}

}  // namespace ddpm_eval::eval
