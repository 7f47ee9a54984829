#pragma once

#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/data/sinks.h"
#include "eval/console.h"
#include "eval/sampling.h"

#include <filesystem>
#include <functional>
#include <memory>

// Where samples go, and what they say of themselves there.
namespace ddpm_eval::eval {

/// What goes with samples of `run`: all that they depend on, without times and places, so that equal samples
/// have equal provenance.
core::Json sample_provenance(const LoadedRun& run, int64_t count);

/// The provenance that a folder or an .npz of samples holds, or that lies beside an .npy of points and names
/// its SHA-256; null: other tools' files, and damaged text.
core::Json read_sample_provenance(const std::filesystem::path& source);

/// Whether what is at `source` says of itself just `provenance`: the very samples that would be drawn.
bool holds_samples(const std::filesystem::path& source, const core::Json& provenance);

/// Where the provenance of points is: points.npy has points.samples.json.
std::filesystem::path points_provenance_file(const std::filesystem::path& points);

/// Throws UsageError if `target`, an .npz or .npy, is there and nothing says that it holds samples of this
/// program.
void require_replaceable(const std::filesystem::path& target);

/// Points with their provenance beside them. Throws ResourceError.
void write_points(const std::filesystem::path& target, const at::Tensor& points, core::Json provenance);

/// An open target. Of processes that work together the first one alone has it open.
struct SampleOutput {
  std::unique_ptr<core::FolderLock> lock;
  std::unique_ptr<data::ImageSink> sink;  ///< null in all processes but the first
  int64_t first = 0;                      ///< samples below are there already, from an earlier call
  bool resumable = false;                 ///< another call can go on where this one ends
};

/// An .npz, or for any other name a folder, which can be gone on with: whole micro-batches that are there
/// stay, and a larger count adds to them. Throws UsageError for a folder with other images or samples of
/// something else, naming what differs, or with more samples than `count`; ResourceError if it cannot be
/// written or another process is writing there.
SampleOutput open_sample_output(const std::filesystem::path& target, const core::Json& provenance,
                                int64_t micro_batch);

/// Draws those of `count` images that `output` lacks, in whole micro-batches of the run, and finishes it.
/// `stop` is told between the sampler's steps how many samples are there, and throws to end the drawing.
void draw_samples(const LoadedRun& run, const SampleOutput& output, int64_t count,
                  const std::function<void(int64_t done)>& stop, const ProgressFn& progress);

/// A PNG of the first images of finished samples side by side.
void write_sample_grid(const std::filesystem::path& samples, int64_t images,
                       const std::filesystem::path& target);

}  // namespace ddpm_eval::eval
