#!/usr/bin/env python3
"""Golden values of the terms of the DDPM bound, of its training losses and of single sampler steps, in float64 from the
papers' formulas (Ho et al. 2020; Nichol & Dhariwal 2021; Song et al. 2021; Lu et al. 2022; Hang et al. 2023).

Prints tests/golden/ddpm_terms.h. The inputs are hashes of names and positions, so that the C++ tests rebuild them. The
values are printed only after ddpm_terms_check.py got them by a second route. With --diffusers it also compares the
sampler steps and the thresholding with diffusers' schedulers, whose tables it replaces by these float64 ones (agreement
within 1e-12); the header says whether that was done.

Made with Python 3.11, NumPy 1.24.2, SciPy 1.10.1, mpmath 1.2.1, PyTorch 1.13 (Debian's packages), diffusers 0.27.2:
    python3 -m venv --system-site-packages VENV     (over Debian's python3-torch, python3-scipy, python3-mpmath)
    VENV/bin/pip install --no-deps diffusers==0.27.2 huggingface_hub==0.23.0
    VENV/bin/pip install filelock importlib_metadata pyyaml regex requests safetensors tqdm packaging fsspec pillow
    VENV/bin/python tools/golden/ddpm_terms.py --diffusers > tests/golden/ddpm_terms.h
"""
import platform
import sys

import mpmath
import numpy as np
import scipy
from scipy import special, stats

import ddpm_terms_check as check
from ddpm_terms_header import print_header
from hashes import fnv1a, splitmix64
from synthetic_features import bell, uniforms

ROWS, DIMS = 6, 2
COUNT = ROWS * DIMS
LN2 = np.log(2.0)
GAMMA = 5.0  # of min-SNR


# ---- Inputs ---------------------------------------------------------------------------------------------------------


def normal(name, count=COUNT):
    """float64 [count]: twice the sum of three centred uniforms, variance 1, on [-3, 3)."""
    return 2.0 * bell(fnv1a(name), np.arange(count))


def levels(count=COUNT):
    """Grey levels 0..255 [count]; both ends are sure to occur."""
    i = np.arange(count)
    byte = (splitmix64(fnv1a("ddpm/x_0"), i) >> np.uint64(56)).astype(np.int64)
    return np.where(i % 6 == 0, 0, np.where(i % 6 == 3, 255, byte))


X0 = (levels() / 127.5 - 1.0).reshape(ROWS, DIMS)
EPS = normal("ddpm/eps").reshape(ROWS, DIMS)
DELTA = normal("ddpm/delta").reshape(ROWS, DIMS)  # the error of the outputs
S = normal("ddpm/variance").reshape(ROWS, DIMS)  # the second half of the outputs


# ---- Schedules ------------------------------------------------------------------------------------------------------


def linear_betas(T):
    return np.linspace(1e-4, 0.02, T)


def cosine_betas(T):
    f = np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], 0.999)


class Tables:
    def __init__(self, beta):
        self.T = len(beta)
        self.beta, self.alpha = beta, 1 - beta
        self.bar = np.cumprod(self.alpha)
        self.prev = np.append(1.0, self.bar[:-1])
        self.c1 = beta * np.sqrt(self.prev) / (1 - self.bar)
        self.c2 = (1 - self.prev) * np.sqrt(self.alpha) / (1 - self.bar)
        self.tilde = beta * (1 - self.prev) / (1 - self.bar)
        self.log_small = np.log(np.append(self.tilde[1], self.tilde[1:]))
        self.log_large = np.log(np.append(self.tilde[1], beta[1:]))

    def at(self, t):
        """The tables' rows for steps t [B], as [B, 1] columns."""
        names = ("beta", "alpha", "bar", "prev", "c1", "c2", "tilde", "log_small", "log_large")
        return type("At", (), {name: getattr(self, name)[t][:, None] for name in names})


# ---- Terms ----------------------------------------------------------------------------------------------------------


def q_sample(a, x0, eps):
    return np.sqrt(a.bar) * x0 + np.sqrt(1 - a.bar) * eps


def posterior_mean(a, x0, xt):
    return a.c1 * x0 + a.c2 * xt


def outputs(xt):
    """What the network is taken to answer."""
    return {"eps": EPS + 0.5 * DELTA, "x0": X0 + 0.4 * DELTA, "mu": xt + 0.02 * DELTA, "v": DELTA}


