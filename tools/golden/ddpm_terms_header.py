"""Writes the values of ddpm_terms.py as a C++ header."""
import numpy as np

HEAD = """#pragma once

// Printed by tools/golden/ddpm_terms.py, which writes every term from the papers' formulas; do not edit.
// @VERSIONS@
//
// Inputs, which tests rebuild with tests/support/hashes.h and synthetic_features.h (i counts row by row):
//   normal(name)[i] = 2 * synthetic_bell(fnv1a(name), i)
//   x_0 [6, 2]    level / 127.5 - 1; level 0 where i % 6 == 0, 255 where i % 6 == 3,
//                 else splitmix64(fnv1a("ddpm/x_0"), i) >> 56
//   eps [6, 2]    normal("ddpm/eps"); delta [6, 2] normal("ddpm/delta"); s [6, 2] normal("ddpm/variance")
//   outputs       eps: eps + 0.5 delta; x_0: x_0 + 0.4 delta; mu: x_t + 0.02 delta; v: delta
//   log-variance  of the reverse step: large, small as below; learned: s - 6; range: (s + 1) / 2 of log beta
//                 and (1 - s) / 2 of log_beta_tilde
// Row r stands at step t[r] (0-based). Logarithms are natural, bits are per dimension of a row.

#include <array>
#include <cstdint>
#include <string_view>

namespace ddpm_eval::testing::ddpm_golden {

// clang-format off
using Rows = std::array<double, 6>;
using Values = std::array<double, 12>;  // [6, 2]

struct Terms {
  std::string_view schedule;
  int64_t timesteps;
  std::array<int64_t, 6> t;
  Rows c1, c2, beta_tilde;  // the posterior's mean is c1 x_0 + c2 x_t
  Rows log_beta_tilde;      // t = 0 has that of t = 1
  Rows log_fixed_large;     // log beta; t = 0 has log_beta_tilde
  Values x_t, target_mu, target_v;
  Values x0_from_eps, x0_from_mu, x0_from_v;  // never clipped
  Values mean_eps, mean_eps_clipped, mean_x0, mean_x0_clipped, mean_v, mean_v_clipped;  // of the reverse step
  Values log_var_range;
  // The bound's terms in bits: the KL where t > 0, the decoder's -log-likelihood (tanh form) where t = 0. By
  // prediction (clipped: x_0 is) and variance; clipping never touches mu.
  Rows bound_eps_large, bound_eps_clipped_large, bound_mu_large;
  Rows bound_eps_small, bound_eps_clipped_small, bound_mu_small;
  Rows bound_eps_learned, bound_eps_clipped_learned, bound_mu_learned;
  Rows bound_eps_range, bound_eps_clipped_range, bound_mu_range;
  // L_0 in bits, all rows at t = 0 with the x_t and outputs of there. Fixed: large and small, alike at t = 0.
  Rows l0_eps_clipped_fixed_tanh, l0_eps_clipped_fixed_erf, l0_mu_fixed_tanh, l0_mu_fixed_erf;
  Rows l0_mu_learned_tanh, l0_mu_learned_erf;
  Rows l0_eps_fixed_continuous, l0_mu_fixed_continuous;  // -log density, nats per dimension; not clipped
  Rows prior;                                            // bits
  Rows mse_eps, mse_x0, mse_mu, mse_v;                   // of output and target, mean over the dimensions
  Rows min_snr_eps, min_snr_x0, min_snr_v;               // weights, gamma = 5
  // Losses: means over the rows. Nothing is clipped.
  double loss_simple_eps, loss_simple_x0, loss_simple_mu, loss_simple_v;
  double loss_vlb_eps_large, loss_vlb_mu_learned, loss_vlb_eps_range, loss_vlb_times_T_eps_large;  // bits
  double loss_hybrid_eps_range, loss_hybrid_mu_range;        // mse + bound * T / 1000
  double loss_min_snr_eps, loss_min_snr_x0, loss_min_snr_v;  // weight * mse
};
"""

NOTES = {
    "input_ends": ["The first and last values of x_0, eps, delta and s."],
    "log_likelihood_tanh": ["Elementwise in nats: x = x_0, mean x_0 + 0.05 delta, log-variance s - 9."],
    "resampling_p": [
        "Loss-second-moment resampling, T = 50: loss j = 0..9 of step t is (1 + t / 10) times",
        'synthetic_uniform(fnv1a("ddpm/history"), 10 t + j). Probabilities p of the steps; weights 1 / (T p)',
        "at t = 0, 1, 2, 25, 48, 49."],
    "ddim_eta_0": [
        "Sampler steps, linear schedule; arrays as [2, 6]. x = 0.28 x_0 + 0.96 eps, the output is eps + 0.3 delta,",
        'the noise z = normal("ddpm/z"). DDIM from t = 500 to 400. Clipped: x_0, and eps derived from it again.',
        "Sigma hat: the mean of eta = 1, but noise of variance 1 - alpha-bar_500 / alpha-bar_400."],
    "dpm_first_500": [
        "DPM-Solver++(2M): x at t = 700; data predictions x_0 + 0.3 delta at 700, x_0 + 0.2 normal(\"ddpm/other\") at",
        "500. First order from 700 to 500; from there to 400 by the first and by the second order."],
    "threshold_scale": ["Dynamic thresholding at the percentile 0.995 of delta as [2, 6], rows times 0.3 and 2."],
    "spacing_uniform": ["Ten of 1000 steps, in rising order."],
}


def number(value):
    if isinstance(value, (int, np.integer)):
        return str(value)
    text = f"{value:.17g}"
    return text if any(c in text for c in ".e") else text + ".0"


def braces(start, values, end):
    """`start`{values}`end` in lines of at most 110 columns."""
    lines, line = [], start + "{"
    texts = [number(value) for value in np.asarray(values).ravel()]
    for i, text in enumerate(texts):
        text += "}" + end if i + 1 == len(texts) else ","
        if len(line) + 1 + len(text) > 110:
            lines.append(line)
            line = " " * (len(start) - len(start.lstrip()) + 2) + text
        else:
            line += text if line.endswith("{") else " " + text
    return "\n".join([*lines, line])


def print_terms(variable, terms):
    print(f"\ninline constexpr Terms {variable} = {{")
    scalars = []
    for name, value in terms.items():
        if np.ndim(value) == 0:
            scalars.append(f".{name} = " + (f'"{value}"' if isinstance(value, str) else number(value)))
        else:
            print_scalars(scalars)
            print(braces(f"  .{name} = ", value, ","))
    print_scalars(scalars)
    print("};")


def print_scalars(scalars):
    """Two to a line."""
    while scalars:
        print(f"  {', '.join(scalars[:2])},")
        del scalars[:2]


def print_arrays(values):
    for name, value in values.items():
        if name in NOTES:
            print("\n// " + "\n// ".join(NOTES[name]))
        kind = "int64_t" if np.asarray(value).dtype.kind == "i" else "double"
        constant = "k" + "".join(part.capitalize() for part in name.split("_"))
        print(braces(f"inline constexpr std::array<{kind}, {np.size(value)}> {constant} = ", value, ";"))


def print_header(versions, ends, terms, rest):
    print(HEAD.replace("@VERSIONS@", versions), end="")
    print_arrays(ends)
    for variable, values in terms.items():
        print_terms(variable, values)
    print_arrays(rest)
    print("// clang-format on\n\n}  // namespace ddpm_eval::testing::ddpm_golden")
