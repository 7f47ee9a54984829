"""What a repetition measures: each work is called in turn for the one side and the other."""
import array
import pathlib
import re
import shutil
import statistics
import struct
import sys
import tempfile
import zipfile

from . import benchmarks
from .common import WORK, memory_folder, run

FEATURES = 2048  # of the FID Inception
INPUTS = {"real-1.npz": 0, "fake-1.npz": 11}  # statistics that are made up; another number for another way to make them
SHORT_RUNS = 5  # in a repetition, of what one alone is too short

# Null subjects: work that is the same on both sides. Each series goes by the one that is most like it.
PROCESSOR, PROCESS, MEMORY = "machine: processor", "machine: start-up", "machine: memory"
# Benchmarks that move numbers rather than compute, as "PROGRAM: NAME".
MEMORY_BOUND = re.compile(r"training: |tensor: dropout_mask|data: (npz|safetensors|read_)")


def timed(name, unit, value, kind="speed", null=PROCESSOR):
    series = {"name": name, "kind": kind, "unit": unit, "better": "lower", "value": value}
    return dict(series, null=null) if kind == "speed" else series


def command_series(name, runs, null=PROCESSOR):
    """Of a whole command: wall time, processor time and peak memory, medians of a few runs."""
    def middle(key):
        return statistics.median(getattr(one, key) for one in runs)

    return [timed(f"command: {name}", "s", middle("seconds"), null=null),
            timed(f"command: {name}, CPU time", "s", middle("cpu_seconds"), null=null),
            timed(f"command: {name}, peak memory", "MiB", middle("peak_bytes") / (1 << 20), "memory")]


class Work:
    """`measure(side, folder)` returns series with one value each; `folder` is the side's own for the whole night."""

    def __init__(self, name, measure):
        self.name = name
        self.measure = measure


def clothes_settings(side):
    """A U-Net that 200 steps of a few seconds take to something like clothes."""
    return ["--config", side.configs / "fashion-mnist-small.toml"] + [
        word for setting in ("model.unet.base_channels=8", "model.unet.multipliers=[1,2,2]",
                             "model.unet.attention_resolutions=[7]", "train.seed=0", "train.steps=200",
                             "train.batch_size=16", "train.warmup_steps=20", "train.checkpoint_every=0",
                             "train.log_every=100", "sample.steps=20")
        for word in ("--set", setting)]


def train_clothes(side, folder):
    shutil.rmtree(folder, ignore_errors=True)
    return run([side.program, "-q", "train", *clothes_settings(side), "--out", folder])


def start_up(side, folder):
    return command_series("start-up", [run([side.program, "info"]) for _ in range(SHORT_RUNS)], PROCESS)


def fid_of_statistics(side, folder):
    return command_series("fid from statistics", [run([side.program, "-q", "fid", "--real", WORK / "real-1.npz", "--fake",
                                                       WORK / "fake-1.npz"])])


def fid_of_images(side, folder):
    """By the built-in network: what takes the time with Inception is measured by bench_metrics."""
    return command_series("fid of 2,000 images",
                          [run([side.program, "-q", "fid", "--real", "fashion-mnist:test?first=0&num=2000", "--fake",
                                "fashion-mnist:test?first=5000&num=2000"])])


def training(side, folder):
    return command_series("200 training steps", [train_clothes(side, folder / "clothes")])


def sampling(side, folder):
    """From the run that training() has left."""
    if not (folder / "clothes").exists():
        train_clothes(side, folder / "clothes")
    out = folder / "clothes.npz"
    out.unlink(missing_ok=True)
    pathlib.Path(str(out.with_suffix("")) + ".samples.json").unlink(missing_ok=True)
    return command_series("sample of 64 images",
                          [run([side.program, "-q", "sample", "--run", folder / "clothes", "--num", 64, "--out",
                                out])])


def cell(side, folder):
    """A cell of a grid on the swiss roll: trained, sampled and scored."""
    shutil.rmtree(folder / "cell", ignore_errors=True)
    grid = folder / "cell.toml"
    grid.write_text(f"""title = "The night's cell"
config = "{side.configs / 'swiss-roll.toml'}"
seeds = 1
baseline = "cell"
threads = 1
[budget]
steps = 1000
[set]
data.points = 10000
[score]
num = 2000
real = "swiss-roll?num=2000&seed=1"
seed = 1
[[cells]]
name = "cell"
""")
    return command_series("swiss-roll cell", [run([side.program, "-q", "ablate", "--grid", grid, "--out",
                                                   folder / "cell", "--jobs", 1])])


def null_process(base):
    def measure(side, folder):
        runs = [run([base.program, "info"]) for _ in range(SHORT_RUNS)]
        return [timed(PROCESS, "s", statistics.median(one.seconds for one in runs), "null")]

    return Work("the baseline's start-up", measure)


def null_benchmark(subject, program, name, options):
    def measure(side, folder):
        times = benchmarks.times_of(program, options, benchmarks.any_of([name]), options.inner, False)
        return [timed(subject, "s", times[name], "null")]

    return Work(f"the baseline's {name}", measure)


def null_memory(base, options):
    """The baseline's copy of a large array, or copies of files in memory."""
    program = base.benchmarks().get("tensor")
    copies = [name for name in benchmarks.names_of(program) if name.startswith("peak_copy/")] if program else []
    if copies:
        return null_benchmark(MEMORY, program, copies[0], options)
    files = [WORK / name for name in INPUTS]
    place = memory_folder(sum(path.stat().st_size for path in files))

    def measure(side, folder):
        with tempfile.TemporaryDirectory(dir=place) as target:
            seconds = [run(["cp", *files, target]).seconds for _ in range(SHORT_RUNS)]
        return [timed(MEMORY, "s", statistics.median(seconds), "null")]

    return Work("copies in memory", measure)


def null_processor(base, options):
    """The baseline's U-Net forward, or what it has for the purpose."""
    named = [(label, name) for label, program in base.benchmarks().items() for name in benchmarks.names_of(program)]
    wanted = [(label, name) for start in ("unet_forward/batch:8/bf16:0", "unet_forward", "null")
              for label, name in named if name.startswith(start)]
    if not wanted:
        return None
    label, name = wanted[0]
    return null_benchmark(PROCESSOR, base.benchmarks()[label], name, options)


def benchmark_work(label, selections, options):
    """`selections` by the side's folder; a side may lack the program."""
    def measure(side, folder):
        if side.folder not in selections:
            return []
        times = selections[side.folder].measure(side.benchmarks()[label], options)
        names = {name: f"{label}: {name.removesuffix('/real_time')}" for name in times}
        return [timed(names[name], "s", seconds, null=MEMORY if MEMORY_BOUND.match(names[name]) else PROCESSOR)
                for name, seconds in times.items()]

    return Work(f"bench_{label}", measure)


COMMANDS = [Work("start-up", start_up), Work("fid from statistics", fid_of_statistics),
            Work("fid of 2,000 images", fid_of_images), Work("200 training steps", training),
            Work("sample of 64 images", sampling), Work("swiss-roll cell", cell)]


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
