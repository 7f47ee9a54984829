#pragma once

#include "base/tensor/precision.h"
#include "bench/support.h"
#include "ddpm/unet.h"

#include <memory>

// The networks that are measured.
namespace ddpm_eval::ddpm::bench_networks {

/// The CIFAR-10 network of Ho et al. 2020 and that of configs/fashion-mnist-small.toml, with weights that do
/// something: layers that start near zero would hide every mistake behind them.
struct UNetCase {
  UNetConfig config;
  UNetShape shape;

  std::unique_ptr<UNet> make() const;
  std::vector<int64_t> rows(int64_t count) const;  ///< [count, channels, side, side]

  /// Operations of a forward pass of one image: those of convolutions, dense layers and attention.
  double flop() const;
};

UNetCase paper_unet(double dropout);
UNetCase small_unet();

/// Gives what is near zero weights as large as Glorot's.
void wake(const tensor::NamedTensors& parameters);

tensor::Precision precision_at(const benchmark::State& state, size_t argument);

/// How far results in this precision may be from exact ones, of their norm.
double tolerance_of(tensor::Precision precision);

/// The peak that work in this precision is held against.
bench::Peak peak_of(tensor::Precision precision);

}  // namespace ddpm_eval::ddpm::bench_networks
