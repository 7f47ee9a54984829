#!/usr/bin/env python3
"""Races ddpm-eval against pytorch-fid, torch-fidelity, clean-fid and PyTorch eager on this machine, in turn.

    bench/peers/setup.sh
    bench/peers/side_by_side.py --build build/release --name MACHINE [--only REGEX] [--rounds 3]
    bench/peers/update_docs.py

Competitors of a heat take turns, A B, B A, ...; a race is a pair of them. Its ratio is that of the medians, the spread
that over the pairs. Seconds are of whole processes from start to end. Values of the same precision must agree to 1e-4 (of
fewer images than features: of the terms of the distance), or the race does not count; neither does one whose competitor
fails. Writes results/speed/MACHINE.json and .md after each heat; an interrupted run is gone on with by --resume. Ends
with exit code 1 if a competitor has failed. Run it on an idle machine.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

import judge
import machine
import tables
import works
from processes import Failed, host, inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOST_ROUNDS = 1000
MOST_IMAGES = 100_000  # on each side
LONGEST = 24 * 3600  # seconds


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


# ---- One heat --------------------------------------------------------------------------------------------------------


def turn(competitor):
    try:
        return competitor.measure()
    except (Failed, OSError) as error:
        raise Failed(str(error) or type(error).__name__) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failed(f"its output is not what it should be: {error}") from error


def run_heat(heat, rounds):
    """The record of a heat. Who has failed once is out."""
    rounds = max(rounds, heat.least_rounds)
    sides = {one.key: {"tool": one.tool, "conditions": one.conditions, "turns": []} for one in heat.competitors}
    for path in heat.files:  # whoever comes first meets warm caches, too
        machine.read_all(path)
    busy = machine.busy_processors()
    if busy > tables.IDLE:
        say(f"other programs are at work ({busy} processors): times will not mean much")
    begin = datetime.datetime.now(datetime.timezone.utc)
    for number in range(-1 if heat.warm_up else 0, rounds):
        for one in heat.competitors if number % 2 == 0 else reversed(heat.competitors):
            side = sides[one.key]
            if "failed" in side:
                continue
            try:
                took = turn(one)
            except Failed as error:
                side["failed"] = str(error)
                say(f"{heat.name}: {one.tool} ({one.key}) is out: {error}")
                continue
            if number >= 0:
                side["turns"].append(took)
                say(f"{heat.name}, round {number + 1} of {rounds}: {one.key}: {summary(took)}")
    return {"heat": heat.name, "work": heat.work, "unit": heat.unit, "rounds": rounds,
            "began": begin.isoformat(timespec="seconds"), "busy_before": busy, "competitors": sides,
            "pairs": [{"ours": pair.ours, "theirs": pair.theirs, "goal": pair.goal, "work": pair.work}
                      for pair in heat.pairs], "not_raced": heat.not_raced,
            "singular": heat.singular}


def summary(took):
    told = {"seconds": "{:.3f} s", "items_per_second": "{:.2f} a second", "peak_mb": "{:.0f} MB", "value": "{:.9g}"}
    return ", ".join(text.format(took[key]) for key, text in told.items() if key in took)


# ---- The record ------------------------------------------------------------------------------------------------------


def without_paths(data):
    return {key: value for key, value in data.items() if key not in ("real", "fake", "file")}


def write(record, path):
    order = list(works.HEATS)
    record["heats"].sort(key=lambda heat: order.index(heat["heat"]))
    record["races"] = [one for heat in record["heats"] for one in judge.races_of(heat)]
    host.write_whole(path, json.dumps(record, indent=1) + "\n")
    host.write_whole(path.with_suffix(".md"), tables.markdown(record))


def record_to_go_on_with(path, new, replace):
    """The one that is there, if it was measured of the same on the same machine; else it is not touched."""
    if replace or not path.exists():
        return new
    with inputs.reading(path):
        old = json.loads(path.read_text())
        differ = [key for key in machine.CONTEXT if old.get(key) != new[key]]
    if differ:
        raise RuntimeError(f"{path} was measured with another {', '.join(differ)}; --replace begins a new record")
    with inputs.reading(path):
        for heat in old["heats"]:  # as write() will
            if heat["heat"] not in works.HEATS:
                raise ValueError(f"there is no heat {heat['heat']}")
            judge.races_of(heat)
    return old


# ---- The command -----------------------------------------------------------------------------------------------------


def prepared(options, found, heats):
    """The field, with data and the empty program where a heat needs them."""
    work = ROOT / "build" / "peers-data"
    data = {}
    if any(name in works.NEEDS_DATA for name in heats):
        cifar = ["--cifar", options.cifar] if options.cifar else []
        data = json.loads(host.output_of(options.python, machine.HERE / "make_data.py", "--out", work, "--count",
                                         options.count, *cifar))
    empty = work / "empty"
    if "start-up" in heats:
        empty = works.build_empty_program(machine.cached(options.build, "CMAKE_CXX_COMPILER"),
                                          machine.torch_libraries(options.build), work)
    return works.Field(options.build, options.python, found["versions"], data, empty, options.threads, options.seconds,
                       options.limit)


def record_name(text):
    """What a page's marker can name (update_docs.py), and no path."""
    if not re.fullmatch(r"[\w-][\w.-]*", text):
        raise argparse.ArgumentTypeError(f"{text}: not of letters, digits, _, - and . alone")
    return text


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--name", type=record_name, required=True, help="of the record: the machine's")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "results" / "speed")
    parser.add_argument("--only", type=inputs.regex, default=".", metavar="REGEX", help="of " + ", ".join(works.HEATS))
    parser.add_argument("--rounds", type=inputs.whole(1, MOST_ROUNDS), default=3)
    parser.add_argument("--count", type=inputs.whole(2, MOST_IMAGES), default=works.COUNT,
                        help="images on each side of an FID; goals are for the default")
    parser.add_argument("--cifar", type=pathlib.Path, metavar="FOLDER", help="a cifar-10-batches-bin, for the images")
    parser.add_argument("--threads", type=inputs.whole(1, len(os.sched_getaffinity(0))), default="2")  # text is judged
    parser.add_argument("--seconds", type=inputs.seconds(LONGEST), default=2, help="a benchmark's least")
    parser.add_argument("--limit", type=inputs.seconds(LONGEST), default=3600,
                        help="seconds after which a process has failed")
    parser.add_argument("--resume", action="store_true", help="leave out heats that the record has")
    parser.add_argument("--replace", action="store_true", help="begin a new record")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / "build" / "peers" / "bin" / "python",
                        help="of the peers")
    options = parser.parse_args()
    if not any(re.search(options.only, name) for name in works.HEATS):
        parser.error(f"--only {options.only}: matches none of {', '.join(works.HEATS)}")
    options.build = options.build.resolve()
    return options


