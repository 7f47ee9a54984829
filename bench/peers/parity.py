#!/usr/bin/env python3
"""Sets the scores of ddpm-eval beside those of the tools that its presets are named after.

    bench/peers/setup.sh
    bench/peers/parity.py --build build/release [--check]

Two sets of images, made here, with synthetic weights on both sides. Writes results/parity.json and the tables of
docs/parity.md; with --check nothing is written. Exit code 1 if a row is beyond its limit. What the tools gave is
kept in build/peers-data until the script that ran them changes, so that an interrupted run goes on.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

os.environ["DDPM_EVAL_CACHE"] = "off"  # what is compared is measured
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORD = ROOT / "results" / "parity.json"
PAGE = ROOT / "docs" / "parity.md"
BEGIN, END = "<!-- parity:begin -->\n", "<!-- parity:end -->"

LIMIT = 1e-4  # relative
SUBSET = 30
KINDS = {"small": "96 images a side of 32 x 32 pixels, PNG",
         "mixed": "36 images a side of 64 x 64 to 700 x 500 pixels, colour and grey, PNG and JPEG"}
HOW = {"run": "the tool was run", "function": "the tool's functions on its network's features",
       "rule": "the tool's published rule, in NumPy"}
METRICS = {"torch-fidelity": "fid,is,kid,prdc,mind", "pytorch-fid": "fid", "clean-fid": "fid,kid",
           "clean-fid-legacy-pytorch": "fid,kid", "clean-fid-legacy-tensorflow": "fid,kid", "torchmetrics": "fid,is,kid,mifid",
           "adm": "fid,is,prdc", "edm": "fid", "pytorch-gan-metrics": "fid,is", "dgm-eval": "fid,is,kid,prdc,vendi,sliced-wasserstein"}
# The others take all where there are fewer than 1000. Of torchmetrics' no seed is known: all, where no draw matters.
OWN_SUBSETS = {"torch-fidelity": SUBSET, "torchmetrics": None}


def output_of(*words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"parity: {' '.join(str(word) for word in words)}: exit code {done.returncode}")
    return done.stdout


class Ours:
    """Scores by preset and layer, each asked for once."""

    def __init__(self, program, folders, weights):
        self.program, self.folders, self.weights, self.found = program, folders, weights, {}

    def count(self):
        """Of the images of either side."""
        real, fake = (len(os.listdir(self.folders[side])) for side in ("real", "fake"))
        if real != fake:
            sys.exit(f"parity: {real} real images and {fake} fake ones")
        return real

    def value(self, preset, metric):
        key, _, layer = metric.partition("@")
        return self.metrics(preset, layer)[key]

    def metrics(self, preset, layer):
        if (preset, layer) not in self.found:
            words = [self.program, "-q", "score", "--real", self.folders["real"], "--fake", self.folders["fake"],
                     "--preset", preset, "--weights", self.weights, "--json", "-", "--metrics",
                     "fid" if layer else METRICS[preset]]
            words += ["--features", f"inception:{layer}"] if layer else []
            if preset in OWN_SUBSETS and not layer:
                words += ["--kid-subset-size", OWN_SUBSETS[preset] or self.count()]
            record = json.loads(output_of(*words))
            self.found[preset, layer] = record["metrics"]
            self.tool = record["tool"]
            self.context = {"weights_sha256": record["features"]["weights_sha256"], "precision": record["precision"],
                            "runtime": record["runtime"]}
        return self.found[preset, layer]


def scores_of_tools(python, sides, weights):
    """Rows of the tools, without those of ours."""
    scripts = b"".join((HERE / name).read_bytes() for name in ("parity_data.py", "parity_peers.py"))
    digest = hashlib.sha256(scripts + f"{weights} {SUBSET}".encode()).hexdigest()[:12]
    done = pathlib.Path(sides["real"]).parent / f"tools-{digest}.json"
    printed = output_of(python, HERE / "parity_peers.py", sides["real"], sides["fake"], "--weights", weights,
                        "--subset-size", SUBSET, "--done", done)
    return json.loads(printed.splitlines()[-1])


def compared(ours, theirs, kind):
    row = dict(theirs, images=kind, theirs=theirs.pop("value"), ours=ours)
    row["difference"] = ours - row["theirs"]
    scale = max(abs(row["theirs"]), 1e-300)
    row["relative"] = abs(row["difference"]) / scale
    row["within"] = row["relative"] <= LIMIT or abs(row["difference"]) <= 1.001 * row.get("allowed", 0)
    return row


def tables(record):
    lines = [f"Commit {record['commit']}; {', '.join(f'{name} {version}' for name, version in record['versions'].items())}.", ""]
    for kind, words in KINDS.items():
        lines += [f"### {words}", "", "| preset | metric | ddpm-eval | theirs | relative difference | how |",
                  "|---|---|--:|--:|--:|---|"]
        for row in record["rows"]:
            if row["images"] == kind:
                metric, _, layer = row["metric"].partition("@")
                metric = f"`{metric}`" + (f", {layer}" if layer else "")
                relative = f"{row['relative']:.0e}" if row["relative"] else "0"
                lines.append(f"| `{row['preset']}` | {metric} | {row['ours']:.9g} | {row['theirs']:.9g} | {relative} | "
                             f"{HOW[row['how']]} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--python", type=pathlib.Path, default=ROOT / "build" / "peers" / "bin" / "python")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    work = ROOT / "build" / "peers-data"
    weights = json.loads(output_of(options.python, HERE / "make_data.py", "--out", work, "--count", 2))["weights"]["file"]
    make = f"import parity_data, pathlib, json, sys; print(json.dumps(parity_data.make(pathlib.Path({str(work)!r}))))"
    folders = json.loads(subprocess.run([str(options.python), "-c", make], cwd=HERE, stdout=subprocess.PIPE, text=True,
                                        check=True).stdout)
    rows, tool = [], None
    for kind in KINDS:
        print(f"parity: {KINDS[kind]}", file=sys.stderr, flush=True)
        sides = folders[kind]
        theirs = scores_of_tools(options.python, sides, weights)
        ours = Ours(options.build / "bin" / "ddpm-eval", sides, weights)
        rows += [compared(ours.value(one["preset"], one["metric"]), one, kind) for one in theirs]
        tool = ours.tool
    rows.sort(key=lambda row: (row["images"], list(METRICS).index(row["preset"]), row["metric"], row["how"]))
    versions = json.loads(output_of(options.python, HERE / "probe.py"))["versions"]
    record = {"schema": 1, "kind": "parity", "commit": tool["commit"], "versions": versions, "limit": LIMIT,
              "context": ours.context, "rows": rows}
    beyond = [row for row in rows if not row["within"]]
    for row in beyond:
        print(f"parity: {row['preset']}, {row['metric']}, {row['images']}: {row['ours']:.9g} and {row['theirs']:.9g} by "
              f"{row['how']}", file=sys.stderr)
    if not options.check:
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
        text = PAGE.read_text()
        PAGE.write_text(text[:text.index(BEGIN) + len(BEGIN)] + tables(record) + text[text.index(END):])
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