def target(a, kind, xt):
    return {"eps": EPS, "x0": X0, "mu": posterior_mean(a, X0, xt),
            "v": np.sqrt(a.bar) * EPS - np.sqrt(1 - a.bar) * X0}[kind]


def implied_x0(a, kind, out, xt):
    return {"eps": np.sqrt(1 / a.bar) * xt - np.sqrt(1 / a.bar - 1) * out, "x0": out,
            "mu": (out - a.c2 * xt) / a.c1, "v": np.sqrt(a.bar) * xt - np.sqrt(1 - a.bar) * out}[kind]


def reverse_mean(a, kind, out, xt, clip):
    if kind == "mu":
        return out
    x0 = implied_x0(a, kind, out, xt)
    return posterior_mean(a, np.clip(x0, -1, 1) if clip else x0, xt)


def log_variance(a, kind):
    fraction = (S + 1) / 2
    return {"large": a.log_large + 0 * S, "small": a.log_small + 0 * S, "learned": S - 6.0,
            "range": fraction * np.log(a.beta) + (1 - fraction) * a.log_small}[kind]


def normal_kl(m1, lv1, m2, lv2):
    return 0.5 * (-1 + lv2 - lv1 + np.exp(lv1 - lv2) + (m1 - m2) ** 2 * np.exp(-lv2))


def phi_tanh(z):
    return 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def discretised(x, mean, log_var, phi):
    """Elementwise log-likelihood of grid values, in nats."""
    inverse = np.exp(-0.5 * log_var)
    plus, minus = phi((x - mean + 1 / 255) * inverse), phi((x - mean - 1 / 255) * inverse)
    p = np.where(x < -0.999, plus, np.where(x > 0.999, 1 - minus, plus - minus))
    return np.log(np.maximum(p, 1e-12))


def continuous(x, mean, log_var):
    return -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 * np.exp(-log_var))


def bound_term(a, t, kind, out, xt, variance, clip):
    """[B] bits per dimension: the KL where t > 0, the decoder's -log-likelihood (tanh form) where t = 0."""
    mean, log_var = reverse_mean(a, kind, out, xt, clip), log_variance(a, variance)
    kl = normal_kl(posterior_mean(a, X0, xt), a.log_small, mean, log_var)
    decoder = -discretised(X0, mean, log_var, phi_tanh)
    return np.where(t == 0, decoder.mean(1), kl.mean(1)) / LN2


def min_snr_weight(a, kind):
    snr = (a.bar / (1 - a.bar))[:, 0]
    return np.minimum(snr, GAMMA) / {"eps": snr, "x0": 1.0, "v": snr + 1}[kind]


def schedule_terms(name, beta, t):
    tables = Tables(beta)
    t = np.array(t)
    a = tables.at(t)
    xt = q_sample(a, X0, EPS)
    out = outputs(xt)
    r = {"schedule": name, "timesteps": tables.T, "t": t, "c1": a.c1, "c2": a.c2,
         "beta_tilde": a.tilde, "log_beta_tilde": a.log_small, "log_fixed_large": a.log_large,
         "x_t": xt, "target_mu": target(a, "mu", xt), "target_v": target(a, "v", xt)}
    for kind in ("eps", "mu", "v"):
        r[f"x0_from_{kind}"] = implied_x0(a, kind, out[kind], xt)
    for kind in ("eps", "x0", "v"):
        r[f"mean_{kind}"] = reverse_mean(a, kind, out[kind], xt, False)
        r[f"mean_{kind}_clipped"] = reverse_mean(a, kind, out[kind], xt, True)
    r["log_var_range"] = log_variance(a, "range")
    for variance in ("large", "small", "learned", "range"):
        for label, kind, clip in (("eps", "eps", False), ("eps_clipped", "eps", True), ("mu", "mu", True)):
            r[f"bound_{label}_{variance}"] = bound_term(a, t, kind, out[kind], xt, variance, clip)
    r.update(l0_terms(tables))
    last = tables.bar[-1]
    r["prior"] = normal_kl(np.sqrt(last) * X0, np.log(1 - last), 0.0, 0.0).mean(1) / LN2
    mse = {kind: ((out[kind] - target(a, kind, xt)) ** 2).mean(1) for kind in out}
    r.update({f"mse_{kind}": mse[kind] for kind in mse})
    r.update({f"min_snr_{kind}": min_snr_weight(a, kind) for kind in ("eps", "x0", "v")})
    for kind in mse:
        r[f"loss_simple_{kind}"] = mse[kind].mean()
    for label in ("eps_large", "mu_learned", "eps_range"):
        r[f"loss_vlb_{label}"] = r[f"bound_{label}"].mean()
    r["loss_vlb_times_T_eps_large"] = tables.T * r["loss_vlb_eps_large"]
    for kind in ("eps", "mu"):
        r[f"loss_hybrid_{kind}_range"] = (mse[kind] + r[f"bound_{kind}_range"] * tables.T / 1000).mean()
    for kind in ("eps", "x0", "v"):
        r[f"loss_min_snr_{kind}"] = (min_snr_weight(a, kind) * mse[kind]).mean()
    check.check_terms(name, tables.T, t, r, levels().reshape(ROWS, DIMS), EPS, S, out)
    for kind in out:  # where the network is right, the implied x_0 is x_0
        check.close(implied_x0(a, kind, target(a, kind, xt), xt), X0, 1e-11)
    return r


