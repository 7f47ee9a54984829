#include "metrics/small_net.h"

#include "base/core/error.h"
#include "base/training/loop.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <limits>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;
using testing::TensorNear;

constexpr SmallNetOptions kTiny{1, 16, 4, 8};

/// Images of four classes that differ in where they are bright, with a little texture.
data::ImageDataset quadrants(int64_t count, const SmallNetOptions& options = kTiny) {
  auto images = torch::zeros({count, options.channels, options.side, options.side}, at::kByte);
  auto labels = torch::arange(count) % options.classes;
  const int64_t half = options.side / 2;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % 4;
    auto corner = images[i].narrow(1, half * (label / 2), half).narrow(2, half * (label % 2), half);
    corner.fill_(100 + (i * 37) % 150);
    images[i].select(1, i % options.side).add_(i % 5);
  }
  return {"quadrants", images, labels, options.classes, {}, {}};
}

SmallNetTraining plain_training() {
  SmallNetTraining training;
  training.batch_size = 16;
  training.max_shift = 1;
  training.flip = false;
  return training;
}

data::SafeTensors file_of(const SmallNetTask& task, const SmallNetOptions& options = kTiny) {
  SmallNetCard card;
  card.name = "quadrants";
  card.test_accuracy = 0.9125;
  return small_net_file(options, card, task.folded());
}

at::Tensor padded(const FeatureNet& net, const at::Tensor& input) {
  return at::constant_pad_nd(input, {0, 0, 0, 0, 0, 0, 0, net.micro_batch() - input.size(0)});
}

TEST(SmallNet, ParametersFitTheFile) {
  SmallNetTask task({}, {}, quadrants(8, {}));
  int64_t count = 0;
  for (const auto& [name, tensor] : task.parameters()) {
    count += tensor.numel();
  }
  EXPECT_EQ(count, 71872);
  EXPECT_EQ(make_small_net(file_of(task, {}), "file", "")->info().dim, 128);
}

TEST(SmallNet, LearnsFourQuadrants) {
  SmallNetTask task(kTiny, plain_training(), quadrants(64));
  const auto loop = small_net_loop(60);
  auto state = training::new_state(task, loop);
  const auto report = training::run_loop(task, loop, {}, state);
  EXPECT_LT(report.last_loss, 0.7);  // chance: log 4 = 1.39
  const auto net = make_small_net(file_of(task), "file", "");
  const auto data = quadrants(70);
  EXPECT_GE(accuracy(*net, data.images_u8, data.labels), 0.95);
}

// What is folded is the network in its evaluation mode: the same features as normalising with the running
// statistics.
TEST(SmallNet, FoldingKeepsTheFunction) {
  // Running statistics of one batch alone, the whole data set: after many repetitions they have converged to
  // it.
  auto training = plain_training();
  training.max_shift = 0;
  SmallNetTask still(kTiny, training, quadrants(16));
  training::StepLog log;
  for (int64_t step = 0; step < 150; ++step) {
    const at::NoGradGuard no_grad;
    still.loss(0, log);
  }
  const at::NoGradGuard no_grad;
  const double trained = still.loss(0, log).item<double>();
  const auto net = make_small_net(file_of(still), "file", "");
  const auto batch = still.batch(0);
  const auto logits = net->forward(padded(*net, batch.images)).logits.narrow(0, 0, 16);
  // Training divides by n and the running variance by n - 1, which differ by 1 in 256 at the smallest feature
  // map.
  EXPECT_NEAR(at::cross_entropy_loss(logits, batch.labels).item<double>(), trained, 0.02 * trained);
}

TEST(SmallNet, StepsAreFunctionsOfTheirNumber) {
  SmallNetTraining training = plain_training();
  training.flip = true;
  SmallNetTask one(kTiny, training, quadrants(40));
  SmallNetTask two(kTiny, training, quadrants(40));
  one.batch(0);
  EXPECT_THAT(one.batch(7).images, TensorEq(two.batch(7).images));
  EXPECT_FALSE(torch::equal(one.batch(7).images, one.batch(8).images));
  EXPECT_EQ(one.batch(3).images.sizes(), at::IntArrayRef({16, 1, 16, 16}));
  EXPECT_GE(one.batch(3).images.min().item<float>(), -1.0F);
  EXPECT_LE(one.batch(3).images.max().item<float>(), 1.0F);
  training.seed = 1;
  SmallNetTask other(kTiny, training, quadrants(40));
  EXPECT_FALSE(torch::equal(one.parameters()[0].tensor, other.parameters()[0].tensor));
}

// A single bright pixel in the middle stays within max_shift of it, and reaches every offset in time.
TEST(SmallNet, ShiftsStayWithinTheirLimit) {
  auto data = quadrants(4);
  data.images_u8.zero_();
  data.images_u8.select(2, 8).select(2, 8).fill_(255);
  SmallNetTraining training = plain_training();
  training.max_shift = 2;
  SmallNetTask task(kTiny, training, data);
  auto seen = torch::zeros({16, 16});
  for (int64_t step = 0; step < 40; ++step) {
    const auto images = task.batch(step).images;
    EXPECT_EQ((images > 0).sum().item<int64_t>(), 16);
    seen += (images > 0).to(at::kFloat).flatten(0, 1).sum(0);
  }
  EXPECT_EQ((seen > 0).sum().item<int64_t>(), 25);
  EXPECT_EQ((seen.narrow(0, 6, 5).narrow(1, 6, 5) > 0).sum().item<int64_t>(), 25);
}

