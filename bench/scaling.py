#!/usr/bin/env python3
"""How commands gain by processes and by threads, on this machine.

    bench/scaling.py --name MACHINE [--weights FILE] [--program build/release/bin/ddpm-eval] [--only REGEX] [--rounds 5]

Each work is done by one process with one thread, one process with every processor, and as many processes with one thread
each as there are processors, in turn. Works: samples, training and the bound of the Fashion-MNIST network of configs/
(untrained), FID by the built-in network, and with --weights FID by the FID Inception (synthetic ones of the same shapes do as
much). What is timed is the whole command; of training, the steps alone. Writes results/speed/MACHINE-scaling.json and .md.
"""
import argparse
import os
import pathlib
import re
import statistics
import sys
import tempfile

import commands
import inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 3600  # seconds of one process
CONFIG = ROOT / "configs/fashion-mnist-small.toml"


def done(words):
    """Seconds of a command, and its record."""
    ended, record, said = commands.finished(words, LIMIT)
    commands.require_done(ended, said)
    return ended.seconds, record


def training(folder, name, steps):
    return ["train", "--config", CONFIG, "--out", folder / name, "--set", f"train.steps={steps}", "--set", "train.grid_every=0",
            "--set", "train.checkpoint_every=0"]


def sampling(folder, name):
    return ["sample", "--run", folder / "run", "--sampler", "ddim", "--steps", 20, "--num", 600, "--out",
            folder / f"{name}.npz"]


def evaluation(folder, name):
    return ["nll", "--run", folder / "run", "--data", "fashion-mnist:test?num=400", "--strata", 6, "--out", folder / name]


def distance(folder, name):
    return ["fid", "--no-cache", "--features", "fashion-mnist-small", "--real", "fashion-mnist:test", "--fake",
            "fashion-mnist:train?num=20000"]


def inception_distance(folder, name, weights):
    noise = "gaussian-noise:32x32x3?num=200&seed="
    return ["fid", "--no-cache", "--weights", weights, "--real", noise + "1", "--fake", noise + "2"]


def works(options):
    """Name: the words of a call into a folder, how many images it handles, and the rate in its record, if that is timed."""
    found = {
        "train, steps of 64": (lambda folder, name: training(folder, name, 12), 12 * 64, "images_per_second"),
        "sample, 20 steps, micro-batches of 100": (sampling, 600, None),
        "nll, 6 passes an image": (evaluation, 400, None),
        "fid, built-in network": (distance, 30_000, None),
    }
    if options.weights:
        found["fid, FID Inception"] = (
            lambda folder, name: inception_distance(folder, name, options.weights), 400, None)
    return found


def layouts():
    count = len(os.sched_getaffinity(0))
    return [(1, 1), (1, count), (count, 1)] if count > 1 else [(1, 1)]


def measured(options, name, work, folder):
    make, images, rate = work
    rates = {layout: [] for layout in layouts()}
    for turn in range(options.rounds + 1):
        for processes, threads in rates if turn % 2 == 0 else reversed(rates):
            words = make(folder, f"{turn}-{processes}-{threads}")
            seconds, record = done([options.program, *words, "--procs", processes, "--threads", threads, "-q", "--json", "-"])
            if turn > 0:  # the first is for the caches
                rates[processes, threads].append(record[rate] if rate else images / seconds)
    sizes = [{"processes": processes, "threads": threads, "images_per_second": values}
             for (processes, threads), values in rates.items()]
    print(f"scaling: {name}: " + ", ".join(f"{one['processes']} x {one['threads']}: "
                                           f"{statistics.median(one['images_per_second']):.4g}/s" for one in sizes),
          file=sys.stderr, flush=True)
    return {"work": name, "layouts": sizes}


def markdown(record):
    lines = [f"Commit {record['commit']}, {record['date']}, {record['processors']} x {record['cpu']}, LibTorch {record['libtorch']}; "
             f"medians of {record['rounds']} rounds, the least and the most.", "",
             "| work | processes x threads | images/s | of 1 x 1 |", "|---|--:|--:|--:|"]
    for work in record["works"]:
        base = statistics.median(work["layouts"][0]["images_per_second"])
        for one in work["layouts"]:
            values = one["images_per_second"]
            median = statistics.median(values)
            lines.append(f"| {work['work']} | {one['processes']} x {one['threads']} | {median:.4g} ({min(values):.4g} to "
                         f"{max(values):.4g}) | {median / base:.2f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="of the record: the machine's")
    parser.add_argument("--weights", help="of the FID Inception")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bin/ddpm-eval")
    parser.add_argument("--only", type=inputs.regex, default=".", metavar="REGEX", help="of the works' names")
    parser.add_argument("--rounds", type=inputs.whole(1, 1000), default=5)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "results/speed")
    options = parser.parse_args()
    wanted = {name: work for name, work in works(options).items() if re.search(options.only, name)}
    if not wanted:
        parser.error(f"--only {options.only}: matches none of {'; '.join(works(options))}")
    record = commands.new_record("scaling", options.program) | {"rounds": options.rounds, "works": []}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        done([options.program, *training(folder, "run", 1), "-q", "--json", "-"])
        for title, work in wanted.items():
            record["works"].append(measured(options, title, work, folder))
            commands.write_record(options.out, f"{options.name}-scaling", record, markdown(record))
    print(markdown(record), end="")


if __name__ == "__main__":
    commands.run_script("scaling", main)
