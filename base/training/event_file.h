#pragma once

#include "base/training/task.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

// Event files as TensorBoard reads them: TFRecord frames around protocol buffers of type tensorflow.Event.
// The few messages that are needed are encoded by hand.
namespace ddpm_eval::training {

/// A picture in an event.
struct EventImage {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 3;  ///< 1: greyscale, 3: RGB
  std::span<const char> png;
};

/// One event file of a run under training, in `folder`. The file appears with the first event, which says
/// that events of `step` + 1 and later in older files, of a process that was killed or a run that was taken
/// back, no longer hold.
class EventFile {
 public:
  /// `step`: steps done when this process began. `clock` gives seconds since 1970; empty: the system's.
  EventFile(std::filesystem::path folder, int64_t step, std::function<double()> clock = {});

  /// Numbers under their names, in one event. Throws ResourceError.
  void scalars(int64_t step, const StepLog& values);
  void image(int64_t step, const std::string& name, const EventImage& image);

 private:
  void append(int64_t step, const std::string& event);

  std::filesystem::path folder_;
  int64_t first_step_;
  std::function<double()> clock_;
  std::filesystem::path path_;  ///< empty before the first event
};

namespace detail {

/// CRC-32C (Castagnoli), as in iSCSI.
uint32_t crc32c(std::string_view bytes);

/// `payload` in a frame of TFRecord: length (uint64), its masked CRC-32C, the payload, its masked CRC-32C,
/// all little-endian.
std::string tf_record(std::string_view payload);

/// tensorflow.Event messages.
std::string version_event(double time);
std::string start_event(double time, int64_t step);
std::string scalar_event(double time, int64_t step, const StepLog& values);
std::string image_event(double time, int64_t step, std::string_view name, const EventImage& image);

}  // namespace detail

}  // namespace ddpm_eval::training
