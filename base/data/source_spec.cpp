#include "base/data/source_spec.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/array_source.h"
#include "base/data/cifar10.h"
#include "base/data/feature_file.h"
#include "base/data/idx.h"
#include "base/data/image_codec.h"
#include "base/data/image_zip.h"
#include "base/data/points.h"
#include "base/data/statistics_file.h"
#include "base/tensor/shape.h"

#include <charconv>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;
using core::UsageError;

struct NamedSet {
  std::string_view word;  ///< what users write
  std::string_view name;  ///< what it is called
  SourceKind kind;
};
constexpr NamedSet kSets[] = {{"cifar", "cifar10", SourceKind::kCifar10},
                              {"cifar10", "cifar10", SourceKind::kCifar10},
                              {"mnist", "mnist", SourceKind::kMnist},
                              {"fashion-mnist", "fashion-mnist", SourceKind::kFashionMnist}};
/// More than any set holds; sums of two such counts stay far from overflow.
constexpr uint64_t kMaxCount = uint64_t{1} << 40;
constexpr std::string_view kRunPrefix = "run:";
constexpr std::string_view kNoisePrefix = "gaussian-noise:";

std::vector<std::string> all_words() {
  std::vector<std::string> words = point_kinds();
  for (const auto& set : kSets) {
    words.emplace_back(set.word);
  }
  words.emplace_back("gaussian-noise:HxWxC");
  words.emplace_back("run:FOLDER");
  return words;
}

/// "num=5&seed=1" as a map.
std::map<std::string, std::string> parse_query(std::string_view query, const std::string& text) {
  std::map<std::string, std::string> values;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == pair.size()) {
      throw UsageError("source '{}': '{}' is no key=value after the '?'", text, pair);
    }
    if (!values.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second) {
      throw UsageError("source '{}': {} is there twice", text, pair.substr(0, equals));
    }
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return values;
}

/// A whole number from 0 to `largest`; `what` names it in the message.
uint64_t parse_whole(const std::string& key, const std::string& value, uint64_t largest, const char* what,
                     const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number > largest) {
    throw UsageError("source '{}': {}={} is no {}", text, key, value, what);
  }
  return number;
}

Crop parse_crop(const std::string& value, const std::string& text) {
  if (value == "center") {
    return Crop::kCenter;
  }
  if (value == "celeba") {
    return Crop::kCelebA;
  }
  throw UsageError("source '{}': crop={} is not known; there are center and celeba", text, value);
}

/// Whether it is image files that may be cropped and scaled as they are read.
bool is_image_files(SourceKind kind) {
  return kind == SourceKind::kFolder || kind == SourceKind::kZip || kind == SourceKind::kList;
}

/// Fills in the part of the set that is wanted and, for sets that are made up, their seed. What a run's
/// sampler is told stays in the query.
void parse_part(SourceSpec& spec) {
  std::vector<std::string> known{"first", "num"};
  const bool run = spec.kind == SourceKind::kRun;
  const bool made_up = run || spec.kind == SourceKind::kPoints || spec.kind == SourceKind::kNoise;
  if (made_up) {
    known.emplace_back("seed");
  }
  const bool files = is_image_files(spec.kind);
  if (files) {
    known.insert(known.end(), {"crop", "side"});
  }
  for (const auto& [key, value] : spec.query) {
    if (key == "first") {
      spec.subset.first = static_cast<int64_t>(parse_whole(key, value, kMaxCount, "count", spec.text));
    } else if (key == "num") {
      spec.subset.count = static_cast<int64_t>(parse_whole(key, value, kMaxCount, "count", spec.text));
      if (*spec.subset.count == 0) {
        throw UsageError("source '{}': num=0 leaves nothing; expected 1 or more", spec.text);
      }
      if (made_up && *spec.subset.count > kMaxMadeUp) {
        throw UsageError("source '{}': num={} is above {}, the most that is made up", spec.text, value,
                         kMaxMadeUp);
      }
    } else if (key == "seed" && made_up) {
      spec.seed = parse_whole(key, value, UINT64_MAX, "seed", spec.text);
    } else if (key == "crop" && files) {
      spec.framing.crop = parse_crop(value, spec.text);
    } else if (key == "side" && files) {
      const uint64_t side = parse_whole(key, value, kMaxImageSide, "side in pixels", spec.text);
      if (side == 0) {
        throw UsageError("source '{}': side=0 is no side in pixels", spec.text);
      }
      spec.framing.side = static_cast<int64_t>(side);
    } else if (!run) {
      throw UsageError("source '{}': unknown key '{}'{}; it takes {}", spec.text, key,
                       core::did_you_mean(key, known), core::join_or(known));
    }
  }
  if (run) {
    for (const auto& key : known) {
      spec.query.erase(key);
    }
  }
  const bool endless = run || spec.kind == SourceKind::kNoise;
  if (endless && spec.subset.count.value_or(0) < 1) {
    throw UsageError("source '{}': say how many images with ?num=N", spec.text);
  }
}