def main():
    options = arguments()
    if not options.python.exists():
        raise RuntimeError(f"{options.python} is missing; bench/peers/setup.sh makes it")
    found = machine.probe(options.python, options.threads)
    slow = [one["file"] for one in found["blas"] if "OpenBLAS" not in one.get("says", "")]
    if slow or not found["blas"]:
        raise RuntimeError(f"the peers have no OpenBLAS ({', '.join(slow)}): no fair race; see bench/peers/setup.sh")
    names = [name for name in works.HEATS if re.search(options.only, name)]
    new = dict(machine.provenance(options.build, found), rounds=options.rounds, heats=[], races=[],
               settings={"seconds": options.seconds, "threads": options.threads, "count": options.count,
                         "images": "cifar10" if options.cifar else "synthetic"})
    path = options.out / f"{options.name}.json"
    record = record_to_go_on_with(path, new, options.replace)
    if options.resume:
        names = [name for name in names if name not in {heat["heat"] for heat in record["heats"]}]
    field = prepared(options, found, names)
    for name in names:
        heat = run_heat(works.HEATS[name](field), options.rounds)
        if name in works.NEEDS_DATA:
            heat["data"] = {key: without_paths(field.data[key]) for key in (works.NEEDS_DATA[name], "weights")}
        record["heats"] = [one for one in record["heats"] if one["heat"] != name] + [heat]
        write(record, path)
    print(path.with_suffix(".md").read_text() if path.exists() else "", end="")
    failed = [one for heat in record["heats"] for one in heat["competitors"].values() if "failed" in one]
    return 1 if failed else 0


if __name__ == "__main__":
    host.INTERRUPTS.take()
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.CalledProcessError, inputs.Damaged) as error:
        sys.exit(f"peers: {error}")
    except KeyboardInterrupt:
        host.INTERRUPTS.end()
        sys.exit("peers: interrupted; finished heats are in the record, --resume goes on")
