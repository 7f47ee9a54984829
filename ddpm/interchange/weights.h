#pragma once

#include "base/tensor/named_tensor.h"
#include "ddpm/unet.h"

#include <cstdint>
#include <string>
#include <vector>

// The U-Net's weights in the files of other programs, and back.
namespace ddpm_eval::ddpm {

/// Whose names, shapes and order of axes a file of weights has.
enum class Naming {
  kPort,        ///< our own, which are those of the official model's PyTorch port
  kDiffusers,   ///< UNet2DModel; both spellings of attention, its weights as [c, c] or as 1x1 convolutions
  kTensorFlow,  ///< the official code's variables: HWIO convolutions, [in, out] dense and 1x1 layers
};

/// "diffusers", for messages and records.
std::string naming_word(Naming naming);

/// By the first names that tell. Throws DataError if none does: the file is of another network.
Naming naming_of(const tensor::NamedTensors& tensors, const std::string& origin);

/// How many channels the images have, from the first convolution. Throws DataError if there is none.
int64_t input_channels(Naming naming, const tensor::NamedTensors& tensors, const std::string& origin);

/// A U-Net as the files of weights see it.
struct UNetLayout {
  UNetLayout(const UNetConfig& config, const UNetShape& shape);

  tensor::NamedTensors parameters;  ///< names and shapes; no memory behind them
  int64_t levels;
};

struct ForeignWeights {
  tensor::NamedTensors averaged;   ///< float32, our names, shapes and order; may share the file's memory
  tensor::NamedTensors last;       ///< those of the last step, where the file has both, else none
  int64_t step = 0;                ///< TensorFlow's global_step, or 0
  std::vector<std::string> notes;  ///< what was taken for granted or left out
};

/// The parameters of `layout` out of a file. float16 and bfloat16 are widened. Of a TensorFlow checkpoint the
/// shadows ".../ExponentialMovingAverage" are the averages, and Adam's slots are left out. Throws DataError
/// naming `origin` and the tensor, in the file's own spelling, for one that is missing, left over, of another
/// shape, of a type that float32 does not hold, or not finite.
ForeignWeights from_foreign(Naming naming, const tensor::NamedTensors& file, const UNetLayout& layout,
                            const std::string& origin);

/// `parameters` under diffusers' present names, attention weights as [c, c]: what UNet2DModel loads.
tensor::NamedTensors to_diffusers(const tensor::NamedTensors& parameters, int64_t levels);

}  // namespace ddpm_eval::ddpm
