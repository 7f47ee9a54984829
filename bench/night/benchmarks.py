"""Google Benchmark programs: which of their benchmarks a night runs, and how long these take."""
import json
import os
import re
import statistics

from .common import run, say

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
LONG = 0.25  # seconds of an iteration, from which on one measurement is as good as the median of several short ones
# The benchmarks' own checks against obvious computations, and of the machine's peak, are done in the first round alone.
UNCHECKED = {"DDPM_EVAL_BENCH_CHECKS": "0", "DDPM_EVAL_BENCH_PEAKS": "0"}
# Where benchmarks write their files: a disk's syncs are no property of a commit.
IN_MEMORY = {"TMPDIR": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {}


def times_of(program, options, pattern, repetitions, checked):
    """Seconds of an iteration by the benchmark's name: the median of `repetitions` of at least --min-time each."""
    words = [program, f"--benchmark_filter={pattern}", f"--benchmark_min_time={options.min_time}",
             f"--benchmark_repetitions={repetitions}", "--benchmark_format=json"]
    out = run(words, out="keep", env=IN_MEMORY if checked else {**IN_MEMORY, **UNCHECKED}).out
    found = {}
    for one in json.loads(out)["benchmarks"] if out.strip() else []:
        if one.get("run_type") == "iteration" and not one.get("error_occurred") and not one.get("skipped"):
            seconds = max(one["real_time"] * SECONDS[one["time_unit"]], 1e-12)
            found.setdefault(one.get("run_name", one["name"]), []).append(seconds)
    return {name: statistics.median(times) for name, times in found.items()}


def any_of(names):
    """A pattern of exactly these names."""
    return "^(" + "|".join(re.sub(r"([.\[\]{}()\\*+?|^$])", r"\\\1", name) for name in sorted(names)) + ")$"


class Selection:
    """What is measured of one program on one side, by what the first round has found."""

    def __init__(self, times, of_base, options):
        # The baseline decides: what has become slow must stay in.
        decisive = {name: of_base.get(name, seconds) for name, seconds in times.items()}
        self.heavy = {name for name, seconds in decisive.items() if seconds > options.heaviest}
        self.null = {name for name in times if re.match(r"null\b", name)}
        self.long = {name for name, seconds in decisive.items() if LONG < seconds} - self.heavy - self.null
        self.light = set(times) - self.heavy - self.null - self.long

    def measure(self, program, options):
        times = {}
        if self.light:
            others = self.heavy | self.null | self.long
            times.update(times_of(program, options, "-" + any_of(others) if others else ".", options.inner, False))
        if self.long:
            times.update(times_of(program, options, any_of(self.long), 1, False))
        return times


def names_of(program):
    return run([program, "--benchmark_list_tests=true"], out="keep").out.split("\n")[:-1]


def first_round(program, options):
    return times_of(program, options, ".", 1, True)


def tell_heavy(label, selection, options):
    if selection.heavy:
        say(f"{label}: left out, as the baseline takes more than {options.heaviest:g} s for an iteration: "
            + ", ".join(sorted(selection.heavy)))
