#!/usr/bin/env python3
"""Whether records are what docs/schema/record-1.json says, and whether it tells damaged ones. Usage: DDPM_EVAL_BINARY=... record_schema_test.py

Checked are those that the program writes here, those of results/, and those that other tests have left in
$DDPM_EVAL_TEST_RECORDS, which go once they were looked at. Exit code 77: jsonschema is not installed.
"""
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("skipped: Python's jsonschema is not installed (Debian: python3-jsonschema)", file=sys.stderr)
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "docs" / "schema" / "record-1.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
KINDS = SCHEMA["properties"]["kind"]["enum"]
BENCH_KINDS = {"parity", "peer-race", "gpu-bench", "memory", "scaling"}  # of bench/, which have layouts of their own

IMAGES = """[data]
source = 'gaussian-noise:28x28x1?num=16'
[model.unet]
base_channels = 8
multipliers = [1]
res_blocks = 1
attention_resolutions = []
dropout = 0.0
groups = 4
[process]
steps = 4
[train]
steps = 1
batch_size = 2
[sample]
sampler = 'ddim'
steps = 2
micro_batch = 4
"""
POINTS = """[data]
source = 'moons'
points = 200
[model]
kind = 'mlp'
[model.mlp]
width = 16
layers = 1
[process]
steps = 8
[train]
steps = 4
batch_size = 16
flip = false
warmup_steps = 2
[sample]
clip = false
micro_batch = 50
"""
GRID = """config = 'points.toml'
seeds = 1
baseline = 'a'
threads = 1
[budget]
steps = 4
[score]
num = 60
real = 'moons?num=60&seed=1'
[likelihood]
data = 'moons?num=20&seed=2'
[[cells]]
name = 'a'
[[cells]]
name = 'b'
set = { objective.prediction = 'mu', objective.loss = 'bound' }
"""
DIVERGES = ("[train]\n", "[train]\nlearning_rate = 1e30\n")  # a line and what makes a training of it that ends so
NOISE = "gaussian-noise:28x28x1?num={}&seed={}"


def suite(commit):
    return {"schema": 1, "kind": "suite", "time": "2026-11-26T02:00:00Z", "commit": commit, "session": "one",
            "context": {"cpu": "Xeon", "instruction_set": "AVX2", "threads": 2, "build": "release", "libtorch": "1.13.1",
                        "compiler": "GNU 12.2.0"},
            "series": [{"name": "forward", "kind": "speed", "unit": "s", "better": "lower",
                        "repetitions": [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]}]}


def faults(record):
    return [f"{error.json_path}: {error.message[:300]}" for error in VALIDATOR.iter_errors(record)]


