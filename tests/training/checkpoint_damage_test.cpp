#include "base/core/file_io.h"
#include "base/data/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/checkpoint_state.h"

#include <cstring>
#include <limits>

#include <gtest/gtest.h>
#include <sys/stat.h>

// Checkpoints that are damaged, or that cannot be written.

namespace ddpm_eval::training {
namespace {

using ::testing::AllOf;
using testing::ConvTask;
using ::testing::HasSubstr;
using testing::kCheckpointConfig;
using testing::LinearTask;
using testing::load;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;
using testing::toy_config;
using testing::trained;

/// The message of loading what `spoil` makes of a good checkpoint, without the digest that tells any change.
std::string message_after(const std::function<void(data::SafeTensors&)>& spoil) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  auto file = data::read_safetensors(folder / kCheckpointFile);
  file.metadata.erase("content_sha256");
  spoil(file);
  data::write_safetensors(folder / kCheckpointFile, file.tensors, file.metadata);
  const auto before = state.parameters[0].tensor.detach().clone();
  const auto message = message_of<core::DataError>([&] { load(folder.path(), state); });
  EXPECT_THAT(message, HasSubstr(kCheckpointFile));
  EXPECT_THAT(state.parameters[0].tensor.detach(), TensorEq(before)) << "changed by a failed load";
  return message;
}

TEST(CheckpointDamage, MissingFileOrFolder) {
  const TempDir folder;
  LinearTask task;
  TrainState state = new_state(task, toy_config(1));
  EXPECT_FALSE(has_checkpoint(folder.path()));
  EXPECT_FALSE(has_checkpoint(folder / "none"));
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder / "none", state); }), HasSubstr(kCheckpointFile));
  EXPECT_THAT(message_of<core::DataError>([&] { load_ema_weights(folder.path()); }),
              HasSubstr(kCheckpointFile));
}

TEST(CheckpointDamage, CutAnywhere) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string whole = testing::checkpoint_bytes(folder.path());
  std::vector<size_t> cuts{0, 1, 7, 8, 9, 100, 1000, whole.size() / 2, whole.size() - 4, whole.size() - 1};
  for (size_t cut = 37; cut < whole.size(); cut += whole.size() / 40) {
    cuts.push_back(cut);
  }
  for (const size_t cut : cuts) {
    core::write_file(folder / kCheckpointFile, whole.substr(0, cut));
    EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr(kCheckpointFile))
        << cut;
  }
  core::write_file(folder / kCheckpointFile, whole + "x");
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr(kCheckpointFile));
}

TEST(CheckpointDamage, OneFlippedBitInATensorIsTold) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string whole = testing::checkpoint_bytes(folder.path());
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof(header));
  const size_t begin = sizeof(header) + header;
  for (size_t at = begin; at < whole.size(); at += (whole.size() - begin) / 50) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    core::write_file(folder / kCheckpointFile, flipped);
    EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }),
                AllOf(HasSubstr(kCheckpointFile), HasSubstr("do not match their digest")));
    EXPECT_THROW(load_ema_weights(folder.path()), core::DataError);
  }
  core::write_file(folder / kCheckpointFile, whole);
  auto file = data::read_safetensors(folder / kCheckpointFile);
  file.metadata["step"] = "6";
  data::write_safetensors(folder / kCheckpointFile, file.tensors, file.metadata);
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr("digest"));
  file.metadata.erase("content_sha256");  // as earlier versions wrote it
  data::write_safetensors(folder / kCheckpointFile, file.tensors, file.metadata);
  load(folder.path(), state);
  EXPECT_EQ(state.step, 6);
}

TEST(CheckpointDamage, WeightsThatAreNotFinite) {
  for (const std::string name : {"model.in.weight", "ema.in.weight", "ema_buffer.norm.running_mean"}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      EXPECT_THAT(message_after([&](auto& file) { tensor::find(file.tensors, name).view(-1)[0] = bad; }),
                  HasSubstr("tensor '" + name + "' holds NaN or infinity"));
    }
  }
}

