#!/usr/bin/env python3
"""Peak memory of scores as the sets grow, of whole processes on this machine.

    bench/memory.py --name MACHINE --weights FILE [--program build/release/bin/ddpm-eval] [--only REGEX] [--peers]

Works: FID and Inception Score by the built-in network, 1,000 to 100,000 images a side; FID, sFID and Inception Score by the
FID Inception, whose weights are FILE (synthetic ones of the same shapes take as much); precision and recall of
feature files, up to 50,000 against 50,000 vectors of 2048. Images are noise, made as they are read. With --peers (of
bench/peers/setup.sh) the same growth of pytorch-fid's moments, behind a network that answers at once, and torch-fidelity's
precision and recall of the same files. Who runs out of memory is told. Writes results/speed/MACHINE-memory.json and .md;
bench/peers/update_docs.py takes the table to the docs. With --only the other works stay as they were measured of the same
commit on the same processor.
"""
import argparse
import array
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import signal
import struct
import sys
import tempfile

import commands
import inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 4 * 3600  # seconds of one process
MOST = 0.85  # of the machine's memory
OUT_OF_MEMORY = 9  # the exit code of peer_memory.py
PEER = ROOT / "bench/peers/peer_memory.py"
FEATURES = 2048


class OutOfMemory(Exception):
    """A peer has not had enough."""