/// "28x28x1" after the prefix.
void parse_noise(std::string_view shape, SourceSpec& spec) {
  spec.kind = SourceKind::kNoise;
  spec.name = fmt::format("{}{}", kNoisePrefix, shape);
  const auto parsed = parse_noise_shape(shape);
  if (!parsed) {
    throw UsageError(
        "source '{}': write gaussian-noise:HxWxC with 1 or 3 channels, as gaussian-noise:32x32x3", spec.text);
  }
  spec.noise_shape = *parsed;
}

/// Fills in a data set's name, split and folder; false if `base` names none.
bool parse_named(std::string_view base, SourceSpec& spec) {
  const size_t word_end = std::min(base.find_first_of(":@"), base.size());
  const auto* set = std::find_if(std::begin(kSets), std::end(kSets),
                                 [&](const NamedSet& s) { return s.word == base.substr(0, word_end); });
  if (set == std::end(kSets)) {
    return false;
  }
  base.remove_prefix(word_end);
  const size_t split_end = std::min(base.find('@'), base.size());
  const auto split = base.substr(0, split_end);
  if (!split.empty() && split != ":train" && split != ":test") {
    throw UsageError("source '{}': '{}' is no part of {}; there are train and test", spec.text,
                     split.substr(1), set->name);
  }
  spec.kind = set->kind;
  spec.split = split == ":test" ? Split::kTest : Split::kTrain;
  spec.name = fmt::format("{}:{}", set->name, spec.split == Split::kTest ? "test" : "train");
  if (split_end < base.size()) {
    spec.path = base.substr(split_end + 1);
    if (spec.path.empty()) {
      throw UsageError("source '{}': a folder must follow the '@'", spec.text);
    }
  }
  return true;
}

/// A folder or file that must exist.
void parse_path(const std::string& base, SourceSpec& spec) {
  spec.path = base;
  spec.name = base;
  const auto extension = spec.path.extension();
  const bool is_zip = core::ascii_lower(extension.string()) == ".zip";
  std::error_code error;
  if (base.starts_with('@') && !fs::exists(spec.path, error)) {
    spec.kind = SourceKind::kList;
    spec.path = base.substr(1);
    if (!fs::exists(spec.path, error)) {
      throw DataError("{}: no such list of paths", base);
    }
    return;
  }
  if (!fs::exists(spec.path, error)) {
    if (base.find('/') != std::string::npos || extension == ".npz" || extension == ".npy" ||
        extension == ".safetensors" || is_zip) {
      throw DataError("{}: no such file or folder", base);
    }
    const auto words = all_words();
    throw UsageError("unknown source '{}'{}; a source is a folder, an .npz, .npy or .zip file, @LIST, {}",
                     base, core::did_you_mean(base.substr(0, base.find_first_of(":@")), words),
                     core::join_or(words));
  }
  if (fs::is_directory(spec.path, error)) {
    if (is_cifar10_folder(spec.path)) {
      spec.kind = SourceKind::kCifar10;
      spec.name = "cifar10:train";
    } else {
      spec.kind = SourceKind::kFolder;
    }
  } else if (extension == ".npz") {
    spec.kind = is_statistics_file(spec.path) ? SourceKind::kStatistics
                : is_feature_file(spec.path)  ? SourceKind::kFeatures
                                              : SourceKind::kArray;
  } else if (extension == ".npy" || extension == ".safetensors") {
    spec.kind = is_feature_file(spec.path) ? SourceKind::kFeatures : SourceKind::kArray;
  } else if (is_zip) {
    spec.kind = SourceKind::kZip;
  } else {
    throw UsageError(
        "source '{}' is a file, but none of .npz, .npy and .zip; write @{} if it lists paths, unpack other "
        "archives, and give single images in a folder",
        base, base);
  }
}

bool is_named(SourceKind kind) {
  return kind == SourceKind::kCifar10 || kind == SourceKind::kMnist || kind == SourceKind::kFashionMnist;
}

ImageDataset load_named(const SourceSpec& spec) {
  ImageDataset dataset = spec.kind == SourceKind::kCifar10 ? load_cifar10(spec.path, spec.split)
                         : spec.kind == SourceKind::kMnist
                             ? load_mnist_like("mnist", spec.split, spec.path)
                             : load_mnist_like("fashion-mnist", spec.split, spec.path);
  const int64_t count = resolve_subset(spec.subset, dataset.images_u8.size(0), spec.text);
  dataset.name = resolved_name(spec);
  dataset.images_u8 = dataset.images_u8.narrow(0, spec.subset.first, count);
  dataset.labels = dataset.labels.narrow(0, spec.subset.first, count);
  return dataset;
}

}  // namespace

