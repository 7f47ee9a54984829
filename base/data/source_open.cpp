#include "base/core/error.h"
#include "base/data/array_source.h"
#include "base/data/cifar10.h"
#include "base/data/cifar10_format.h"
#include "base/data/cifar_archive.h"
#include "base/data/idx.h"
#include "base/data/image_tar.h"
#include "base/data/image_zip.h"
#include "base/data/source_spec.h"

#include <utility>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using core::UsageError;

ImageDataset load_whole(const SourceSpec& spec) {
  std::error_code error;
  if ((spec.kind == SourceKind::kCifar10 || spec.kind == SourceKind::kCifar100) &&
      std::filesystem::is_regular_file(spec.path, error)) {
    return load_cifar_archive(
        spec.path, spec.kind == SourceKind::kCifar10 ? kCifar10Classes : kCifar100Classes, spec.split);
  }
  switch (spec.kind) {
    case SourceKind::kCifar10:
      return load_cifar10(spec.path, spec.split);
    case SourceKind::kCifar100:
      if (!spec.path.empty()) {
        throw DataError("{}: is no file, and CIFAR-100 is read from its official archive",
                        spec.path.string());
      }
      return load_cifar_archive(find_cifar100(), kCifar100Classes, spec.split);
    case SourceKind::kMnist:
      return load_mnist_like("mnist", spec.split, spec.path);
    default:
      return load_mnist_like("fashion-mnist", spec.split, spec.path);
  }
}

ImageDataset load_named(const SourceSpec& spec) {
  ImageDataset dataset = load_whole(spec);
  dataset.name = resolved_name(spec);
  dataset.images_u8 = take_subset(dataset.images_u8, spec.subset, spec.text);
  dataset.labels = take_subset(dataset.labels, spec.subset, spec.text);
  return dataset;
}

}  // namespace

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
    case SourceKind::kTar:
      return open_image_tar(spec.path, of_files);
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
      return make_tensor_source(dataset.name, dataset.images_u8, {},
                                {std::move(dataset.notes), dataset.labels,
                                 Classes{dataset.classes, std::move(dataset.class_names), {}}});
    }
  }
}

ImageDataset load_image_dataset(const SourceSpec& spec) {
  if (is_data_set(spec.kind)) {
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
