#pragma once

#include <filesystem>
#include <string>
#include <vector>

// No command may write over what it reads, or write two things to one place.
namespace ddpm_eval::eval {

/// A file or folder that a command uses, and the flag that names it.
struct FlagFile {
  std::string flag;  ///< "--out"
  std::filesystem::path path;
  bool holds_images = false;  ///< a folder whose image files all count
};

/// What a flag that takes a source reads: nothing for a data set that is looked for, and for folders and runs
/// also the files in them that matter. Throws as data::parse_source().
std::vector<FlagFile> source_files(const std::string& flag, const std::string& source);

/// Throws UsageError naming both flags if an output is one of the inputs or another output, or is an image in
/// a folder of images. To be asked before the work. Devices may be written twice; an empty path and "-" are
/// no file.
void require_distinct(const std::vector<FlagFile>& outputs, const std::vector<FlagFile>& inputs = {});

/// Throws UsageError if the folder is that of a run, or of a model of another program, whose files nothing
/// else may mix with.
void require_no_model_in(const FlagFile& folder);

/// Throws UsageError if the output lies in `folder`, where that is one.
void require_outside(const FlagFile& output, const FlagFile& folder);

}  // namespace ddpm_eval::eval
