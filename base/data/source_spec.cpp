#include "base/data/source_spec.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/cifar10.h"
#include "base/data/cifar10_format.h"
#include "base/data/cifar_archive.h"
#include "base/data/feature_file.h"
#include "base/data/image_codec.h"
#include "base/data/image_tar.h"
#include "base/data/points.h"
#include "base/data/statistics_file.h"
#include "base/tensor/shape.h"

#include <charconv>

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
                              {"cifar100", "cifar100", SourceKind::kCifar100},
                              {"mnist", "mnist", SourceKind::kMnist},
                              {"fashion-mnist", "fashion-mnist", SourceKind::kFashionMnist}};
/// More than any set holds; sums of two such counts stay far from overflow.
constexpr uint64_t kMaxCount = uint64_t{1} << 40;
constexpr uint64_t kMaxDrawSeed = (uint64_t{1} << 31) - 1;  // EDM's are modulo 2^31
constexpr const char* kAs = "as";
constexpr std::string_view kImages = "images";
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

bool is_cifar(SourceKind kind) { return kind == SourceKind::kCifar10 || kind == SourceKind::kCifar100; }

/// "cifar10:train".
std::string name_of_part(std::string_view set, Split split) {
  return fmt::format("{}:{}", set, split == Split::kTest ? "test" : "train");
}

/// What ?split= says, of a set that is written as a path; beside the name of a part it must be that
/// part.
void parse_split(const std::string& value, SourceSpec& spec) {
  if (value != "train" && value != "test") {
    throw UsageError("source '{}': split={} is not known; there are train and test", spec.text, value);
  }
  const auto split = value == "test" ? Split::kTest : Split::kTrain;
  const bool is_path = spec.text.substr(0, spec.text.rfind('?')) == spec.path.string();
  if (!is_path && split != spec.split) {
    throw UsageError("source '{}': split={} does not fit {}", spec.text, value, spec.name);
  }
  spec.split = split;
  spec.name = name_of_part(spec.name.substr(0, spec.name.find(':')), split);
}

/// What ?as= says of an .npz that may hold statistics beside its images, as ADM's references do.
bool asks_for_images(const SourceSpec& spec) {
  const auto as = spec.query.find(kAs);
  if (as != spec.query.end() && as->second != kImages) {
    throw UsageError("source '{}': as={} is not known; there is images", spec.text, as->second);
  }
  return as != spec.query.end();
}

/// Whether a part of it may be drawn at random: images in arrays are streamed, and what is made up is random.
bool can_be_drawn_from(SourceKind kind) {
  return is_data_set(kind) || is_image_files(kind) || kind == SourceKind::kFeatures;
}

/// What ?num=B&seed=S says of what can be drawn from.
void parse_draw(const std::string& seed, SourceSpec& spec) {
  const auto number =
      static_cast<uint32_t>(parse_whole("seed", seed, kMaxDrawSeed, "seed from 0 to 2147483647", spec.text));
  if (!spec.subset.count) {
    throw UsageError("source '{}': seed={} draws at random; say how many with num=N", spec.text, seed);
  }
  if (spec.query.contains("first")) {
    throw UsageError("source '{}': first says which, and seed draws them at random: leave one out",
                     spec.text);
  }
  spec.subset = {.draw = Draw{*spec.subset.count, number}};
}