TEST(CheckpointDamage, MissingExtraOrMisshapenTensor) {
  EXPECT_THAT(message_after([](auto& file) { file.tensors.pop_back(); }),
              HasSubstr("'adam.exp_avg_sq.out.weight' is missing"));
  EXPECT_THAT(message_after([](auto& file) {
                file.tensors.push_back({"model.more", torch::ones({2})});
              }),
              HasSubstr("'model.more' is not part"));
  EXPECT_THAT(message_after([](auto& file) {
                file.tensors[0].tensor = torch::ones({8, 3, 3, 1});
              }),
              AllOf(HasSubstr("'model.in.weight'"), HasSubstr("[8, 3, 3, 1]"), HasSubstr("[8, 3, 3, 3]")));
  EXPECT_THAT(
      message_after([](auto& file) { file.tensors[0].tensor = file.tensors[0].tensor.to(torch::kFloat64); }),
      HasSubstr("float64"));
}

TEST(CheckpointDamage, NewerForeignOrDamagedMetadata) {
  EXPECT_THAT(message_after([](auto& file) { file.metadata["format_version"] = "2"; }),
              HasSubstr("version 2 is newer"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["format"] = "pt"; }), HasSubstr("'pt'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata.clear(); }), HasSubstr("not a checkpoint"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["step"] = "7x"; }), HasSubstr("'7x'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["step"] = "-7"; }), HasSubstr("'-7'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["log_window"] = "{"; }), HasSubstr("damaged"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["config"] = "{}"; }), HasSubstr("digest"));
  EXPECT_THAT(message_after([](auto& file) {
                file.metadata["config"] = "{";
                file.metadata["config_sha256"] = core::sha256_hex(std::string_view("{"));
              }),
              HasSubstr("not a JSON object"));
}

TEST(CheckpointDamage, AFullDiskLeavesTheOldOneWhole) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string before = testing::checkpoint_bytes(folder.path());
  state.step = 8;
  const auto message = message_of<core::ResourceError>([&] {
    const testing::FileSizeLimit full(before.size() / 2);
    save_checkpoint(folder.path(), state, kCheckpointConfig);
  });
  EXPECT_THAT(message, HasSubstr(kCheckpointFile));
  EXPECT_EQ(testing::checkpoint_bytes(folder.path()), before);
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
  }
  EXPECT_EQ(files, 2) << "a partial file was left";
}

TEST(CheckpointDamage, SomethingInTheWay) {
  const TempDir folder;
  LinearTask task;
  const TrainState state = new_state(task, toy_config(1));
  core::write_file(folder / "file", "in the way");
  EXPECT_THAT(
      message_of<core::ResourceError>([&] { save_checkpoint(folder / "file", state, kCheckpointConfig); }),
      HasSubstr((folder / "file").string()));
  std::filesystem::create_directories(folder / "run" / kCheckpointFile);
  EXPECT_THAT(
      message_of<core::ResourceError>([&] { save_checkpoint(folder / "run", state, kCheckpointConfig); }),
      HasSubstr(kCheckpointFile));
}

TEST(CheckpointDamage, WhatIsNoFileIsNotTakenForNothing) {
  const TempDir folder;
  namespace fs = std::filesystem;
  fs::create_directories(folder / "folder" / kCheckpointFile);
  for (const char* name : {"pipe", "loop", "dangling", "device"}) {
    fs::create_directories(folder / name);
  }
  ASSERT_EQ(::mkfifo((folder / "pipe" / kCheckpointFile).c_str(), 0600), 0);
  fs::create_symlink(kCheckpointFile, folder / "loop" / kCheckpointFile);
  fs::create_symlink("nowhere", folder / "dangling" / kCheckpointFile);
  fs::create_symlink("/dev/null", folder / "device" / kCheckpointFile);
  for (const char* name : {"folder", "pipe", "loop", "dangling", "device"}) {
    EXPECT_TRUE(has_checkpoint(folder / name)) << name;
    EXPECT_THAT(message_of<core::DataError>([&] { load_model_weights(folder / name); }),
                HasSubstr((folder / name / kCheckpointFile).string()));
  }
}

TEST(CheckpointDamage, LeftoversOfKilledProcessesGo) {
  const TempDir folder;
  core::write_file(folder / "checkpoint.safetensors.tmp-123-0", "half");
  core::write_file(folder / "config.toml", "kept");
  EXPECT_FALSE(has_checkpoint(folder.path()));
  core::remove_abandoned_files(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder / "checkpoint.safetensors.tmp-123-0"));
  EXPECT_TRUE(std::filesystem::exists(folder / "config.toml"));
}

}  // namespace
}  // namespace ddpm_eval::training