def l0_terms(tables):
    """All rows at t = 0."""
    a = tables.at(np.zeros(ROWS, dtype=int))
    xt = q_sample(a, X0, EPS)
    out = outputs(xt)
    r = {}
    for label, kind, variance, clip in (("eps_clipped_fixed", "eps", "small", True), ("mu_fixed", "mu", "large", False),
                                        ("mu_learned", "mu", "learned", False)):
        mean, log_var = reverse_mean(a, kind, out[kind], xt, clip), log_variance(a, variance)
        tanh, erf = (discretised(X0, mean, log_var, phi) for phi in (phi_tanh, special.ndtr))
        check.check_likelihood(X0, mean, log_var, tanh, erf)
        r[f"l0_{label}_tanh"], r[f"l0_{label}_erf"] = -tanh.mean(1) / LN2, -erf.mean(1) / LN2
    for kind in ("eps", "mu"):
        mean = reverse_mean(a, kind, out[kind], xt, False)
        r[f"l0_{kind}_fixed_continuous"] = -continuous(X0, mean, log_variance(a, "large")).mean(1)
    return r


# ---- Likelihoods by themselves, resampling, samplers ----------------------------------------------------------------


def likelihood_terms():
    mean, log_var = X0 + 0.05 * DELTA, S - 9.0
    r = {"log_likelihood_tanh": discretised(X0, mean, log_var, phi_tanh),
         "log_likelihood_erf": discretised(X0, mean, log_var, special.ndtr),
         "log_density": continuous(X0, mean, log_var)}
    check.check_likelihood(X0, mean, log_var, r["log_likelihood_tanh"], r["log_likelihood_erf"])
    check.close(r["log_density"], stats.norm(mean, np.exp(0.5 * log_var)).logpdf(X0), 1e-12)
    for phi in (phi_tanh, special.ndtr):
        check.check_bins(lambda x, m, lv: discretised(x, m, lv, phi))
    clamped = np.isclose(r["log_likelihood_tanh"], np.log(1e-12))
    assert 0 < clamped.sum() < COUNT / 3, clamped
    return r


