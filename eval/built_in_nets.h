#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::eval {

/// A file that is part of the program's binary.
struct EmbeddedFile {
  std::string name;
  std::string_view bytes;  ///< lives as long as the program
};

/// The feature networks of metrics/nets/.
const std::vector<EmbeddedFile>& embedded_nets();

}  // namespace ddpm_eval::eval