/// Fills in the part of the set that is wanted and the seed. What a run's sampler is told stays in the query.
void parse_part(SourceSpec& spec) {
  std::vector<std::string> known{"first", "num"};
  const bool run = spec.kind == SourceKind::kRun;
  const bool made_up = run || spec.kind == SourceKind::kPoints || spec.kind == SourceKind::kNoise;
  const bool drawable = can_be_drawn_from(spec.kind);
  if (made_up || drawable) {
    known.emplace_back("seed");
  }
  const bool as_images = spec.kind == SourceKind::kArray && spec.path.extension() == ".npz";
  if (as_images) {
    known.emplace_back(kAs);
  }
  const bool files = is_image_files(spec.kind);
  if (files) {
    known.insert(known.end(), {"crop", "side"});
  }
  const bool both_parts = is_cifar(spec.kind) && !spec.path.empty();
  if (both_parts) {
    known.emplace_back("split");
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
    } else if (key == "seed" && drawable) {
      parse_draw(value, spec);  // after num, by the order of keys
    } else if (key == "split" && both_parts) {
      parse_split(value, spec);
    } else if (key == "crop" && files) {
      spec.framing.crop = parse_crop(value, spec.text);
    } else if (key == "side" && files) {
      const uint64_t side = parse_whole(key, value, kMaxImageSide, "side in pixels", spec.text);
      if (side == 0) {
        throw UsageError("source '{}': side=0 is no side in pixels", spec.text);
      }
      spec.framing.side = static_cast<int64_t>(side);
    } else if (!run && !(key == kAs && as_images)) {
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
  spec.name = name_of_part(set->name, spec.split);
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
  const bool is_tar = is_tar_name(spec.path);
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
        extension == ".safetensors" || is_zip || is_tar) {
      throw DataError("{}: no such file or folder", base);
    }
    const auto words = all_words();
    throw UsageError(
        "unknown source '{}'{}; a source is a folder, an .npz, .npy, .zip or .tar file, @LIST, {}", base,
        core::did_you_mean(base.substr(0, base.find_first_of(":@")), words), core::join_or(words));
  }
  if (fs::is_directory(spec.path, error)) {
    if (is_cifar10_folder(spec.path)) {
      spec.kind = SourceKind::kCifar10;
      spec.name = "cifar10:train";
    } else {
      spec.kind = SourceKind::kFolder;
    }
  } else if (extension == ".npz") {
    spec.kind = asks_for_images(spec)           ? SourceKind::kArray
                : is_statistics_file(spec.path) ? SourceKind::kStatistics
                : is_feature_file(spec.path)    ? SourceKind::kFeatures
                                                : SourceKind::kArray;
  } else if (extension == ".npy" || extension == ".safetensors") {
    spec.kind = is_feature_file(spec.path) ? SourceKind::kFeatures : SourceKind::kArray;
  } else if (is_zip) {
    spec.kind = SourceKind::kZip;
  } else if (is_tar) {
    const auto release = cifar_release(spec.path);
    spec.kind = !release                              ? SourceKind::kTar
                : release->classes == kCifar10Classes ? SourceKind::kCifar10
                                                      : SourceKind::kCifar100;
    if (release) {
      spec.name = name_of_part(fmt::format("cifar{}", release->classes), spec.split);
    }
  } else {
    throw UsageError(
        "source '{}' is a file, but none of .npz, .npy, .zip, .tar, .tar.gz and .tgz; write @{} if it lists "
        "paths, unpack other archives, and give single images in a folder",
        base, base);
  }
}

}  // namespace

bool is_data_set(SourceKind kind) {
  return is_cifar(kind) || kind == SourceKind::kMnist || kind == SourceKind::kFashionMnist;
}

bool is_image_files(SourceKind kind) {
  return kind == SourceKind::kFolder || kind == SourceKind::kZip || kind == SourceKind::kTar ||
         kind == SourceKind::kList;
}

std::string resolved_name(const SourceSpec& spec) {
  if (spec.kind == SourceKind::kRun) {
    return spec.text;
  }
  const size_t query = spec.query.empty() ? std::string::npos : spec.text.rfind('?');
  const auto folder = is_data_set(spec.kind) && !spec.path.empty() ? "@" + spec.path.string() : std::string();
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
    throw UsageError(
        "source '{}': statistics have no parts to choose from{}", text,
        holds_images_too(spec.path)
            ? fmt::format("; {}?as=images, with the same options by &, is the images in that file",
                          spec.path.string())
            : "");
  }
  parse_part(spec);
  return spec;
}

}  // namespace ddpm_eval::data
