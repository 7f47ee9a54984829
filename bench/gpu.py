#!/usr/bin/env python3
"""What ddpm-eval does on one CUDA card: training, sampling and scoring, beside the card's own peak.

Usage: gpu.py PROGRAM OUT --weights FILE [--data SOURCE] [--steps N] [--commit HASH]

Runs PROGRAM's commands on configs/cifar10.toml's network, each once, and writes OUT.json (every figure, the card, the
versions) and OUT.md. FILE holds weights of the FID Inception; synthetic ones of the same shapes are as fast. The peaks
are products of two 8192 x 8192 matrices by PyTorch in the same run. Needs python3 with a PyTorch that sees the card.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import torch

import cost

os.environ["DDPM_EVAL_CACHE"] = "off"  # what is measured is done, and not remembered
FORWARD_GFLOP = cost.CIFAR10.forward_gflop()
INCEPTION_GFLOP = 11.42  # of one 299 x 299 image


def peak(dtype, tf32):
    """TFLOP/s: the best of 20 products after 5 that are not counted."""
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(8192, 8192, device="cuda").to(dtype) for _ in range(2))
    best = float("inf")
    for i in range(25):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        torch.mm(a, b)
        end.record()
        torch.cuda.synchronize()
        if i >= 5:
            best = min(best, begin.elapsed_time(end) / 1e3)
    return 2 * 8192**3 / best / 1e12


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.rows = []

    def run(self, *words):
        """Seconds of the whole command."""
        begin = time.perf_counter()
        subprocess.run([self.options.program, "--device", "cuda", "-q", *words], check=True)
        return time.perf_counter() - begin

    def add(self, work, precision, rate, gflop, peak_tflop, note):
        share = rate * gflop / 1e3 / peak_tflop
        self.rows.append({"work": work, "precision": precision, "images_per_second": rate,
                          "tflop_per_second": rate * gflop / 1e3, "share_of_peak": share, "note": note})
        print(f"{work}, {precision}: {rate:.1f} images/s, {100 * share:.1f} % of the peak ({note})", flush=True)

    def train(self, precision, batch, steps, peak_tflop):
        """The rate of the log lines but the first, in which cuDNN chooses and memory is taken."""
        out = self.folder / f"run-{precision}-{batch}"
        self.run("train", "--config", "configs/cifar10.toml", "--out", str(out), *self.settings({
            "data.source": f'"{self.options.data}"', "train.precision": precision, "train.batch_size": batch,
            "train.steps": steps, "train.log_every": steps // 5, "train.checkpoint_every": 0,
            "train.grid_every": 0, "sample.micro_batch": 512, "sample.precision": "bf16"}))
        lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        rates = [line["images_per_second"] for line in lines if "images_per_second" in line][1:]
        self.add(f"training, batch {batch}, dropout 0.1", precision, len(rates) / sum(1 / r for r in rates),
                 3 * FORWARD_GFLOP, peak_tflop, f"{steps} steps, the last four fifths")
        return out

    @staticmethod
    def settings(values):
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def sample(self, run, num, steps, peak_tflop):
        seconds = self.run("sample", "--run", str(run), "--num", str(num), "--steps", str(steps),
                           "--out", str(self.folder / "samples.npz"))
        self.add(f"sampling, {steps} steps, {num} at a time", "bf16", num / seconds, steps * FORWARD_GFLOP,
                 peak_tflop, f"the whole command, {seconds:.1f} s")

    def score(self, precision, count, peak_tflop):
        """The rate between two numbers of images: start-up and cuDNN's choices cancel."""
        times = []
        for number in (count // 5, count):
            record = self.folder / "stats.json"
            self.run(*(["--tf32"] if precision == "tf32" else []), "stats", "--data",
                     f"{self.options.data.split('?')[0]}?num={number}", "--weights", self.options.weights,
                     "--out", str(self.folder / f"{precision}-{number}.npz"), "--json", str(record))
            times.append(sum(find(json.loads(record.read_text()), "seconds").values()))
        self.add("scoring, resampling and moments included", precision, (count - count // 5) / (times[1] - times[0]),
                 INCEPTION_GFLOP, peak_tflop, f"{count // 5} to {count} images")


def rate_text(rate):
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.4g}"


def find(record, key):
    """The value of `key` at any depth."""
    if isinstance(record, dict):
        if key in record:
            return record[key]
        for value in record.values():
            if (found := find(value, key)) is not None:
                return found
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", default="cifar10:train")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--commit", default="")
    options = parser.parse_args()
    peaks = {"bf16": peak(torch.bfloat16, False), "tf32": peak(torch.float32, True),
             "float32": peak(torch.float32, False)}
    print("peaks, TFLOP/s:", {name: round(value, 1) for name, value in peaks.items()}, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, pathlib.Path(folder))
        run = bench.train("bf16", 128, options.steps, peaks["bf16"])
        bench.train("bf16", 256, options.steps // 2, peaks["bf16"])
        bench.train("float32", 128, options.steps // 10, peaks["float32"])
        bench.sample(run, 512, 1000, peaks["bf16"])
        bench.score("float32", 10_000, peaks["float32"])
        bench.score("tf32", 20_000, peaks["tf32"])
    record = {"schema": 1, "kind": "gpu-bench", "card": torch.cuda.get_device_name(), "libtorch": torch.__version__,
              "commit": options.commit, "data": options.data, "peak_tflop_per_second": peaks, "rows": bench.rows}
    options.out.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    lines = ["| work | precision | images/s | TFLOP/s | share of the peak | measured |", "|---|---|--:|--:|--:|---|"]
    lines += [f"| {r['work']} | {r['precision']} | {rate_text(r['images_per_second'])} | {r['tflop_per_second']:.1f} | "
              f"{100 * r['share_of_peak']:.0f} % | {r['note']} |" for r in bench.rows]
    options.out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
