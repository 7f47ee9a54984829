#pragma once

#include "base/core/record.h"
#include "ddpm/trajectory.h"
#include "eval/command.h"
#include "eval/film.h"
#include "eval/sampling.h"

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The pictures of `show`. Each function draws what the film options name, prints progress and returns the
// record of how the pictures were made; each throws before any work what can be told then. The same requests
// give the same bytes.
namespace ddpm_eval::eval {

/// Images or points on their way into noise, without a model.
struct ForwardRequest {
  std::string data;               ///< a source; empty: the configuration's
  std::string config;             ///< a TOML file whose [process] counts; empty: the defaults
  std::vector<Setting> settings;  ///< "process.kind=cosine", laid over it
  int64_t count = 0;              ///< images or points; 0: 8 images, 2,000 points
  uint64_t seed = 0;
  FilmOptions film{};
};
core::Json show_forward(const ForwardRequest& request);

/// The samples of a run on their way out of it, or the estimates of x_0 made there.
struct ReverseRequest {
  SamplingRequest run;
  ddpm::Shown shown = ddpm::Shown::kState;
  int64_t count = 0;  ///< samples 0, 1, ...; 0: 8 images, 2,000 points
  FilmOptions film{};
};
core::Json show_reverse(const ReverseRequest& request, const Session& session);

/// Between two images, through noise.
struct InterpolationRequest {
  SamplingRequest run;
  std::string data;                 ///< a source; empty: the one trained on
  std::vector<int64_t> pair{0, 1};  ///< indices in it
  std::vector<int64_t> levels;      ///< t to which they are noised, a row each; empty: T / 2
  std::vector<double> lambdas;      ///< of the strip; empty: 0, 0.1, ..., 1
  FilmOptions film{};               ///< `columns` does not count
};
core::Json show_interpolation(const InterpolationRequest& request, const Session& session);

// What they share.

/// Progress in passes through the network; throws InterruptedError when asked to stop.
ddpm::SampleProgress sampling_progress(const Session& session, const std::string& what);

/// A record of kind "pictures" to which the maker adds what they depend on, and its end.
core::Json pictures_record(const char* shows);
core::Json finished_pictures(core::Json record, const core::Json& pictures);

}  // namespace ddpm_eval::eval
