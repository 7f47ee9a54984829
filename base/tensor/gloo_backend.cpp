#include "base/core/environment.h"
#include "base/tensor/process_backend.h"

#include <exception>

#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO  // LibTorch has it; the macro is of its own build
#endif
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

namespace ddpm_eval::tensor {
namespace {

using Gloo = c10d::ProcessGroupGloo;

class GlooBackend final : public ProcessBackendOf<Gloo> {
 public:
  using ProcessBackendOf::ProcessBackendOf;

  void connect() override {}

  bool ends_within(c10d::Work& work, std::chrono::milliseconds time) override {
    try {
      work.wait(time);
      return true;
    } catch (const std::exception&) {  // also where it takes longer
      if (!work.isCompleted()) {
        return false;
      }
      if (const auto failure = work.exception()) {
        std::rethrow_exception(failure);
      }
      return true;
    }
  }

  void abort() override {}
  void end() override {}
};

}  // namespace

std::unique_ptr<ProcessBackend> make_gloo_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                                  int size, const std::string& own_address) {
  auto options = Gloo::Options::create(kForever);
  options->threads = 1;  // one collective at a time
  const auto interface = core::environment_value("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface.empty() ? Gloo::createDeviceForHostname(own_address)
                                               : Gloo::createDeviceForInterface(interface));
  return std::make_unique<GlooBackend>(c10::make_intrusive<Gloo>(store, rank, size, options));
}

}  // namespace ddpm_eval::tensor