class Program:
    """Calls of the program in a folder of their own, and the records that they came to."""

    def __init__(self, folder):
        self.folder = folder
        self.records = {}
        self.environment = os.environ | {"DDPM_EVAL_HOME": str(folder / "home")}

    def call(self, name, *words, json_too=True):
        result = subprocess.run([os.environ["DDPM_EVAL_BINARY"], *words, "--threads", "1",
                                 *(["--json", "-"] if json_too else [])],
                                cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if result.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {result.stderr}")
        if json_too:
            self.records[name] = json.loads(result.stdout)

    def file(self, name):
        self.records[name] = json.loads((self.folder / name).read_text())

    def run_all(self):
        put = lambda name, text: (self.folder / name).write_text(text)
        put("images.toml", IMAGES)
        put("points.toml", POINTS)
        put("grid.toml", GRID)
        put("old.json", json.dumps(suite("old")))
        put("new.json", json.dumps(suite("new")))
        small = ["--features", "fashion-mnist-small"]
        self.call("train", "train", "--config", "images.toml", "--out", "images")
        self.call("train points", "train", "--config", "points.toml", "--out", "points")
        self.call("sample", "sample", "--run", "images", "--num", "3", "--out", "samples")
        self.file("samples/samples.json")
        self.call("sample points", "sample", "--run", "points", "--num", "50", "--out", "points.npy")
        self.file("points.samples.json")
        self.call("score", "score", "--real", NOISE.format(300, 1), "--fake", NOISE.format(300, 2), "--yardstick",
                  NOISE.format(300, 3), "--metrics", "fid,is,kid,prdc,fid-infinity,is-infinity", "--interval", "jackknife",
                  "--kid-subset-size", "50", *small)
        self.call("score of a run", "fid", "--real", NOISE.format(30, 1), "--fake", "run:images?num=4", *small)
        self.call("score of points", "score", "--real", "moons?num=50&seed=1", "--fake", "points.npy")
        self.call("repeats", "score", "--real", "moons?num=50&seed=1", "--fake", "moons?num=50&seed=2", "--repeats", "2")
        self.call("repeats of images", "score", "--real", NOISE.format(300, 1), "--fake", NOISE.format(300, 2), "--metrics",
                  "fid,is,kid,prdc", "--kid-subset-size", "50", "--repeats", "2", *small)
        for side in ("real", "fake"):
            for name in ("one", "two"):
                (self.folder / side / name).mkdir(parents=True)
                for i in range(3):
                    pixels = bytes((len(side) * 37 * i + len(name) * j * j) % 256 for j in range(28 * 28))
                    (self.folder / side / name / f"{i}.pgm").write_bytes(b"P5 28 28 255\n" + pixels)
        self.call("by class", "fid", "--real", "real", "--fake", "fake", "--by-class", *small)
        self.call("features written", "stats", "--data", "real", "--features-out", "real.safetensors", *small)
        self.call("score of features", "score", "--metrics", "fid,sliced-wasserstein,mind,mifid,vendi,prdc", "--real",
                  "real.safetensors", "--fake", "fake")
        self.call("vendi", "score", "--metrics", "vendi,is", "--fake", NOISE.format(300, 2), "--interval", "delta", *small)
        self.call("stats", "stats", "--data", NOISE.format(140, 1), "--out", "1.npz", *small)
        self.call("stats", "stats", "--data", NOISE.format(9, 2), "--out", "2.npz", *small)
        self.call("merge", "stats", "merge", "1.npz", "2.npz", "--out", "all.npz")
        self.call("score of statistics", "fid", "--real", "all.npz", "--fake", "1.npz")
        self.call("nll", "nll", "--run", "images", "--data", NOISE.format(4, 1), "--out", "nll")
        self.call("nll of points", "nll", "--run", "points", "--data", "moons?num=20&seed=3", "--out", "nll-points")
        self.call("show", "show", "forward", "--data", "moons", "--num", "20", "--strip", "forward.png")
        self.call("show reverse", "show", "reverse", "--run", "points", "--num", "20", "--gif", "reverse.gif")
        self.call("features list", "features", "list")
        self.call("cache list", "cache", "list")
        self.call("info", "info")
        self.call("export", "export", "--run", "images", "--out", "model")
        self.call("import", "import", "model", "--out", "again")
        self.call("compare", "compare", "old.json", "new.json", "--allow-mismatch")
        self.call("ablate", "ablate", "--grid", "grid.toml", "--out", "grid", json_too=False)
        put("points.toml", POINTS.replace(*DIVERGES).replace("warmup_steps = 2", "warmup_steps = 0"))
        self.call("ablate", "ablate", "--grid", "grid.toml", "--out", "lost", json_too=False)
        self.call("ablate status", "ablate", "status", "grid")
        self.call("ablate status of divergence", "ablate", "status", "lost")
        for grid in ("grid", "lost"):
            for file in ("a/seed-0/definition.json", "a/seed-0/training.json", "a/seed-0/record.json", "table.json"):
                self.file(f"{grid}/{file}")
        self.file("grid/b/seed-0/record.json")
        self.file("lost/a/seed-0/run/divergence.json")


class RecordSchema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory(prefix="ddpm-eval-records-") as folder:
            program = Program(pathlib.Path(folder))
            program.run_all()
            cls.records = program.records

    def test_is_a_schema(self):
        Draft202012Validator.check_schema(SCHEMA)

    def test_the_programs_records_are_what_it_says(self):
        for name, record in self.records.items():
            with self.subTest(name):
                self.assertEqual(faults(record), [])
        made = {record["kind"] for record in self.records.values()}
        # A failure takes a full disk, `features` a long training and `explain` the Inception's weights: other tests have the latter two.
        self.assertEqual(set(KINDS) - made, {"ablation failure", "features", "explain"})

    def test_committed_records_are_what_it_says(self):
        count = 0
        for path in sorted((ROOT / "results").rglob("*.json")):
            record = json.loads(path.read_text())
            if record.get("kind") not in BENCH_KINDS:
                count += 1
                with self.subTest(str(path)):
                    self.assertEqual(faults(record), [])
        self.assertGreater(count, 200)

    def test_records_that_other_tests_have_left_are_what_it_says(self):
        folder = os.environ.get("DDPM_EVAL_TEST_RECORDS")
        if not folder:
            self.skipTest("DDPM_EVAL_TEST_RECORDS names no folder of records")
        left = sorted(pathlib.Path(folder).glob("*.json"))
        if not left:
            self.skipTest(f"{folder} has no records; tests that leave some have not run since")
        records = {path.name: json.loads(path.read_text()) for path in left}
        for path in left:
            path.unlink()
        for name, record in records.items():
            with self.subTest(name):
                self.assertEqual(faults(record), [])

    def damage(self, name, *steps):
        """Each of `steps` is a place and what is put there; None takes it away."""
        for place, value in steps:
            record = copy.deepcopy(self.records[name])
            target = record
            for key in place[:-1]:
                target = target[key]
            if value is None:
                del target[place[-1]]
            else:
                target[place[-1]] = value
            with self.subTest(f"{name}: {place} = {value!r}"):
                self.assertNotEqual(faults(record), [])

    def test_damaged_scores_are_told(self):
        fid = ("uncertainty", "frechet_distance")
        self.damage("score", (["schema"], 2), (["kind"], "scores"), (["tool"], None), (["tool", "name"], "other"),
                    (["created"], "yesterday"), (["metrics"], None), (["metrics"], {}), (["metrics", "precision"], 1.5),
                    (["metrics", "recall"], -0.1), (["metrics", "frechet_distance"], "12"),
                    (["metrics", "classifier_score_std"], -1), (["metrics", "Name with a space"], 1), (["fake"], None),
                    (["fake", "source"], None), (["fake", "source"], ""), (["fake", "count"], None), (["fake", "count"], 0),
                    (["fake", "count"], 2.5), (["fake", "kind"], "sounds"), (["fake", "unexpected"], 1),
                    (["real", "seconds"], None), (["real", "seconds", "source"], -1), (["notes"], "a word"), (["notes"], [3]),
                    ([*fid, "level"], 95), ([*fid, "level"], 1), ([*fid, "level"], None), ([*fid, "standard_error"], -0.1),
                    ([*fid, "method"], None), ([*fid, "withheld"], 3), ([*fid, "at_count", "estimand"], None),
                    ([*fid, "at_count", "low"], "3"), (["features"], "inception"), (["features", "weights_sha256"], "abc"),
                    (["features", "dim"], 0), (["yardsticks"], []), (["yardsticks", 0, "metrics"], None),
                    (["parts", "neighbours", "copies"], -1), (["parts", "frechet", "route"], "cubic"),
                    (["parts", "frechet_distance_infinity", "sizes"], []), (["runtime"], None), (["runtime", "threads"], 0),
                    (["sqrt"], "square"), (["seconds"], -1), (["unexpected"], 1))
        neighbours = ("parts", "neighbours")
        self.damage("score of features", (["parts", "memorization", "nearest_cosine_distance"], 1.5),
                    (["parts", "memorization", "below"], "yes"), (["parts", "monge", "count"], 0), (["parts", "vendi", "order"], 2),
                    ([*neighbours, "nearest_pairs"], []), ([*neighbours, "nearest_pairs", 0, "real"], -1),
                    ([*neighbours, "nearest_distances", "quantiles", 0], -0.5), ([*neighbours, "nearest_distances", "shares"], None))
        self.damage("vendi", (["uncertainty", "vendi_score", "method"], None))
        self.damage("score of points", (["floor", "sliced_wasserstein_distance"], -1), (["floor", "draws"], None))

    def test_damaged_samples_of_repeats_are_told(self):
        sample = ("repeats", "samples", 1)
        for name in ("repeats", "repeats of images"):
            self.damage(name, (["repeats", "count"], 1), (["repeats", "deviations"], {}), (["repeats", "samples"], []),
                        ([*sample, "source"], None), ([*sample, "kind"], None), ([*sample, "count"], None),
                        ([*sample, "seed"], None), ([*sample, "seed"], -1), ([*sample, "metrics"], None),
                        ([*sample, "parts"], None), ([*sample, "parts", "unexpected"], {}), ([*sample, "context"], {}),
                        ([*sample, "uncertainty"], {}), ([*sample, "unexpected"], 1))
        kernel = (*sample, "uncertainty", "kernel_distance")
        self.damage("repeats of images", ([*sample, "seconds", "forward"], -1), ([*sample, "parts", "frechet", "route"], "cubic"),
                    ([*kernel, "standard_error"], -1), ([*kernel, "method"], None))

    def test_damage_of_the_others_is_told(self):
        self.damage("stats", (["count"], 1), (["count"], 10**13), (["features"], None), (["features", "name"], None),
                    (["data"], None), (["parts"], []))
        self.damage("merge", (["parts"], []), (["parts", 0, "mu_sha256"], None), (["parts", 0, "mu_sha256"], "x"),
                    (["parts", 0, "count"], 1), (["parts", 0, "file"], None), (["parts", 0], 3), (["data"], {}))
        self.damage("nll", (["unit"], "nats"), (["metrics", "bits_per_dim"], None), (["metrics", "bits_per_dim_error"], -1),
                    (["parts", "denoising"], None), (["parts", "denoising", "error"], -1), (["count"], 0),
                    (["progressive_coding"], {}), (["checkpoint_sha256"], "x"), (["weights"], "mean"))
        self.damage("sample", (["count"], 0), (["checkpoint_sha256"], None), (["sampler"], "ddim"), (["out"], None),
                    (["step"], -1))
        self.damage("samples/samples.json", (["threads"], None), (["seed"], "one"))
        self.damage("train", (["parameters"], 0), (["config"], None), (["data", "count"], "many"), (["step"], -1))
        for name, record in self.records.items():
            self.damage(name, (["schema"], None), (["kind"], None), *(([key], None) for key in ("tool",) if key in record))


if __name__ == "__main__":
    unittest.main(verbosity=2)  # says what was skipped, and why
