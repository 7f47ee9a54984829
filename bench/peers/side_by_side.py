"""Races ddpm-eval against PyTorch eager on this machine, in turn, and writes a record and a table.

    bench/peers/setup.sh
    build/peers/bin/python bench/peers/side_by_side.py --build build/release --out results/speed [--rounds 2]

Each race runs A B A B ...; the ratio is that of the medians, its spread that over the pairs. Run it on an idle machine.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# name, what is counted, task of peer_bench.py, threads, benchmark of bench_ddpm
RACES = [
    ("U-Net forward, batch 8, float32", "images/s", "unet-forward", 8, 2, "unet_forward/batch:8/bf16:0/"),
    ("U-Net forward, batch 8, bf16", "images/s", "unet-forward", 8, 2, "unet_forward/batch:8/bf16:1/"),
    ("U-Net training, batch 8, float32", "images/s", "unet-train", 8, 2, "unet_train/batch:8/bf16:0/"),
    ("U-Net training, batch 8, bf16", "images/s", "unet-train", 8, 2, "unet_train/batch:8/bf16:1/"),
    ("points, batch 128, one core", "updates/s", "points-train", 128, 1, "points_train/batch:128/"),
]


def output_of(command, threads, extra=None):
    pinned = ["taskset", "-c", "0"] if threads == 1 else []
    environment = dict(os.environ, DDPM_EVAL_THREADS=str(threads), OMP_NUM_THREADS=str(threads), **(extra or {}))
    result = subprocess.run(pinned + command, env=environment, check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    return json.loads(result.stdout)


def peer(task, batch, threads, seconds):
    command = [sys.executable, str(HERE / "peer_bench.py"), task, "--batch", str(batch), "--threads", str(threads),
               "--seconds", str(seconds)]
    return output_of(command, threads)["items_per_second"]


def own(program, name, threads, seconds):
    command = [str(program), f"--benchmark_filter=^{name}", f"--benchmark_min_time={seconds}",
               "--benchmark_format=json"]
    return output_of(command, threads)["benchmarks"][0]["items_per_second"]


def race(program, entry, rounds, seconds):
    name, unit, task, batch, threads, benchmark = entry
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(peer(task, batch, threads, seconds))
        ours.append(own(program, benchmark, threads, seconds))
    pairs = [a / b for a, b in zip(ours, theirs)]
    return {"race": name, "unit": unit, "threads": threads, "ddpm_eval": ours, "pytorch_eager_float32": theirs,
            "ratio": statistics.median(ours) / statistics.median(theirs), "ratio_min": min(pairs),
            "ratio_max": max(pairs)}


def first_line(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[0]


def processor():
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = [flag for flag in fields["flags"].split() if flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")]
    return {"name": fields["model name"], "family": fields["cpu family"], "model": fields["model"],
            "instructions": flags, "processors": len(os.sched_getaffinity(0))}


def provenance(build):
    import torch

    cache = (build / "CMakeCache.txt").read_text()
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": first_line(["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"]),
            "build_type": "Release" if "CMAKE_BUILD_TYPE:STRING=Release" in cache else "other",
            "processor": processor(), "system": platform.platform(), "compiler": first_line(["g++", "--version"]),
            "packages": {package: first_line(["dpkg-query", "-W", "-f", "${Version}", package])
                         for package in ("libtorch1.13", "libdnnl2", "python3-torch", "libopenblas0-openmp")},
            "pytorch": torch.__version__, "python": platform.python_version()}


def table(record):
    lines = [f"Commit {record['commit']}, {record['date']}, {record['processor']['processors']} x "
             f"{record['processor']['name']} (model {record['processor']['model']}), PyTorch {record['pytorch']}, "
             f"{record['rounds']} rounds in turn.", "",
             "| race | unit | threads | ddpm-eval | PyTorch eager, float32 | ratio (least to most) |",
             "|------|------|--------:|----------:|-----------------------:|----------------------:|"]
    for race_ in record["races"]:
        lines.append("| {} | {} | {} | {:.1f} | {:.1f} | {:.2f} ({:.2f} to {:.2f}) |".format(
            race_["race"], race_["unit"], race_["threads"], statistics.median(race_["ddpm_eval"]),
            statistics.median(race_["pytorch_eager_float32"]), race_["ratio"], race_["ratio_min"],
            race_["ratio_max"]))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    record = dict(provenance(options.build), rounds=options.rounds, seconds=options.seconds, races=[])
    for entry in RACES:
        record["races"].append(race(options.build / "bin" / "bench_ddpm", entry, options.rounds, options.seconds))
        print(json.dumps(record["races"][-1]), file=sys.stderr)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "side-by-side.json").write_text(json.dumps(record, indent=2) + "\n")
    (options.out / "side-by-side.md").write_text(table(record))
    print(table(record), end="")


if __name__ == "__main__":
    main()
