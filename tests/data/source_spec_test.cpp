#include "base/data/source_spec.h"

#include "base/core/error.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/sinks.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using core::UsageError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

std::string usage_error(const std::string& text) {
  return message_of<UsageError>([&] { parse_source(text); });
}

class SourceSpecFiles : public ::testing::Test {
 protected:
  SourceSpecFiles() : home_("DDPM_EVAL_HOME", (dir_ / "home").string()) {
    const auto cifar = dir_ / "home/data/cifar-10-batches-bin";
    std::filesystem::create_directories(cifar);
    std::string records;
    for (int i = 0; i < 10; ++i) {
      records.push_back(static_cast<char>(i));
      records.append(3072, static_cast<char>(20 * i));
    }
    testing::put_file(cifar / "test_batch.bin", records);
  }
  std::string put_folder(const std::string& name, const at::Tensor& images) {
    make_png_folder_sink(dir_ / name)->write(images);
    return (dir_ / name).string();
  }
  testing::TempDir dir_;
  testing::Environment home_;
};

TEST(SourceSpec, NamesOfDataSets) {
  const SourceSpec cifar = parse_source("cifar");
  EXPECT_EQ(cifar.kind, SourceKind::kCifar10);
  EXPECT_EQ(cifar.name, "cifar10:train");
  EXPECT_EQ(cifar.text, "cifar");
  EXPECT_EQ(cifar.path, "");
  EXPECT_EQ(parse_source("cifar10:test").split, Split::kTest);
  EXPECT_EQ(parse_source("mnist").name, "mnist:train");
  EXPECT_EQ(parse_source("mnist:test").kind, SourceKind::kMnist);
  EXPECT_EQ(parse_source("fashion-mnist:test").kind, SourceKind::kFashionMnist);
  // The text begins as the path does.
  EXPECT_THROW(parse_source("cifar10:test@c?split=train"), UsageError);
  const SourceSpec placed = parse_source("cifar10:test@/data/c?first=3&num=4");
  EXPECT_EQ(placed.path, "/data/c");
  EXPECT_EQ(placed.name, "cifar10:test");
  EXPECT_EQ(placed.subset.first, 3);
  EXPECT_EQ(placed.subset.count, 4);
}

TEST(SourceSpec, ResolvedNamesKeepPartAndFolder) {
  const auto resolved = [](const std::string& text) { return resolved_name(parse_source(text)); };
  EXPECT_EQ(resolved("cifar"), "cifar10:train");
  EXPECT_EQ(resolved("cifar?num=4"), "cifar10:train?num=4");
  EXPECT_EQ(resolved("mnist@/data/m?first=3&num=4"), "mnist:train@/data/m?first=3&num=4");
  for (const auto* whole : {"fashion-mnist:test@/data/f", "moons?num=3", "gaussian-noise:8x8x1?num=2&seed=3",
                            "run:r?num=3", "run:r?num=3&steps=5"}) {
    EXPECT_EQ(resolved(whole), whole);
  }
}

