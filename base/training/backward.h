#pragma once

#include "base/tensor/named_tensor.h"
#include "base/tensor/process_group.h"

#include <ATen/core/Tensor.h>

namespace ddpm_eval::training {

/// loss.backward(), and the gradients that `parameters` have then, earlier passes included, are summed over
/// all processes of `group`: of the same bits on all. The sums go on beside the pass, each as soon as what it
/// is of is there, from the last parameters to the first in buckets of 4 MB (as torch.nn.parallel's
/// DistributedDataParallel does in buckets of 25, by autograd's hooks in the place of its Reducer). Copies of
/// all gradients are held meanwhile. To be called by all processes, with graphs over the same parameters.
/// Throws PeerError.
void backward_over_processes(const at::Tensor& loss, const tensor::NamedTensors& parameters,
                             tensor::ProcessGroup& group);

}  // namespace ddpm_eval::training
