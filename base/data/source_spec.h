#pragma once

#include "base/data/dataset.h"
#include "base/data/image_folder.h"
#include "base/data/image_source.h"
#include "base/data/noise_source.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace ddpm_eval::data {

enum class SourceKind {
  kCifar10,
  kCifar100,
  kMnist,
  kFashionMnist,
  kPoints,
  kNoise,
  kRun,
  kFolder,
  kZip,
  kTar,
  kList,
  kArray,
  kFeatures,
  kStatistics
};

/// Whether it is a data set that is known by name.
bool is_data_set(SourceKind kind);

/// Whether it is image files, which may be cropped and scaled as they are read.
bool is_image_files(SourceKind kind);

/// What a user's words for a source mean.
struct SourceSpec {
  SourceKind kind = SourceKind::kFolder;
  std::string text;            ///< as written
  std::string name;            ///< resolved: "cifar10:train", "swiss-roll", a path
  std::filesystem::path path;  ///< folder, file or archive; empty for a data set that is to be looked for
  Split split = Split::kTrain;
  Framing framing{};                         ///< from ?crop=C&side=S; of image files
  Subset subset{};                           ///< from ?first=A&num=B, or ?num=B&seed=S as a draw
  NoiseShape noise_shape{};                  ///< of noise
  uint64_t seed = 0;                         ///< from ?seed=S; of points, noise and run
  std::map<std::string, std::string> query;  ///< what follows the '?'; of run without
  ///< the above: settings of its sampler
};

/// Of a made-up set or the samples of a run: more is a slip, which would never end.
inline constexpr int64_t kMaxMadeUp = 100'000'000;

/// Understands
///   cifar, cifar10[:train|:test][@FOLDER], mnist..., fashion-mnist...   (train unless told otherwise)
///   cifar10..., cifar100[:train|:test][@ARCHIVE]: an official one, which may also be written alone
///   swiss-roll, 8-gaussians, moons
///   gaussian-noise:HxWxC?num=N   (what a sampler starts from: see base/data/noise_source.h)
///   run:FOLDER?num=N&seed=S&KEY=VALUE   (any key of the run's [sample] section)
///   a folder, .zip, .tar, .tar.gz or .tgz of images or @LIST of their paths, with ?crop=center|celeba&side=S
///   (see base/data/framing.h)
///   a folder or an archive of CIFAR's batches, with ?split=train|test
///   an .npy or .npz of images, an .npz of statistics, or with ?as=images of the images beside these
///   a .npy, .npz or .safetensors of features (see base/data/feature_file.h)
/// each but statistics with ?first=A&num=B for a part of it; points, noise and run with &seed=S for what they
/// are made from, data sets, image files and features with ?num=B&seed=S for B of them at random. A path that
/// exists is taken as it is, '?' and all; a data set's name goes before a folder of that name (write
/// ./mnist for the folder). Throws UsageError with the nearest name for anything else and DataError for a
/// path that does not exist.
SourceSpec parse_source(const std::string& text);

/// The source with what was left open filled in, as it could be written too: "cifar10:train?num=5" for
/// "cifar?num=5".
std::string resolved_name(const SourceSpec& spec);

struct SourceOptions {
  OnBadFile on_bad_file = OnBadFile::kSkip;
  int threads = 0;  ///< for decoding; 0: every processor the process may use
};

/// Opens any spec that is a set of images. Throws UsageError for run, statistics and points, DataError as the
/// readers do.
std::unique_ptr<ImageSource> open_image_source(const SourceSpec& spec, const SourceOptions& options = {});

/// All images in memory, with labels where the set has them. Unreadable files and images of several sizes are
/// DataErrors here: training data is not thinned out silently.
ImageDataset load_image_dataset(const SourceSpec& spec);

}  // namespace ddpm_eval::data
