"""Google Benchmark programs: which of their benchmarks a night runs, and how long these take."""
import json
import re
import statistics

from inputs import reading

from .common import BUG, NightError, memory_folder, run, say

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
LONG = 0.25  # seconds of an iteration, from which on one measurement is as good as the median of several short ones
# The benchmarks' own checks against obvious computations, and of the machine's peak, are done in the first round alone.
UNCHECKED = {"DDPM_EVAL_BENCH_CHECKS": "0", "DDPM_EVAL_BENCH_PEAKS": "0"}
FILES = 1 << 29  # bytes that benchmarks may write: a disk's syncs are no property of a commit
# What is no code of ours: the harness, and the machine's peaks.
NOT_OURS = re.compile(r"(null|empty|peak_)")


def measured(program, options, pattern, repetitions, checked):
    """Seconds of an iteration by the benchmark's name, the median of `repetitions` of at least --min-time each; and
    messages of benchmarks that broke."""
    words = [program, f"--benchmark_filter={pattern}", f"--benchmark_min_time={options.min_time}",
             f"--benchmark_repetitions={repetitions}", "--benchmark_format=json"]
    environment = {"TMPDIR": str(memory_folder(FILES)), **({} if checked else UNCHECKED)}
    out = run(words, out="keep", env=environment).out
    found, broken = {}, {}
    with reading(f"the record of {program}"):
        for one in json.loads(out)["benchmarks"] if out.strip() else []:
            name = one.get("run_name", one["name"])
            if one.get("error_occurred"):
                broken[name] = one.get("error_message", "no message")
            elif one.get("run_type") == "iteration" and not one.get("skipped"):
                found.setdefault(name, []).append(max(one["real_time"] * SECONDS[one["time_unit"]], 1e-12))
    return {name: statistics.median(times) for name, times in found.items() if name not in broken}, broken


def times_of(program, options, pattern, repetitions, checked):
    """The times alone: what breaks ends the night."""
    times, broken = measured(program, options, pattern, repetitions, checked)
    if broken:
        raise NightError(BUG, f"{program}: " + "; ".join(f"{name}: {text}" for name, text in broken.items()))
    return times


def any_of(names):
    """A pattern of exactly these names."""
    return "^(" + "|".join(re.sub(r"([.\[\]{}()\\*+?|^$])", r"\\\1", name) for name in sorted(names)) + ")$"


class Selection:
    """What is measured of one program on one side, by what the first round has found."""

    def __init__(self, first, of_base, options):
        times, broken = first
        # The baseline decides: what has become slow must stay in.
        decisive = {name: of_base.get(name, seconds) for name, seconds in times.items()}
        self.left_out = {name for name in times if NOT_OURS.match(name)} | set(broken)
        self.heavy = {name for name, seconds in decisive.items() if seconds > options.heaviest} - self.left_out
        self.long = {name for name, seconds in decisive.items() if LONG < seconds} - self.heavy - self.left_out
        self.light = set(times) - self.heavy - self.left_out - self.long

    def measure(self, program, options):
        times = {}
        if self.light:
            others = self.heavy | self.left_out | self.long
            times.update(times_of(program, options, "-" + any_of(others) if others else ".", options.inner, False))
        if self.long:
            times.update(times_of(program, options, any_of(self.long), 1, False))
        return times


def names_of(program):
    return run([program, "--benchmark_list_tests=true"], out="keep").out.split("\n")[:-1]


def first_round(program, options, is_base):
    """As measured(). What breaks is told: in the new commit it ends the night, in the baseline it is left out."""
    times, broken = measured(program, options, ".", 1, True)
    for name, text in broken.items():
        say(f"{program.name}: {name} breaks: {text}")
    if broken and not is_base:
        raise NightError(BUG, f"{program}: what breaks is named above")
    return times, broken


def tell_heavy(label, selection, options):
    if selection.heavy:
        say(f"{label}: left out, as the baseline takes more than {options.heaviest:g} s for an iteration: "
            + ", ".join(sorted(selection.heavy)))
