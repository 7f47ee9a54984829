"""The second route to the values of ddpm_terms.py: 40 digits by mpmath, Bayes' rule, integration, diffusers."""
import mpmath as mp
import numpy as np
from scipy import integrate, stats

LN2 = np.log(2.0)
mp.mp.dps = 40


def close(actual, expected, tolerance, floor=1.0):
    """The error is relative for what is above the floor, and absolute, in units of the floor, below it."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    error = np.max(np.abs(actual - expected) / np.maximum(floor, np.abs(expected)))
    assert error <= tolerance, (error, actual, expected)


def exact_bars(name, T):
    """The exact schedule's alpha-bar before and after every step, by mpmath."""
    if name == "linear":
        beta = [mp.mpf("1e-4") + mp.mpf("0.0199") * i / (T - 1) for i in range(T)]
    else:
        f = [mp.cos((mp.mpf(i) / T + mp.mpf("0.008")) / mp.mpf("1.008") * mp.pi / 2) ** 2 for i in range(T + 1)]
        beta = [min(1 - f[i + 1] / f[i], mp.mpf("0.999")) for i in range(T)]
    bars = [mp.mpf(1)]
    for b in beta:
        bars.append(bars[-1] * (1 - b))
    return beta, bars


def bayes(beta, prev, x0, xt):
    """Mean and variance of q(x_{t-1} | x_t, x_0) out of the prior N(sqrt(prev) x0, 1 - prev) on x_{t-1} and the
    likelihood N(xt; sqrt(1 - beta) x_{t-1}, beta)."""
    if prev == 1:
        return x0, mp.mpf(0)
    precision = 1 / (1 - prev) + (1 - beta) / beta
    return (mp.sqrt(prev) * x0 / (1 - prev) + mp.sqrt(1 - beta) * xt / beta) / precision, 1 / precision


def integrated_kl(m1, v1, m2, v2):
    """The expectation of log q - log p under q, over 14 standard deviations to each side; 40 digits."""
    m1, v1, m2, v2 = (mp.mpf(value) for value in (m1, v1, m2, v2))

    def integrand(z):
        x = m1 + mp.sqrt(v1) * z
        log_ratio = ((x - m2) ** 2 / v2 - z**2 + mp.log(v2 / v1)) / 2
        return mp.npdf(z) * log_ratio

    return mp.quad(integrand, [-14, -4, 0, 4, 14])