TEST(SourceSpec, PointsAndRuns) {
  EXPECT_EQ(parse_source("8-gaussians").kind, SourceKind::kPoints);
  EXPECT_EQ(parse_source("swiss-roll").name, "swiss-roll");
  EXPECT_EQ(parse_source("moons?num=7").subset.count, 7);
  const SourceSpec run = parse_source("run:runs/cifar10?num=50000&seed=1");
  EXPECT_EQ(run.kind, SourceKind::kRun);
  EXPECT_EQ(run.path, "runs/cifar10");
  EXPECT_EQ(run.subset.count, 50'000);
  EXPECT_EQ(run.seed, 1U);
  EXPECT_TRUE(run.query.empty());
  const SourceSpec tuned = parse_source("run:r?first=8&num=4&steps=50&sampler=ddim");
  EXPECT_EQ(tuned.subset.first, 8);
  EXPECT_EQ(tuned.query, (std::map<std::string, std::string>{{"sampler", "ddim"}, {"steps", "50"}}));
  EXPECT_EQ(parse_source("moons?seed=18446744073709551615").seed, UINT64_MAX);
}

TEST(SourceSpec, DrawsOfWhatThereIs) {
  const auto drawn = parse_source("mnist?num=7&seed=2147483647");
  EXPECT_EQ(drawn.subset.draw.value().count, 7);
  EXPECT_EQ(drawn.subset.draw.value().seed, 2'147'483'647U);
  EXPECT_FALSE(drawn.subset.count);
  EXPECT_EQ(resolved_name(drawn), "mnist:train?num=7&seed=2147483647");
  EXPECT_FALSE(parse_source("mnist?num=7").subset.draw);
  EXPECT_FALSE(parse_source("moons?num=7&seed=1").subset.draw) << "what it is made from";
  EXPECT_THAT(usage_error("mnist?seed=1"), HasSubstr("seed=1 draws at random; say how many with num=N"));
  EXPECT_THAT(usage_error("mnist?first=0&num=2&seed=1"),
              HasSubstr("first says which, and seed draws them at random: leave one out"));
  EXPECT_THAT(usage_error("mnist?num=2&seed=2147483648"), HasSubstr("is no seed from 0 to 2147483647"));
}

TEST(SourceSpec, WrongWordsNameTheNearest) {
  EXPECT_THAT(usage_error("cifar-10"), HasSubstr("unknown source 'cifar-10'; did you mean 'cifar10'?"));
  EXPECT_THAT(usage_error("fashionmnist:test"), HasSubstr("did you mean 'fashion-mnist'?"));
  EXPECT_THAT(usage_error("swiss-rol"), HasSubstr("did you mean 'swiss-roll'?"));
  EXPECT_THAT(usage_error("something-else"),
              HasSubstr("a source is a folder, an .npz, .npy, .zip or .tar file"));
  EXPECT_THAT(usage_error("cifar10:validation"), HasSubstr("'validation' is no part of cifar10"));
  EXPECT_THAT(usage_error("cifar10:test@"), HasSubstr("a folder must follow the '@'"));
  EXPECT_THAT(usage_error("run:?num=5"), HasSubstr("write run:FOLDER"));
  EXPECT_THAT(usage_error(""), HasSubstr("empty source"));
}

TEST(SourceSpec, WrongQueries) {
  EXPECT_THAT(usage_error("mnist?nun=5"), HasSubstr("unknown key 'nun'; did you mean 'num'?"));
  EXPECT_THAT(usage_error("mnist?num=-5"), HasSubstr("num=-5 is no count"));
  for (const auto* nothing : {"mnist?num=0", "moons?num=0", "run:r?num=0"}) {
    EXPECT_THAT(usage_error(nothing), HasSubstr("num=0 leaves nothing; expected 1 or more"));
  }
  EXPECT_THAT(usage_error("mnist?num=5x"), HasSubstr("num=5x is no count"));
  EXPECT_THAT(usage_error("mnist?num=99999999999999999999"), HasSubstr("is no count"));
  EXPECT_THAT(usage_error("run:r?num=-5"), HasSubstr("num=-5 is no count"));
  EXPECT_THAT(usage_error("run:r?num=5&seed=x"), HasSubstr("seed=x is no seed"));
  EXPECT_THAT(usage_error("moons?seed=18446744073709551616"), HasSubstr("is no seed"));
  EXPECT_THAT(usage_error("run:r?seed=5"), HasSubstr("say how many images with ?num=N"));
  for (const auto* query : {"mnist?num", "mnist?=5", "mnist?num=", "mnist?&"}) {
    EXPECT_THAT(usage_error(query), HasSubstr("no key=value")) << query;
  }
  EXPECT_EQ(usage_error("mnist?num=1&num=2"), "source 'mnist?num=1&num=2': num is there twice");
}

TEST_F(SourceSpecFiles, PathsAreToldApart) {
  const at::Tensor images = torch::randint(0, 256, {4, 3, 5, 6}, torch::kUInt8);
  EXPECT_EQ(parse_source(put_folder("images", images)).kind, SourceKind::kFolder);
  EXPECT_EQ(parse_source((dir_ / "home/data").string()).kind, SourceKind::kCifar10);
  write_npz(dir_ / "s.npz", {{"mu", torch::zeros({2})}, {"sigma", torch::eye(2)}});
  EXPECT_EQ(parse_source((dir_ / "s.npz").string()).kind, SourceKind::kStatistics);
  write_npz(dir_ / "i.npz", {{"arr_0", torch::zeros({1, 2, 2, 3}, torch::kUInt8)}});
  EXPECT_EQ(parse_source((dir_ / "i.npz").string()).kind, SourceKind::kArray);
  EXPECT_THAT(usage_error((dir_ / "i.npz?num=1&seed=1").string()), HasSubstr("unknown key 'seed'"))
      << "it is streamed";
  write_npz(dir_ / "adm.npz", {{"mu", torch::zeros({2})},
                               {"sigma", torch::eye(2)},
                               {"arr_0", torch::zeros({1, 2, 2, 3}, torch::kUInt8)}});
  EXPECT_EQ(parse_source((dir_ / "adm.npz").string()).kind, SourceKind::kStatistics);
  const auto beside = parse_source((dir_ / "adm.npz?as=images&num=1").string());
  EXPECT_EQ(beside.kind, SourceKind::kArray);
  EXPECT_EQ(beside.subset.count, 1);
  EXPECT_EQ(
      usage_error((dir_ / "adm.npz?as=pictures").string()),
      "source '" + (dir_ / "adm.npz?as=pictures").string() + "': as=pictures is not known; there is images");
  const auto file = (dir_ / "adm.npz").string();
  EXPECT_EQ(usage_error(file + "?num=1"),
            "source '" + file + "?num=1': statistics have no parts to choose from; " + file +
                "?as=images, with the same options by &, is the images in that file");
  EXPECT_EQ(usage_error((dir_ / "s.npz?num=1").string()),
            "source '" + (dir_ / "s.npz?num=1").string() + "': statistics have no parts to choose from");
  write_npz(dir_ / "spatial.npz", {{"mu_s", torch::zeros({2})}, {"sigma_s", torch::eye(2)}});
  EXPECT_EQ(parse_source((dir_ / "spatial.npz").string()).kind, SourceKind::kStatistics);
  write_npz(dir_ / "reps.npz", {{"reps", torch::zeros({5, 4})}});
  EXPECT_EQ(parse_source((dir_ / "reps.npz").string()).kind, SourceKind::kFeatures);
  testing::put_file(dir_ / "f.npy", to_npy(torch::zeros({5, 4})));
  EXPECT_EQ(parse_source((dir_ / "f.npy?first=1").string()).kind, SourceKind::kFeatures);
  testing::put_file(dir_ / "points.npy", to_npy(torch::zeros({5, 2})));
  EXPECT_EQ(parse_source((dir_ / "points.npy").string()).kind, SourceKind::kArray);
  testing::put_file(dir_ / "cut.npz", "PK");
  EXPECT_EQ(parse_source((dir_ / "cut.npz").string()).kind, SourceKind::kArray);
  testing::put_file(dir_ / "a.7z", "x");
  EXPECT_THAT(usage_error((dir_ / "a.7z").string()), HasSubstr("none of .npz, .npy, .zip, .tar, .tar.gz"));
  for (const char* name : {"a.tar", "a.TAR.gz", "a.tgz"}) {
    testing::put_file(dir_ / name, "x");
    EXPECT_EQ(parse_source((dir_ / name).string()).kind, SourceKind::kTar) << name;
  }
  EXPECT_THAT(message_of<DataError>([&] { parse_source((dir_ / "none").string()); }),
              HasSubstr("none: no such file or folder"));
  EXPECT_THAT(message_of<DataError>([&] { parse_source("none.npz"); }), HasSubstr("none.npz: no such file"));
  put_folder("odd?num=1", images);
  EXPECT_EQ(parse_source((dir_ / "odd?num=1").string()).path, dir_ / "odd?num=1");
}

TEST_F(SourceSpecFiles, FoldersAreFramed) {
  const at::Tensor images = torch::randint(0, 256, {3, 3, 8, 10}, torch::kUInt8);
  const std::string folder = put_folder("images", images);
  const auto framed = parse_source(folder + "?crop=center&side=8&first=1");
  EXPECT_EQ(framed.framing.crop, Crop::kCenter);
  EXPECT_EQ(framed.framing.side, 8);
  EXPECT_THAT(load_image_dataset(framed).images_u8, TensorEq(images.narrow(0, 1, 2).narrow(3, 1, 8)));
  EXPECT_EQ(resolved_name(framed), folder + "?crop=center&side=8&first=1");
  EXPECT_EQ(parse_source(folder + "?crop=celeba").framing.crop, Crop::kCelebA);
  make_png_folder_sink(dir_ / "images/more")->write(torch::zeros({1, 3, 9, 6}, torch::kUInt8));
  const auto both = load_image_dataset(parse_source(folder + "?crop=center&side=6"));
  EXPECT_EQ(both.images_u8.sizes(), (at::IntArrayRef{4, 3, 6, 6})) << "one size from two";
  EXPECT_THAT(both.notes,
              ::testing::Contains("cropped to the square in the middle, resized to 6 x 6 by area"));
  EXPECT_THAT(
      message_of<DataError>([&] { load_image_dataset(parse_source(folder + "?crop=center&side=7")); }),
      HasSubstr("000000.png: has 6 x 6 pixels to use, and nothing is enlarged to side=7"));
  EXPECT_THAT(message_of<DataError>([&] { load_image_dataset(parse_source(folder + "?crop=celeba")); }),
              HasSubstr("000000.png: has 10 x 8 pixels, and crop=celeba is for the aligned 178 x 218"));
  EXPECT_THAT(usage_error(folder + "?crop=centre"), HasSubstr("crop=centre is not known; there are center"));
  EXPECT_THAT(usage_error(folder + "?side=0"), HasSubstr("side=0 is no side in pixels"));
  EXPECT_THAT(usage_error(folder + "?side=32769"), HasSubstr("side=32769 is no side in pixels"));
  EXPECT_THAT(usage_error("cifar10:test?crop=center"), HasSubstr("unknown key 'crop'"));
}

TEST_F(SourceSpecFiles, EverySetOfImagesOpens) {
  const at::Tensor images = torch::randint(0, 256, {4, 3, 5, 6}, torch::kUInt8);
  const std::string folder = put_folder("images", images);
  write_npz(dir_ / "i.npz", {{"arr_0", images.permute({0, 2, 3, 1})}});
  for (const auto& text : {folder, (dir_ / "i.npz").string()}) {
    EXPECT_THAT(open_image_source(parse_source(text))->next(9), TensorEq(images));
    EXPECT_THAT(open_image_source(parse_source(text + "?first=1&num=2"))->next(9),
                TensorEq(images.narrow(0, 1, 2)));
    EXPECT_THAT(load_image_dataset(parse_source(text)).images_u8, TensorEq(images));
  }
  const auto cifar = open_image_source(parse_source("cifar10:test?first=5&num=2"));
  EXPECT_EQ(cifar->name(), "cifar10:test?first=5&num=2");
  EXPECT_EQ(cifar->size(), 2);
  EXPECT_EQ(cifar->next(9)[0][0][0][0].item<int>(), 100);
  EXPECT_THAT(cifar->report().notes,
              ::testing::ElementsAre("test_batch.bin holds 10 records, the official file 10,000"));
}

TEST_F(SourceSpecFiles, DataSetsAndFoldersAreDrawnFrom) {
  const auto cifar = open_image_source(parse_source("cifar10:test?num=4&seed=0"));
  EXPECT_THAT(cifar->next(9).select(3, 0).select(2, 0).select(1, 0).to(at::kLong),
              TensorEq(torch::tensor({40, 80, 160, 180})));
  EXPECT_THAT(cifar->labels(), TensorEq(torch::tensor({2, 4, 8, 9})));
  EXPECT_THAT(message_of<UsageError>([&] { open_image_source(parse_source("cifar10:test?num=11&seed=0")); }),
              HasSubstr("num=11 does not fit: it holds 10 items"));
  const at::Tensor images = torch::randint(0, 256, {4, 3, 5, 6}, torch::kUInt8);
  auto folder = parse_source(put_folder("images", images) + "?num=2&seed=1");
  EXPECT_THAT(load_image_dataset(folder).images_u8, TensorEq(images.narrow(0, 2, 2)));
  folder.subset.first = 1;  // as one of the drawn is asked for
  folder.subset.count = 1;
  EXPECT_THAT(load_image_dataset(folder).images_u8, TensorEq(images.narrow(0, 3, 1)));
}

TEST_F(SourceSpecFiles, OtherKindsAreNotImages) {
  const auto error = [](const std::string& text) {
    return message_of<UsageError>([&] { open_image_source(parse_source(text)); });
  };
  EXPECT_THAT(error("moons"), HasSubstr("points in the plane"));
  EXPECT_THAT(error("run:somewhere?num=1"), HasSubstr("is a sampler"));
  write_npz(dir_ / "s.npz", {{"mu", torch::zeros({2})}, {"sigma", torch::eye(2)}});
  EXPECT_THAT(error((dir_ / "s.npz").string()), HasSubstr("holds statistics"));
  EXPECT_THAT(usage_error((dir_ / "s.npz").string() + "?num=1"), HasSubstr("statistics have no parts"));
}

TEST_F(SourceSpecFiles, DataSetsHaveTheirLabels) {
  const auto source = open_image_source(parse_source("cifar10:test?first=7&num=3"));
  EXPECT_EQ(source->classes().count, 10);
  EXPECT_EQ(source->classes().names.at(9), "truck");
  source->next(2);
  EXPECT_THAT(source->labels(), TensorEq(torch::tensor({7, 8}, torch::kInt64)));
}

TEST_F(SourceSpecFiles, DataSetsForTraining) {
  const ImageDataset part = load_image_dataset(parse_source("cifar10:test?first=7&num=3"));
  EXPECT_EQ(part.name, "cifar10:test?first=7&num=3");
  EXPECT_THAT(part.labels, TensorEq(torch::tensor({7, 8, 9}, torch::kInt64)));
  EXPECT_EQ(part.images_u8.size(0), 3);
  EXPECT_EQ(part.classes, 10);
  EXPECT_THAT(message_of<UsageError>([] { load_image_dataset(parse_source("cifar10:test?first=7&num=4")); }),
              HasSubstr("num=4 does not fit: 3 items follow"));
  EXPECT_THAT(message_of<DataError>([] { load_image_dataset(parse_source("cifar10:train")); }),
              HasSubstr("data_batch_1.bin: is missing"));
}

TEST_F(SourceSpecFiles, TrainingFoldersMustBeOfOneSizeAndReadable) {
  const std::string folder = put_folder("images", torch::zeros({2, 3, 4, 4}, torch::kUInt8));
  make_png_folder_sink(dir_ / "images/more")->write(torch::zeros({1, 3, 5, 4}, torch::kUInt8));
  EXPECT_THAT(
      message_of<DataError>([&] { load_image_dataset(parse_source(folder)); }),
      HasSubstr(
          "images of 4 x 4 and 4 x 5 pixels; training needs one size, as ?crop=center&side=64 makes it"));
  testing::put_file(dir_ / "images/bad.png", "text");
  EXPECT_THAT(message_of<DataError>([&] { load_image_dataset(parse_source(folder)); }), HasSubstr("bad.png"));
}

}  // namespace
}  // namespace ddpm_eval::data
