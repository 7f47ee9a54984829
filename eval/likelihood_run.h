#pragma once

#include "base/core/config.h"
#include "base/core/record.h"
#include "ddpm/likelihood.h"
#include "eval/command.h"
#include "eval/sampling.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ddpm_eval::eval {

class ImageSets;

/// How the bound is estimated.
struct LikelihoodSettings {
  ddpm::LikelihoodOptions options;                            ///< the seed is no field
  tensor::Precision precision = tensor::Precision::kFloat32;  ///< of the network

  void fields(core::ConfigVisitor& v);
};

struct LikelihoodRequest {
  SamplingRequest run;            ///< of its settings the weights alone are used
  std::string data;               ///< a source of images, or a made-up set of points
  std::vector<Setting> settings;  ///< of LikelihoodSettings
  uint64_t seed = 0;              ///< of the noise and of the t drawn
  std::filesystem::path
      out;  ///< the folder of nll.json, curve.csv, curve.svg and, until it is done, state.safetensors
};

/// Evaluates the bound of a run on data and returns the record, which is also written. Goes on from the state
/// that an interrupted evaluation has left; a complete one is not repeated. Throws UsageError for data that
/// does not suit the run or a folder with another evaluation, DataError for a run or data that cannot be
/// read, DamagedEvaluationError for what lies in the folder, NotFiniteError for a term that is none,
/// InterruptedError with the state saved. Images come from `sets` where that is given.
core::Json evaluate_likelihood(const LikelihoodRequest& request, const Session& session,
                               ImageSets* sets = nullptr);

}  // namespace ddpm_eval::eval