def check_terms(name, T, t, r, levels, noise, half, out):
    """`levels`, `noise` and `half` [B, D] are grey levels, eps and the outputs' second half; `out` the first halves."""
    beta, bars = exact_bars(name, T)
    kls = {key: np.zeros(levels.shape) for key in r if key.startswith("bound")}
    for i, j in np.ndindex(levels.shape):
        b, prev, bar = beta[t[i]], bars[t[i]], bars[t[i] + 1]
        x0, eps = mp.mpf(int(levels[i, j])) / mp.mpf("127.5") - 1, mp.mpf(noise[i, j])
        xt = mp.sqrt(bar) * x0 + mp.sqrt(1 - bar) * eps
        mean, var = bayes(b, prev, x0, xt)
        close(r["x_t"][i, j], xt, 1e-12)
        close(r["target_mu"][i, j], mean, 1e-12)
        close(r["beta_tilde"][i, 0], var, 1e-10, 1e-30)
        o = {kind: mp.mpf(out[kind][i, j]) for kind in out}
        # x_0 of an eps or v output by solving two equations for x_0 and eps, of a mu output by two points of the line.
        root, noise_root = mp.sqrt(bar), mp.sqrt(1 - bar)
        x0_of = {"eps": (xt - noise_root * o["eps"]) / root, "x0": o["x0"],
                 "v": mp.lu_solve(mp.matrix([[root, noise_root], [-noise_root, root]]), mp.matrix([xt, o["v"]]))[0]}
        at_zero, at_one = bayes(b, prev, mp.mpf(0), xt)[0], bayes(b, prev, mp.mpf(1), xt)[0]
        x0_of["mu"] = (o["mu"] - at_zero) / (at_one - at_zero)
        for kind in ("eps", "mu", "v"):
            close(r[f"x0_from_{kind}"][i, j], x0_of[kind], 1e-11)
        # The direct form of the mean of an eps prediction without clipping.
        close(r["mean_eps"][i, j], (xt - b / mp.sqrt(1 - bar) * o["eps"]) / mp.sqrt(1 - b), 1e-11)
        for kind in ("eps", "x0", "v"):
            close(r[f"mean_{kind}"][i, j], bayes(b, prev, x0_of[kind], xt)[0], 1e-11)
            close(r[f"mean_{kind}_clipped"][i, j], bayes(b, prev, max(-1, min(1, x0_of[kind])), xt)[0], 1e-11)
        if t[i] == 0:
            continue
        small = mp.log(var)
        logs = {"large": mp.log(b), "small": small, "learned": mp.mpf(half[i, j]) - 6,
                "range": (mp.mpf(half[i, j]) + 1) / 2 * (mp.log(b) - small) + small}
        close(r["log_var_range"][i, j], logs["range"], 1e-11)
        for key in kls:
            _, label, variance = key.replace("eps_clipped", "eps-clipped").split("_")
            m = {"eps": r["mean_eps"], "eps-clipped": r["mean_eps_clipped"], "mu": out["mu"]}[label][i, j]
            kls[key][i, j] = integrated_kl(mean, var, m, mp.exp(logs[variance]))
    for key, kl in kls.items():
        later = t > 0
        close(r[key][later], kl.mean(1)[later] / LN2, 1e-8, 1e-3)
    last = bars[-1]
    for prior, row in zip(r["prior"], levels / 127.5 - 1):
        kl = [integrated_kl(mp.sqrt(last) * mp.mpf(x), 1 - last, 0, 1) for x in row]
        close(prior, float(sum(kl) / len(kl)) / LN2, 1e-8, 1e-6)


def exact_phi_tanh(z):
    return (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (z + mp.mpf("0.044715") * z**3))) / 2


def check_likelihood(x, mean, log_var, tanh, erf):
    """Both forms elementwise against 40 digits, the exact one against the density's integral over the bin."""
    for i in np.ndindex(x.shape):
        level, m, s = int(round((x[i] + 1) * 127.5)), mp.mpf(mean[i]), mp.exp(mp.mpf(log_var[i]) / 2)
        edges = [((2 * mp.mpf(level) + side) / 255 - 1 - m) / s for side in (1, -1)]
        for phi, value in ((exact_phi_tanh, tanh[i]), (mp.ncdf, erf[i])):
            plus = mp.mpf(1) if level == 255 else phi(edges[0])
            minus = mp.mpf(0) if level == 0 else phi(edges[1])
            close(value, mp.log(max(plus - minus, mp.mpf("1e-12"))), 1e-8)
        if erf[i] > -20 and 0 < level < 255:
            mass = integrate.quad(stats.norm(mean[i], float(s)).pdf, x[i] - 1 / 255, x[i] + 1 / 255, epsabs=0)[0]
            close(erf[i], np.log(mass), 1e-8)


def check_bins(log_likelihood):
    """The 256 bins' probabilities sum to 1, but for the floors of 1e-12."""
    x = np.arange(256) / 127.5 - 1
    for mean in (-1.3, -0.999, 0.1, 1.0):
        for log_var in (-9.8, -4.0, 0.0):
            close(np.exp(log_likelihood(x, mean, log_var)).sum(), 1.0, 3e-10)


def check_constants(tables):
    """Figures computed elsewhere for T = 1000, linear, to five digits."""
    t = [0, 1, 2, 10, 100, 500, 999]
    close(tables.c1[t], [1, .54529, .38871, .13628, .018895, .0030581, 1.2835e-4], 5e-5, 1e-30)
    close(tables.c2[t], [0, .45471, .61129, .86372, .98108, .99410, .98995], 5e-5, 1e-30)
    close(tables.log_small[0], -9.816725, 5e-7)
    close(tables.bar[[499, 500, 999]], [.07859, .07780, 4.03583e-5], 7e-5, 1e-30)


