#include "base/core/build_info.h"
#include "base/core/paths.h"
#include "base/core/record.h"
#include "base/tensor/runtime.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/output.h"

#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

/// How long a thread of the OpenMP runtime turns at a barrier before it sleeps, as the runtime was told.
std::string openmp_wait() {
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  const char* spins = std::getenv("GOMP_SPINCOUNT");
  if (spins != nullptr) {
    return fmt::format("{} spins", spins);
  }
  return policy != nullptr ? policy : "the runtime's default";
}

core::Json info_record() {
  auto record = core::new_record("info");
  const auto runtime = tensor::runtime_info();
  record["runtime"] = tensor::runtime_context();
  record["runtime"]["eigen_threads"] = runtime.eigen_threads;
  record["runtime"]["opencv_threads"] = runtime.opencv_threads;
  record["runtime"]["processors"] = tensor::available_processors();
  record["runtime"]["openmp_wait"] = openmp_wait();
  record["home"] = core::home_folder().string();
  record["weights"] = core::weights_path("").string();
  record["data"] = core::Json::array();
  for (const auto& folder : core::data_candidates("")) {
    record["data"].push_back(folder.string());
  }
  return record;
}

void print_info(const core::Json& record) {
  const auto build = core::build_info();
  const auto runtime = tensor::runtime_info();
  print_line("ddpm-eval {} ({}, {}, {})", build.version, build.commit, build.build_type, build.compiler);
  print_line("LibTorch      {}, {} kernels, device {}", runtime.libtorch, runtime.cpu_capability,
             runtime.device);
  print_line("BLAS          {}", runtime.blas);
  print_line("threads       LibTorch {}, BLAS {}, Eigen {}, OpenCV {}, of {} processors", runtime.threads,
             runtime.blas_threads, runtime.eigen_threads, runtime.opencv_threads,
             tensor::available_processors());
  print_line("OpenMP waits  {}", record["runtime"]["openmp_wait"].get<std::string>());
  print_line("weights in    {}", record["weights"].get<std::string>());
  for (const auto& folder : record["data"]) {
    print_line("data in       {}", folder.get<std::string>());
  }
}

}  // namespace

void add_info_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("info", "Versions, threads in effect, where files are looked for");
  auto json = std::make_shared<std::string>();
  add_json_option(*command, *json);
  command->callback([json, &session] {
    session.action = [json] {
      const auto record = info_record();
      if (!write_json(*json, record)) {
        print_info(record);
      }
    };
  });
}

}  // namespace ddpm_eval::eval
