#include "base/training/event_file.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include <unistd.h>

namespace ddpm_eval::training {
namespace {

// Field numbers of tensorflow/core/util/event.proto and framework/summary.proto.
constexpr int kEventWallTime = 1;
constexpr int kEventStep = 2;
constexpr int kEventFileVersion = 3;
constexpr int kEventSummary = 5;
constexpr int kEventSessionLog = 7;
constexpr int kSessionLogStatus = 1;
constexpr uint64_t kSessionStart = 1;
constexpr int kSummaryValue = 1;
constexpr int kValueTag = 1;
constexpr int kValueSimple = 2;
constexpr int kValueImage = 4;
constexpr int kImageHeight = 1;
constexpr int kImageWidth = 2;
constexpr int kImageColours = 3;
constexpr int kImageBytes = 4;

static_assert(std::endian::native == std::endian::little, "frames and messages are little-endian");

template <class Value>
void append_raw(std::string& out, Value value) {
  std::array<char, sizeof(Value)> bytes{};
  std::memcpy(bytes.data(), &value, sizeof(Value));
  out.append(bytes.data(), bytes.size());
}

/// A protocol buffer under construction.
class Message {
 public:
  Message& number(int field, uint64_t value) {
    tag(field, 0);
    varint(value);
    return *this;
  }
  Message& real(int field, double value) {
    tag(field, 1);
    append_raw(bytes_, value);
    return *this;
  }
  Message& real(int field, float value) {
    tag(field, 5);
    append_raw(bytes_, value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    tag(field, 2);
    varint(value.size());
    bytes_.append(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void tag(int field, unsigned type) { varint(static_cast<uint64_t>(field) << 3U | type); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
      bytes_.push_back(static_cast<char>(value | 0x80U));
    }
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

Message event(double time, int64_t step) {
  Message message;
  message.real(kEventWallTime, time);
  if (step != 0) {
    message.number(kEventStep, static_cast<uint64_t>(step));
  }
  return message;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1U) != 0 ? crc >> 1U ^ 0x82f63b78U : crc >> 1U;
    }
    table[byte] = crc;
  }
  return table;
}

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = detail::crc32c(bytes);
  return (crc >> 15U | crc << 17U) + 0xa282ead8U;
}

double system_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

namespace detail {

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc = crc >> 8U ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xffU];
  }
  return ~crc;
}

std::string tf_record(std::string_view payload) {
  std::string record;
  append_raw(record, static_cast<uint64_t>(payload.size()));
  append_raw(record, masked_crc(record));
  record.append(payload);
  append_raw(record, masked_crc(payload));
  return record;
}

std::string version_event(double time) {
  return event(time, 0).text(kEventFileVersion, "brain.Event:2").bytes();
}

std::string start_event(double time, int64_t step) {
  Message session;
  session.number(kSessionLogStatus, kSessionStart);
  return event(time, step).text(kEventSessionLog, session.bytes()).bytes();
}

std::string scalar_event(double time, int64_t step, const StepLog& values) {
  Message summary;
  for (const auto& [name, value] : values) {
    Message entry;
    entry.text(kValueTag, name).real(kValueSimple, static_cast<float>(value));
    summary.text(kSummaryValue, entry.bytes());
  }
  return event(time, step).text(kEventSummary, summary.bytes()).bytes();
}

std::string image_event(double time, int64_t step, std::string_view name, const EventImage& image) {
  Message picture;
  picture.number(kImageHeight, static_cast<uint64_t>(image.height))
      .number(kImageWidth, static_cast<uint64_t>(image.width))
      .number(kImageColours, static_cast<uint64_t>(image.channels))
      .text(kImageBytes, {image.png.data(), image.png.size()});
  Message entry;
  entry.text(kValueTag, name).text(kValueImage, picture.bytes());
  Message summary;
  summary.text(kSummaryValue, entry.bytes());
  return event(time, step).text(kEventSummary, summary.bytes()).bytes();
}

}  // namespace detail

EventFile::EventFile(std::filesystem::path folder, int64_t step, std::function<double()> clock)
    : folder_(std::move(folder)), first_step_(step + 1), clock_(clock ? std::move(clock) : system_time) {}

void EventFile::scalars(int64_t step, const StepLog& values) {
  append(step, detail::scalar_event(clock_(), step, values));
}

void EventFile::image(int64_t step, const std::string& name, const EventImage& image) {
  append(step, detail::image_event(clock_(), step, name, image));
}

void EventFile::append(int64_t step, const std::string& event) {
  DDPM_CHECK(step >= first_step_ - 1, "an event of step {} after {}", step, first_step_ - 1);
  if (path_.empty()) {
    core::make_folders(folder_);
    // TensorBoard reads the files of a folder in the order of their names, which the time decides.
    const double now = clock_();
    path_ = folder_ / fmt::format("events.out.tfevents.{:010}.{:010}.{}.ddpm-eval", static_cast<int64_t>(now),
                                  first_step_, ::getpid());
    core::append_to_file(path_, detail::tf_record(detail::version_event(now)) +
                                    detail::tf_record(detail::start_event(now, first_step_)));
  }
  core::append_to_file(path_, detail::tf_record(event));
}

}  // namespace ddpm_eval::training
