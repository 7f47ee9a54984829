#pragma once

#include "base/core/error.h"
#include "base/tensor/runtime.h"

#include <gtest/gtest.h>

namespace ddpm_eval::testing {

/// Networks made while it lives are on the first GPU; `found` is false, and they are not, where there is
/// none.
class OnGpu {
 public:
  OnGpu() {
    try {
      tensor::configure_runtime(1, "cuda");
      found = true;
    } catch (const core::UsageError&) {
      tensor::configure_runtime(1);
    }
  }
  ~OnGpu() { tensor::configure_runtime(1); }
  OnGpu(const OnGpu&) = delete;
  OnGpu& operator=(const OnGpu&) = delete;

  bool found = false;
};

}  // namespace ddpm_eval::testing

/// Ends the test where this build or this machine has no CUDA; else its name is the device.
#define SKIP_WITHOUT_GPU(name)             \
  const ::ddpm_eval::testing::OnGpu name;  \
  if (!name.found) {                       \
    GTEST_SKIP() << "no CUDA device here"; \
  }
