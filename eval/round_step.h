#pragma once

namespace ddpm_eval::eval {

/// The least of 1, 2 and 5 times a power of ten that is at least `rough` > 0: the distance of ticks.
double round_step(double rough);

}  // namespace ddpm_eval::eval
