#pragma once

#include <string_view>

namespace ddpm_eval::tensor {

/// For backward passes that the graph does not see: throws LogicError if a graph of them is asked for
/// (`create_graph`), since derivatives by it would lack their part without a word.
void refuse_second_derivative(std::string_view of);

}  // namespace ddpm_eval::tensor