def memory_limit():
    """Bytes that a process may hold: an error, before the system kills something else. Most of what there is."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        most = min(most, int(pathlib.Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(MOST * most)


def measured(words):
    """Seconds, peak MB (10^6 bytes) and the record of a command."""
    limit = memory_limit()
    done, record, said = commands.finished(
        words, LIMIT, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    if done.code in (OUT_OF_MEMORY, -signal.SIGKILL):
        raise OutOfMemory(f"more than {limit / 1e6:,.0f} MB")
    commands.require_done(done, said)
    return done.seconds, done.peak_bytes / 1e6, record


def noise(size, count, seed):
    return f"gaussian-noise:{size}x{size}x{1 if size == 28 else 3}?num={count}&seed={seed}"


def small_network(options, folder):
    for count in (1_000, 10_000, 100_000):
        yield count, [options.program, "score", "--metrics", "fid,is", "--features", "fashion-mnist-small", "--real",
                      noise(28, count, 1), "--fake", noise(28, count, 2), "--json", "-", "-q"]


def inception(options, folder):
    statistics = folder / "real.npz"
    measured([options.program, "stats", "--spatial", "--weights", options.weights, "--data", noise(32, 1_000, 1), "--out",
              statistics, "--json", "-", "-q"])
    for count in (1_000, options.inception_images):
        yield count, [options.program, "score", "--metrics", "fid,sfid,is", "--weights", options.weights, "--real", statistics,
                      "--fake", noise(32, count, 2), "--json", "-", "-q"]


def write_features(path, count, seed):
    """A .npy file of float32 [count, FEATURES]: windows into uniform numbers, which are quick to make."""
    draw = random.Random(seed)
    pool = array.array("f", (draw.random() for _ in range(4_000_000))).tobytes()
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {FEATURES}), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        for _ in range(count):
            begin = 4 * draw.randrange(4_000_000 - FEATURES)
            file.write(pool[begin:begin + 4 * FEATURES])


def neighbours(options, folder):
    for count, paths in feature_files(folder):
        yield count, [options.program, "prdc", "--real", paths[0], "--fake", paths[1], "--json", "-", "-q"]


def feature_files(folder, counts=(5_000, 50_000)):
    for count in counts:
        paths = [folder / f"{side}.npy" for side in ("real", "fake")]
        for seed, path in enumerate(paths, 1):
            write_features(path, count, seed)
        yield count, paths


def peer_moments(options, folder):
    for count in (1_000, 10_000, 100_000):
        yield count, [options.python, PEER, "moments", count]


def peer_neighbours(options, folder, *flags):
    """Fewer, as they take minutes; then as many as ours had, which some have no memory for."""
    for count, paths in feature_files(folder, (5_000, 10_000) if flags else (5_000, 10_000, 50_000)):
        yield count, [options.python, PEER, "prdc", *paths, *flags]


WORKS = {
    "fid,is: built-in network": (small_network, "images a side"),
    "fid,sfid,is: FID Inception, against statistics": (inception, "images"),
    "prdc: feature files, d = 2048": (neighbours, "vectors a side"),
}
PEERS = {
    "pytorch-fid's moments, d = 2048, a network that answers at once": (peer_moments, "images"),
    "torch-fidelity's prc, sparing memory: the same files": (
        lambda options, folder: peer_neighbours(options, folder, "--sparing"), "vectors a side"),
    "torch-fidelity's prc: the same files": (peer_neighbours, "vectors a side"),
}


def measured_or_failed(name, count, words):
    try:
        seconds, peak, result = measured(words)
    except OutOfMemory as error:
        if name not in PEERS:
            raise commands.Failed(str(error)) from error
        return {"count": count, "failed": str(error)}
    return {"count": count, "seconds": seconds, "peak_mb": peak, "metrics": result["metrics"]}


def measured_before(path, record):
    """Works by name of the record at `path`, if it is of this commit, LibTorch and machine."""
    if not path.exists() or record["commit"].endswith("-dirty"):
        return {}
    with inputs.reading(path):
        earlier = json.loads(path.read_text())
        same = all(earlier[key] == record[key] for key in ("commit", "libtorch", "cpu", "processors", "memory_limit_mb"))
        return {work["work"]: work for work in earlier["works"]} if same else {}


def markdown(record):
    lines = [f"Commit {record['commit']}, {record['date']}, {record['processors']} x {record['cpu']}.", "",
             "| work | count | peak MB | of the smallest count |", "|---|--:|--:|--:|"]
    for work in record["works"]:
        least = next((one["peak_mb"] for one in work["sizes"] if "peak_mb" in one), 0)
        lines += [f"| {work['work']} ({work['unit']}) | {one['count']:,} | {one['peak_mb']:.0f} | "
                  f"{one['peak_mb'] / least:.2f} |" if "failed" not in one else
                  f"| {work['work']} ({work['unit']}) | {one['count']:,} | {one['failed']} | – |"
                  for one in work["sizes"]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="of the record: the machine's")
    parser.add_argument("--weights", required=True, help="of the FID Inception")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/bin/ddpm-eval")
    parser.add_argument("--only", type=inputs.regex, metavar="REGEX", help="of the works' names")
    parser.add_argument("--inception-images", type=inputs.whole(1_001, 10_000_000), default=5_000)
    parser.add_argument("--peers", action="store_true", help="measure the peers, too")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / "build/peers/bin/python", help="of the peers")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "results/speed")
    options = parser.parse_args()
    works = WORKS | (PEERS if options.peers else {})
    names = [name for name in works if re.search(options.only or "", name)]
    if not names:
        parser.error(f"--only {options.only}: matches none of {'; '.join(works)}")
    record = commands.new_record("memory", options.program) | {"memory_limit_mb": memory_limit() / 1e6, "works": []}
    done = measured_before(options.out / f"{options.name}-memory.json", record) if options.only else {}
    for name in names:
        make, unit = works[name]
        done[name] = {"work": name, "unit": unit, "sizes": []}
        record["works"] = [done[each] for each in WORKS | PEERS if each in done]
        with tempfile.TemporaryDirectory() as folder:
            for count, words in make(options, pathlib.Path(folder)):
                done[name]["sizes"].append(measured_or_failed(name, count, words))
                one = done[name]["sizes"][-1]
                print(f"memory: {name}: {count:,} {unit}: " +
                      (one["failed"] if "failed" in one else f"{one['seconds']:.1f} s, {one['peak_mb']:.0f} MB"),
                      file=sys.stderr, flush=True)
                commands.write_record(options.out, f"{options.name}-memory", record, markdown(record))
    print(markdown(record), end="")


if __name__ == "__main__":
    commands.run_script("memory", main)