TEST(SmallNet, PreparesGreyAndColour) {
  SmallNetTask grey_task(kTiny, plain_training(), quadrants(4));
  const auto grey = make_small_net(file_of(grey_task), "file", "");
  const auto ramp = torch::arange(256, at::kByte).view({1, 1, 16, 16});
  const auto prepared = grey->prepare(ramp.expand({1, 3, 16, 16}));
  EXPECT_EQ(prepared.sizes(), at::IntArrayRef({1, 1, 16, 16}));
  EXPECT_THAT(prepared, TensorEq(ramp.to(at::kFloat) / 127.5F - 1.0F));

  const SmallNetOptions colour{3, 16, 4, 8};
  SmallNetTask colour_task(colour, plain_training(), quadrants(4, colour));
  const auto rgb = make_small_net(file_of(colour_task, colour), "file", "");
  EXPECT_EQ(rgb->prepare(ramp.expand({2, 3, 16, 16})).sizes(), at::IntArrayRef({2, 3, 16, 16}));
  EXPECT_THAT(message_of<core::DataError>([&] {
                rgb->prepare(torch::zeros({1, 3, 16, 20}, at::kByte));
              }),
              HasSubstr("images are 20 x 16 pixels, and quadrants scores 16 x 16 alone"));
}

TEST(SmallNet, RowsDoNotDependOnTheirNeighbours) {
  SmallNetTask task(kTiny, plain_training(), quadrants(16));
  const auto net = make_small_net(file_of(task), "file", "");
  const auto input = net->prepare(quadrants(net->micro_batch()).images_u8.expand({-1, 3, -1, -1}));
  const auto all = net->forward(input);
  EXPECT_EQ(all.features.sizes(), at::IntArrayRef({net->micro_batch(), 32}));
  EXPECT_EQ(all.logits.sizes(), at::IntArrayRef({net->micro_batch(), 4}));
  auto changed = input.clone();
  changed.narrow(0, 1, net->micro_batch() - 1).zero_();
  EXPECT_THAT(net->forward(changed).features[0], TensorEq(all.features[0]));
}

TEST(SmallNet, FileRoundTrip) {
  TempDir folder;
  SmallNetTask task(kTiny, plain_training(), quadrants(16));
  auto file = file_of(task);
  data::write_safetensors(folder / "net.safetensors", file.tensors, file.metadata);
  const auto net = load_small_net(folder / "net.safetensors");
  EXPECT_EQ(net->info().name, "quadrants");
  EXPECT_EQ(net->info().weights_sha256.size(), 64U);
  EXPECT_EQ(net->info().classes, 4);
  EXPECT_EQ(small_net_card(file.metadata, "file").test_accuracy, 0.9125);
  const auto input = padded(*net, task.batch(0).images);
  EXPECT_THAT(net->forward(input).features, TensorEq(make_small_net(file, "", "")->forward(input).features));
}

TEST(SmallNet, RefusesDamagedFiles) {
  SmallNetTask task(kTiny, plain_training(), quadrants(16));
  const auto good = file_of(task);
  const auto message = [](const data::SafeTensors& file) {
    return message_of<core::DataError>([&] { make_small_net(file, "net.safetensors", ""); });
  };
  auto bad = good;
  bad.tensors.pop_back();
  EXPECT_THAT(message(bad), HasSubstr("net.safetensors: the tensor 'classifier.weight' is missing"));
  bad = good;
  bad.tensors[0].tensor = torch::zeros({3});
  EXPECT_THAT(message(bad), HasSubstr("'stem.1.weight' is float32 [3] and should be float32 [4, 1, 5, 5]"));
  bad = good;
  bad.tensors[1].tensor = torch::full_like(bad.tensors[1].tensor, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message(bad), HasSubstr("'stem.1.bias' holds NaN"));
  bad = good;
  bad.metadata.erase("format");
  EXPECT_THAT(message(bad), HasSubstr("no 'format'"));
  bad = good;
  bad.metadata["width"] = "12";
  EXPECT_THAT(message(bad), HasSubstr("multiple of 8"));
  bad.metadata["width"] = "wide";
  EXPECT_THAT(message(bad), HasSubstr("'wide', which is no number"));
}

TEST(SmallNet, RefusesUnsuitableData) {
  const auto message = [](const data::ImageDataset& dataset) {
    return message_of<core::DataError>([&] { SmallNetTask(kTiny, plain_training(), dataset); });
  };
  auto data = quadrants(8);
  data.labels = at::Tensor();
  EXPECT_THAT(message(data), HasSubstr("quadrants has no labels"));
  data = quadrants(8);
  data.labels[3] = 4;
  EXPECT_THAT(message(data), HasSubstr("labels from 0 to 4, and the network 4 classes"));
  EXPECT_THAT(message(quadrants(8, {1, 20, 4, 8})),
              HasSubstr("images of [1, 20, 20] and the network takes 1 channels"));
  data = quadrants(0);
  EXPECT_THAT(message(data), HasSubstr("is empty"));
  EXPECT_THAT(message_of<core::UsageError>([] {
                SmallNetTask({2, 16, 4, 8}, {}, quadrants(4));
              }),
              HasSubstr("net.channels: 2 is neither 1 nor 3"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