std::string resolved_name(const SourceSpec& spec) {
  if (spec.kind == SourceKind::kRun) {
    return spec.text;
  }
  const size_t query = spec.query.empty() ? std::string::npos : spec.text.rfind('?');
  const auto folder = is_named(spec.kind) && !spec.path.empty() ? "@" + spec.path.string() : std::string();
  return spec.name + folder + (query == std::string::npos ? "" : spec.text.substr(query));
}

SourceSpec parse_source(const std::string& text) {
  SourceSpec spec;
  spec.text = text;
  if (text.empty()) {
    throw UsageError("an empty source; name a data set, a folder or an .npz file");
  }
  std::error_code error;
  std::string base = text;
  const size_t query = text.rfind('?');
  if (query != std::string::npos && !fs::exists(text, error)) {
    base = text.substr(0, query);
    spec.query = parse_query(std::string_view(text).substr(query + 1), text);
  }
  if (base.starts_with(kRunPrefix)) {
    spec.kind = SourceKind::kRun;
    spec.name = base;
    spec.path = base.substr(kRunPrefix.size());
    if (spec.path.empty()) {
      throw UsageError("source '{}': write run:FOLDER?num=N&seed=S", text);
    }
    parse_part(spec);
    return spec;
  }
  if (const auto& kinds = point_kinds(); std::find(kinds.begin(), kinds.end(), base) != kinds.end()) {
    spec.kind = SourceKind::kPoints;
    spec.name = base;
  } else if (base.starts_with(kNoisePrefix)) {
    parse_noise(std::string_view(base).substr(kNoisePrefix.size()), spec);
  } else if (!parse_named(base, spec)) {
    parse_path(base, spec);
  }
  if (spec.kind == SourceKind::kStatistics && !spec.query.empty()) {
    throw UsageError("source '{}': statistics have no parts to choose from", text);
  }
  parse_part(spec);
  return spec;
}

std::unique_ptr<ImageSource> open_image_source(const SourceSpec& spec, const SourceOptions& options) {
  const ImageFileOptions of_files{.on_bad_file = options.on_bad_file,
                                  .subset = spec.subset,
                                  .framing = spec.framing,
                                  .threads = options.threads};
  switch (spec.kind) {
    case SourceKind::kFolder:
      return open_image_folder(spec.path, of_files);
    case SourceKind::kZip:
      return open_image_zip(spec.path, of_files);
    case SourceKind::kList:
      return open_image_list(spec.path, of_files);
    case SourceKind::kArray:
      return open_array_source(spec.path, spec.subset);
    case SourceKind::kNoise:
      return make_noise_source(spec.text, spec.noise_shape, spec.subset.first, *spec.subset.count, spec.seed);
    case SourceKind::kPoints:
      throw UsageError("source '{}' is a set of points in the plane, where images are needed", spec.text);
    case SourceKind::kRun:
      throw UsageError("source '{}' is a sampler, which cannot be used here; sample to a folder first",
                       spec.text);
    case SourceKind::kFeatures:
      throw UsageError("source '{}' holds features, where images are needed", spec.text);
    case SourceKind::kStatistics:
      throw UsageError("source '{}' holds statistics, where images are needed", spec.text);
    default: {
      ImageDataset dataset = load_named(spec);
      return make_tensor_source(dataset.name, dataset.images_u8, {}, std::move(dataset.notes));
    }
  }
}

ImageDataset load_image_dataset(const SourceSpec& spec) {
  if (is_named(spec.kind)) {
    return load_named(spec);
  }
  constexpr int64_t kBatch = 256;
  const auto source = open_image_source(spec, {.on_bad_file = OnBadFile::kFail});
  std::vector<at::Tensor> batches;
  for (at::Tensor batch; (batch = source->next(kBatch)).defined();) {
    if (!batches.empty() && batch.sizes().slice(1) != batches.front().sizes().slice(1)) {
      throw DataError("{}: images of {} x {} and {} x {} pixels; training needs one size{}", spec.name,
                      batches.front().size(3), batches.front().size(2), batch.size(3), batch.size(2),
                      is_image_files(spec.kind) ? ", as ?crop=center&side=64 makes it" : "");
    }
    batches.push_back(std::move(batch));
  }
  ImageDataset dataset;
  dataset.name = resolved_name(spec);
  dataset.images_u8 = torch::cat(batches);
  dataset.notes = source->report().notes;
  return dataset;
}

}  // namespace ddpm_eval::data