def resampling():
    T, keep = 50, 10
    i = np.arange(T * keep)
    history = uniforms(fnv1a("ddpm/history"), i) * (1.0 + (i // keep) / 10.0)
    w = np.sqrt((history.reshape(T, keep) ** 2).mean(1))
    p = (1 - 0.001) * w / w.sum() + 0.001 / T
    check.close(p.sum(), 1.0, 1e-14)
    return {"resampling_p": p, "resampling_weight": 1 / (T * p[[0, 1, 2, 25, 48, 49]])}


def sampler_inputs():
    x0, eps, delta = (value.reshape(2, 6) for value in (X0, EPS, DELTA))
    z, other = (normal(name, 12).reshape(2, 6) for name in ("ddpm/z", "ddpm/other"))
    return {"x": 0.28 * x0 + 0.96 * eps, "eps": eps + 0.3 * delta, "z": z, "previous": x0 + 0.3 * delta,
            "data": x0 + 0.2 * other}


def ddim_terms(bar, bar_prev):
    i = sampler_inputs()
    r = {}
    for clip in (False, True):
        x0 = (i["x"] - np.sqrt(1 - bar) * i["eps"]) / np.sqrt(bar)
        assert 3 <= (np.abs(x0) > 1).sum() <= 9
        if clip:
            x0 = np.clip(x0, -1, 1)
        eps = (i["x"] - np.sqrt(bar) * x0) / np.sqrt(1 - bar) if clip else i["eps"]
        hat = np.sqrt(1 - bar / bar_prev)
        for label, eta in (("eta_0", 0.0), ("eta_half", 0.5), ("eta_1", 1.0), ("sigma_hat", 1.0)):
            sigma = eta * np.sqrt((1 - bar_prev) / (1 - bar)) * hat
            mean = np.sqrt(bar_prev) * x0 + np.sqrt(1 - bar_prev - sigma**2) * eps
            noise = hat if label == "sigma_hat" else sigma
            check.check_ddim(label, noise, bar, bar_prev, i["x"], x0, eps, mean)
            r[f"ddim_{label}" + ("_clipped" if clip else "")] = mean + noise * i["z"]
    return r


def dpm_terms(bar):
    """x is at step 700; the data predictions `previous` at 700 and `data` at 500."""
    i = sampler_inputs()
    alpha, sigma = np.sqrt(bar), np.sqrt(1 - bar)
    lam = np.log(alpha / sigma)

    def update(x, s, t, d):
        value = sigma[t] / sigma[s] * x - alpha[t] * np.expm1(lam[s] - lam[t]) * d
        check.check_data_step(bar[s], bar[t], x, d, value)
        return value

    middle = update(i["x"], 700, 500, i["previous"])
    r = (lam[500] - lam[700]) / (lam[400] - lam[500])
    d = (1 + 1 / (2 * r)) * i["data"] - 1 / (2 * r) * i["previous"]
    # d continues the line through both predictions, as functions of lambda, to the middle of the step.
    slope = (i["data"] - i["previous"]) / (lam[500] - lam[700])
    check.close(d, i["data"] + slope * (lam[400] - lam[500]) / 2, 1e-12)
    return {"dpm_first_500": middle, "dpm_first_400": update(middle, 500, 400, i["data"]),
            "dpm_second_400": update(middle, 500, 400, d)}


def wide_values():
    return (DELTA.ravel() * np.repeat([0.3, 2.0], 6)).reshape(2, 6)


def thresholding():
    x = wide_values()
    s = np.maximum(1, np.quantile(np.abs(x), 0.995, axis=1))
    top = np.sort(np.abs(x), axis=1)
    # The quantile's rank is 0.995 * 5 = 4.975.
    check.close(s, np.maximum(1, top[:, -2] + 0.975 * (top[:, -1] - top[:, -2])), 1e-12)
    return {"threshold_scale": s, "thresholded": np.clip(x, -s[:, None], s[:, None]) / s[:, None]}


def spacings(T, count):
    """Rising order."""
    return {"spacing_uniform": np.arange(0, T, T // count),
            "spacing_quad": (np.linspace(0, np.sqrt(0.8 * T), count) ** 2).astype(int),
            "spacing_leading": np.arange(count) * (T // count),
            "spacing_linspace": np.linspace(0, T - 1, count).round().astype(int),
            "spacing_trailing": np.sort(np.round(np.arange(T, 0, -T / count)).astype(int) - 1)}


def main():
    linear = Tables(linear_betas(1000))
    check.check_constants(linear)
    terms = {"kLinear": schedule_terms("linear", linear.beta, [0, 1, 2, 10, 500, 999]),
             "kCosine": schedule_terms("cosine", cosine_betas(50), [0, 1, 2, 25, 48, 49])}
    rest = {**likelihood_terms(), **resampling(), **ddim_terms(linear.bar[500], linear.bar[400]),
            **dpm_terms(linear.bar), **thresholding(), **spacings(1000, 10)}
    ends = {"input_ends": [value.ravel()[i] for value in (X0, EPS, DELTA, S) for i in (0, -1)]}
    versions = [f"Python {platform.python_version()}", f"NumPy {np.__version__}", f"SciPy {scipy.__version__}",
                f"mpmath {mpmath.__version__}"]
    if "--diffusers" in sys.argv[1:]:
        versions.append("checked against diffusers " +
                        check.check_diffusers(linear.bar, sampler_inputs(), wide_values(), rest))
    print_header(", ".join(versions), ends, terms, rest)


if __name__ == "__main__":
    main()
