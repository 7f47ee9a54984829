#!/usr/bin/env python3
"""Measures a commit against its baseline on this machine and says whether it has become worse.

    bench/nightly.py                           HEAD against the baseline; `make nightly` is the same
    bench/nightly.py --set-baseline [COMMIT]   what later nights are measured against: HEAD, or COMMIT

Both commits are built as release, each in build/nightly/COMMIT, and measured in turn, A B A B ..., each repetition by a
process of its own: the Google Benchmark programs, and whole commands with their peak memory. The null subject is the
baseline's program on both sides. In build/nightly stay base.json and new.json (suite records, docs/benchmarks.md),
comparison.json, comparison.md and history.html; the new record is appended to results/history/PROCESSOR.jsonl. Ends
with the exit code of `ddpm-eval compare`: 4 for a regression. Run it on an idle machine.
"""
import argparse
import array
import datetime
import fcntl
import hashlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "nightly"
HISTORY = ROOT / "results" / "history"
BASELINE = HISTORY / "baseline"
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}
FEATURES = 2048  # of the FID Inception
START_UPS = 5  # in a repetition: one alone is too short


def say(text):
    print(f"nightly: {text}", file=sys.stderr, flush=True)


def git(*words):
    return subprocess.run(["git", "-C", ROOT, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def commit_of(name):
    return git("rev-parse", "--short=12", "--verify", name + "^{commit}")


# ---- Builds ---------------------------------------------------------------------------------------------------------


class Build:
    def __init__(self, folder):
        self.folder = folder.resolve()
        self.program = self.folder / "bin" / "ddpm-eval"
        cache = (self.folder / "CMakeCache.txt").read_text()
        self.source = pathlib.Path(re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache, re.M)[1])
        info = self.output("info", "--json", "-")
        self.runtime = info["runtime"]
        self.tool = info["tool"]

    def output(self, *words):
        return json.loads(subprocess.run([self.program, *words], check=True, stdout=subprocess.PIPE).stdout)


def is_checkout(source, commit):
    words = ["git", "-C", source, "rev-parse", "--short=12", "HEAD", "--show-toplevel"]
    found = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return found.returncode == 0 and set(found.stdout.splitlines()) == {commit, str(source)}


def build(commit):
    """The checkout of an earlier night is used again, and its build with it."""
    source = WORK / commit
    if source.exists() and not is_checkout(source, commit):
        shutil.rmtree(source)  # a night was killed while it was made
    if not source.exists():
        git("worktree", "prune")
        git("worktree", "add", "--detach", str(source), commit)
    say(f"building {commit}")
    jobs = str(len(os.sched_getaffinity(0)))
    for words in (["cmake", "--preset", "release"],
                  ["cmake", "--build", "--preset", "release", "-j", jobs, "--target", "ddpm-eval", "all_bench"]):
        subprocess.run(words, cwd=source, check=True, stdout=subprocess.DEVNULL)
    return Build(source / "build" / "release")


def remove_builds_but(commits):
    for folder in WORK.glob("*"):
        if (folder / ".git").is_file() and folder.name not in commits:
            git("worktree", "remove", "--force", str(folder))


# ---- What is measured -----------------------------------------------------------------------------------------------


def timed(words):
    """Seconds and peak MiB of a process that must go well."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"exit code {process.returncode} of {' '.join(map(str, words))}")
    return seconds, usage.ru_maxrss / 1024


def series(name, kind, unit, value):
    return {"name": name, "kind": kind, "unit": unit, "better": "lower", "value": value}


def google_benchmarks(program, pattern, options, label="", kind="speed"):
    """One process for all benchmarks that match; the time of each is that of its iterations."""
    words = [program, f"--benchmark_filter={pattern}", f"--benchmark_min_time={options.min_time}",
             "--benchmark_format=json"]
    out = subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [series(label or one["name"].removesuffix("/real_time"), kind, "s",
                   one["real_time"] * SECONDS[one["time_unit"]])
            for one in json.loads(out.stdout)["benchmarks"] if one["run_type"] == "iteration"]


def bench_ddpm(side, base, options, folder):
    return google_benchmarks(side.folder / "bin" / "bench_ddpm", ".", options)


def bench_metrics(side, base, options, folder):
    return google_benchmarks(side.folder / "bin" / "bench_metrics", ".", options)


def null_subject(side, base, options, folder):
    return google_benchmarks(base.folder / "bin" / "bench_ddpm", "^unet_forward/batch:8/bf16:0/", options,
                             "null: the baseline's U-Net forward", "null")


def start_up(side, base, options, folder):
    runs = [timed([side.program, "info"]) for _ in range(START_UPS)]
    return [series("start-up", "speed", "s", statistics.median(seconds for seconds, _ in runs))]


def command(name, words):
    seconds, mebibytes = timed(words)
    return [series(name, "speed", "s", seconds), series(f"{name}: peak memory", "memory", "MiB", mebibytes)]


def fid(side, base, options, folder):
    return command("fid from statistics",
                   [side.program, "fid", "--real", WORK / "real.npz", "--fake", WORK / "fake.npz"])


def swiss_roll(side, base, options, folder):
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    found = command("swiss-roll training", [side.program, "-q", "train", "--config",
                                            side.source / "configs" / "swiss-roll.toml", "--out", run, "--set",
                                            f"train.steps={options.train_steps}", "--set", "data.points=10000"])
    samples = folder / "samples.npy"
    samples.unlink(missing_ok=True)
    timed([side.program, "-q", "sample", "--run", run, "--num", "2000", "--out", samples])
    found.append({"name": "swiss-roll samples", "kind": "hash",
                  "value": hashlib.sha256(samples.read_bytes()).hexdigest()})
    score = side.output("-q", "score", "--real", "swiss-roll?num=2000&seed=1", "--fake", str(samples), "--json", "-")
    found.append(dict(series("swiss-roll: sliced Wasserstein distance", "quality", "distance",
                             score["metrics"]["sliced_wasserstein_distance"]), tolerance={"relative": 0.05}))
    return found


WORKS = [null_subject, start_up, fid, swiss_roll, bench_ddpm, bench_metrics]


def write_statistics(path, phase):
    """mu and sigma of made-up features, of full rank, as pytorch-fid stores them."""
    def npy(shape, values):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes()

    waves = [[((i * step + phase) % 97) / 97 - 0.5 for i in range(FEATURES)] for step in (7, 31, 53)]
    sigma = array.array("d")
    for i in range(FEATURES):
        a, b, c = (wave[i] for wave in waves)
        sigma.extend(a * x + b * y + c * z for x, y, z in zip(*waves))
        sigma[i * FEATURES + i] += 0.1 + (i * 13 % 101) / 50
    if sys.byteorder != "little":
        sigma.byteswap()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mu.npy", npy((FEATURES,), array.array("d", [0.0] * FEATURES)))
        archive.writestr("sigma.npy", npy((FEATURES, FEATURES), sigma))


# ---- Suites ---------------------------------------------------------------------------------------------------------


def instruction_set(side):
    """LibTorch's choice and what oneDNN may use beyond it."""
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    beyond = [flag for flag in ("avx512_bf16", "amx_bf16") if flags and flag in flags[1].split()]
    return " ".join([side.runtime["cpu_capability"], *beyond])


def processor():
    found = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else os.uname().machine


class Suite:
    def __init__(self, side, session, now, load):
        self.instruction_set = instruction_set(side)
        self.record = {"schema": 1, "kind": "suite", "time": now, "commit": side.tool["commit"], "session": session,
                       "context": {"cpu": processor(), "instruction_set": self.instruction_set,
                                   "threads": side.runtime["threads"], "build": side.tool["build_type"],
                                   "libtorch": side.runtime["libtorch"], "device": side.runtime["device"],
                                   "compiler": side.tool["compiler"], "load": load}}
        self.series = {}

    def add(self, found):
        """Repetitions are collected; what the same build gives again must be the same again."""
        for one in found:
            value = one.pop("value")
            known = self.series.setdefault(one["name"], one)
            if one["kind"] == "hash":
                value = {self.instruction_set: value}
            if one["kind"] not in ("hash", "quality"):
                known.setdefault("repetitions", []).append(value)
            else:
                key = "hashes" if one["kind"] == "hash" else "value"
                if known.setdefault(key, value) != value:
                    raise RuntimeError(f"{one['name']}: the same build has given {known[key]} and {value}")

    def finished(self):
        return dict(self.record, series=list(self.series.values()))


def measure(base, new, load, options):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    session = f"{now} {base.tool['commit']} {new.tool['commit']}"
    sides = [(base, Suite(base, session, now, load)), (new, Suite(new, session, now, load))]
    works = [work for work in WORKS if re.search(options.only, work.__name__)]
    with tempfile.TemporaryDirectory() as name:
        for turn in range(options.rounds):
            for work in works:
                # Who comes first meets cold caches and what the work before has left: each side in turn.
                for side, suite in sides if turn % 2 == 0 else reversed(sides):
                    suite.add(work(side, base, options, pathlib.Path(name)))
            say(f"round {turn + 1} of {options.rounds}")
    return [suite.finished() for _, suite in sides]


def write_records(records):
    for name, record in zip(("base", "new"), records):
        write_whole(WORK / f"{name}.json", json.dumps(record, indent=1) + "\n")
    return [WORK / "base.json", WORK / "new.json"]


def write_whole(path, text):
    """All of it or nothing, whenever the night is killed."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def append_to_history(record):
    HISTORY.mkdir(parents=True, exist_ok=True)
    context = record["context"]
    slug = re.sub(r"[^a-z0-9]+", "-", f"{context['cpu']} {context['threads']}".lower()).strip("-")
    path = HISTORY / f"{slug}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    write_whole(path, "".join(line + "\n" for line in [*lines, json.dumps(record)]))


def is_a_whole_night(parser, options, record):
    """Points of a curve are of the same work, of a commit that can be built again."""
    same = all(getattr(options, name) == parser.get_default(name) for name in ("rounds", "only", "min_time", "train_steps"))
    return same and not record["commit"].endswith("-dirty")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-baseline", nargs="?", const="HEAD", metavar="COMMIT", help="and do nothing else")
    parser.add_argument("--rounds", type=int, default=15, help="repetitions of each side")
    parser.add_argument("--only", default=".", metavar="REGEX", help="of " + ", ".join(work.__name__ for work in WORKS))
    parser.add_argument("--min-time", type=float, default=0.5, help="seconds of a Google Benchmark")
    parser.add_argument("--train-steps", type=int, default=2000, help="of the swiss roll")
    parser.add_argument("--base-build", type=pathlib.Path, help="a build that is there, instead of the baseline's")
    parser.add_argument("--new-build", type=pathlib.Path, help="a build that is there, instead of HEAD's")
    parser.add_argument("--no-history", action="store_true", help="leave results/history as it is")
    options = parser.parse_args()
    if options.set_baseline is not None:
        HISTORY.mkdir(parents=True, exist_ok=True)
        write_whole(BASELINE, commit_of(options.set_baseline) + "\n")
        print(f"{BASELINE.relative_to(ROOT)}: {BASELINE.read_text().strip()}; commit this file")
        return 0
    if options.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    if not any(re.search(options.only, work.__name__) for work in WORKS):
        parser.error(f"--only {options.only}: matches none of the works")
    WORK.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("nightly: another night is at work in build/nightly")
    for name in ("base.json", "new.json", "comparison.json", "comparison.md"):
        (WORK / name).unlink(missing_ok=True)
    load = round(os.getloadavg()[0], 2)  # before our own builds
    if not options.base_build and not BASELINE.exists():
        sys.exit(f"nightly: {BASELINE} is missing; bench/nightly.py --set-baseline COMMIT makes it")
    commits = [commit_of(BASELINE.read_text().strip()) if BASELINE.exists() else "", commit_of("HEAD")]
    base = Build(options.base_build) if options.base_build else build(commits[0])
    new = Build(options.new_build) if options.new_build else build(commits[1])
    remove_builds_but(commits)
    for name, phase in (("real.npz", 0), ("fake.npz", 11)):
        if not (WORK / name).exists():
            # In a process of its own: the peak memory of this one is the least that its children are said to have.
            writer = multiprocessing.Process(target=write_statistics, args=(WORK / (name + ".tmp"), phase))
            writer.start()
            writer.join()
            if writer.exitcode != 0:
                raise RuntimeError(f"{name} could not be made")
            os.replace(WORK / (name + ".tmp"), WORK / name)
    records = measure(base, new, load, options)
    files = write_records(records)
    code = subprocess.run([new.program, "compare", *files, "--json", WORK / "comparison.json",
                           "--markdown", WORK / "comparison.md"]).returncode
    if options.no_history or not is_a_whole_night(parser, options, records[1]):
        say("results/history is left as it is")
        return code
    append_to_history(records[1])
    if subprocess.run([new.program, "report", HISTORY, "--out", WORK / "history.html"]).returncode != 0:
        say("the history has no page")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"nightly: {error}")
