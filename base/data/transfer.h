#pragma once

#include "base/data/fetch.h"
#include "base/data/part_file.h"

#include <chrono>
#include <string>

// Private to fetch.cpp.
namespace ddpm_eval::data {

/// How often interrupts and stalls are looked for.
inline constexpr std::chrono::milliseconds kLookEvery{100};

/// How a transfer ended, and what follows from it.
enum class Outcome {
  kWhole,         ///< the file may be complete: check it
  kTryAgain,      ///< a hitch: go on from where it stopped
  kStartOver,     ///< what is there does not fit what the server has
  kWrongContent,  ///< the server has something else
  kGiveUp,        ///< this mirror will not deliver
};

struct Ending {
  Outcome outcome = Outcome::kTryAgain;
  std::string reason;
  bool begun = false;    ///< a byte came, or an empty file
  bool resumed = false;  ///< and it continued what had been there
};

/// One request for the rest of a file from one mirror; what comes is appended to `part`. Returns at once when
/// an interrupt is requested. Throws ResourceError if the disk fails.
Ending run_transfer(const FetchRequest& request, const std::string& url, PartFile& part,
                    const FetchProgress& progress);

}  // namespace ddpm_eval::data
