#include "base/core/file_copy.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <system_error>

#include <unistd.h>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

void remove_file(const fs::path& target) {
  std::error_code error;
  fs::remove(target, error);
  std::error_code unknown;
  if (error &&
      fs::exists(fs::symlink_status(target, unknown))) {  // a read-only system refuses the absent, too
    throw ResourceError("{}: cannot be removed: {}", target.string(), error.message());
  }
}

void keep_copy(const fs::path& source, const fs::path& target) {
  std::error_code error;
  {
    AtomicFile link(target);
    fs::remove(link.temporary_path(), error);
    fs::create_hard_link(fs::weakly_canonical(source), link.temporary_path(), error);
    if (!error) {
      link.commit();
      fs::remove(link.temporary_path(), error);  // still there where both were names of one file already
      return;
    }
  }
  AtomicFile copy(target);
  fs::copy_file(source, copy.temporary_path(), fs::copy_options::overwrite_existing, error);
  if (error) {
    throw ResourceError("{}: cannot be copied to {}: {}", source.string(), target.string(), error.message());
  }
  copy.commit();
}

}  // namespace ddpm_eval::core
