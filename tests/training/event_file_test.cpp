#include "base/training/event_file.h"

#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <algorithm>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  }
  return text;
}

/// The payloads of a file's records, whose checksums must hold.
std::vector<std::string> payloads(const std::filesystem::path& path) {
  const std::string text = core::read_text(path);
  std::vector<std::string> found;
  for (size_t at = 0; at < text.size();) {
    uint64_t length = 0;
    std::memcpy(&length, text.data() + at, sizeof length);
    found.push_back(text.substr(at + 12, length));
    EXPECT_EQ(text.substr(at, length + 16), detail::tf_record(found.back()));
    at += length + 16;
  }
  return found;
}

TEST(EventFile, ChecksumIsCastagnolis) {
  EXPECT_EQ(detail::crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(detail::crc32c(""), 0U);
  EXPECT_EQ(detail::crc32c(std::string(32, '\0')), 0x8A9136AAU);  // RFC 3720, B.4
}

TEST(EventFile, ARecordIsTheGoldenBytes) {
  const auto event = detail::scalar_event(1.0, 3, {{"a", 0.5}});
  EXPECT_EQ(hex(event), "09000000000000f03f10032a0a0a080a0161150000003f");
  EXPECT_EQ(hex(detail::tf_record(event)),
            "1700000000000000e7cef81e09000000000000f03f10032a0a0a080a0161150000003fa4692d17");
}

TEST(EventFile, MessagesAreThoseOfTheirFields) {
  EXPECT_EQ(hex(detail::version_event(1.0)), "09000000000000f03f1a0d" + hex("brain.Event:2"));
  EXPECT_EQ(hex(detail::start_event(1.0, 300)), "09000000000000f03f10ac023a020801");
  const std::string png = "PNG";
  EXPECT_EQ(hex(detail::image_event(1.0, 1, "s", {.height = 2, .width = 200, .channels = 1, .png = png})),
            "09000000000000f03f10012a13"
            "0a110a0173220c080210c80118012203" +
                hex(png));
}

TEST(EventFile, AResumedRunTakesBackWhatCameAfterItsCheckpoint) {
  const TempDir folder;
  double now = 1000;
  const auto clock = [&] { return now++; };
  EventFile first(folder.path(), 0, clock);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing was told yet";
  first.scalars(10, {{"train/loss", 0.5}});
  first.scalars(20, {{"train/loss", 0.25}});
  EventFile second(folder.path(), 15, clock);
  second.scalars(20, {{"train/loss", 0.25}});
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 2U);
  EXPECT_THAT(files[0].filename().string(), HasSubstr("events.out.tfevents.0000001"));
  const auto of_second = payloads(files[1]);
  ASSERT_EQ(of_second.size(), 3U);
  EXPECT_EQ(hex(of_second[1]).substr(18), "10103a020801") << "step 16 begins anew";
  EXPECT_EQ(payloads(files[0]).size(), 4U);
}

TEST(EventFile, AFolderThatCannotBeMade) {
  EventFile file("/dev/null/below", 0);
  EXPECT_THROW(file.scalars(1, {{"a", 1}}), core::ResourceError);
}

}  // namespace
}  // namespace ddpm_eval::training