def check_ddim(label, noise, bar, bar_prev, x, x0, eps, mean):
    """eta = 1 is Bayes' posterior on the sub-chain, sigma hat the same mean with the sub-chain's beta for a variance;
    eta = 0 is Euler's step of d(x / sqrt(bar)) = eps d sqrt(1/bar - 1)."""
    if label in ("eta_1", "sigma_hat"):
        beta = 1 - mp.mpf(bar) / mp.mpf(bar_prev)
        for k in np.ndindex(x.shape):
            expected, var = bayes(beta, mp.mpf(bar_prev), mp.mpf(x0[k]), mp.mpf(x[k]))
            close(mean[k], expected, 1e-12)
        close(noise**2, var if label == "eta_1" else beta, 1e-12)
    elif label == "eta_0":
        step = np.sqrt(1 / bar_prev - 1) - np.sqrt(1 / bar - 1)
        close(mean / np.sqrt(bar_prev), x / np.sqrt(bar) + step * eps, 1e-12)
    else:
        # What is left of the variance 1 - bar_prev beside the noise is in the direction of eps.
        rest = (mean - np.sqrt(bar_prev) * x0) / eps
        close(rest**2 + noise**2, 1 - bar_prev + 0 * rest, 1e-10)


def check_data_step(bar, bar_prev, x, x0, value):
    """The diffusion ODE solved for a data prediction that stays x0; it is DDIM's step with eta = 0."""
    root, root_prev = np.sqrt(1 - bar), np.sqrt(1 - bar_prev)
    lam, lam_prev = (0.5 * np.log(b / (1 - b)) for b in (bar, bar_prev))
    integral = integrate.quad(np.exp, lam, lam_prev, epsrel=1e-13)[0]
    close(value, root_prev / root * x + root_prev * integral * x0, 1e-12)
    close(value, np.sqrt(bar_prev) * x0 + root_prev * (x - np.sqrt(bar) * x0) / root, 1e-12)


def check_diffusers(bar, inputs, wide, r):
    """Compares with the schedulers of diffusers and returns its version."""
    import diffusers
    import torch

    i = {name: torch.from_numpy(value) for name, value in inputs.items()}
    ddim = diffusers.DDIMScheduler()
    ddim.set_timesteps(10)
    ddim.alphas_cumprod = torch.from_numpy(bar)
    for clip in (False, True):
        ddim.register_to_config(clip_sample=clip)
        for label, eta in (("eta_0", 0.0), ("eta_half", 0.5), ("eta_1", 1.0)):
            step = ddim.step(i["eps"], 500, i["x"], eta=eta, use_clipped_model_output=True, variance_noise=i["z"])
            close(step.prev_sample, r[f"ddim_{label}" + ("_clipped" if clip else "")], 1e-12)
    dpm = diffusers.DPMSolverMultistepScheduler(algorithm_type="dpmsolver++", solver_type="midpoint", solver_order=2)
    dpm.set_timesteps(10)
    dpm.sigmas = torch.from_numpy(np.sqrt(1 / bar - 1)[[700, 500, 400]])
    dpm._step_index = 0
    middle = dpm.dpm_solver_first_order_update(i["previous"], sample=i["x"])
    close(middle, r["dpm_first_500"], 1e-12)
    dpm._step_index = 1
    predictions = [i["previous"], i["data"]]
    close(dpm.dpm_solver_first_order_update(i["data"], sample=middle), r["dpm_first_400"], 1e-12)
    close(dpm.multistep_dpm_solver_second_order_update(predictions, sample=middle), r["dpm_second_400"], 1e-12)
    dpm.register_to_config(dynamic_thresholding_ratio=0.995, sample_max_value=1e9)
    close(dpm._threshold_sample(torch.from_numpy(wide)[..., None])[..., 0], r["thresholded"], 1e-12)
    return diffusers.__version__
