"""Numbers that the same build gives again: of images and points from networks trained here, from fixed seeds."""
import hashlib
import json
import shutil
import zipfile

from inputs import picked, reading

from .common import run, say
from .works import train_clothes

REFERENCE = "fashion-mnist:test?first=0&num=2000"
IMAGES = 500  # sampled
LIKELIHOODS = 16  # images
ROLL = "swiss-roll?num=2000&seed=1"
ROLL_LIKELIHOODS = "swiss-roll?num=400&seed=5"
SCORE = "the record of score"
NOT_AGAIN = "numbers that differ when computed again"


def number(name, unit, better, value, tolerance, context):
    return {"name": f"quality: {name}", "kind": "quality", "unit": unit, "better": better, "value": value,
            "tolerance": tolerance, "context": context}


def digest(name, value, context):
    return {"name": f"quality: {name}", "kind": "hash", "value": value, "context": context}


def value_in(path, *keys):
    with reading(path):
        record = json.loads(path.read_text())
    return picked(path, record, *keys)


def trained_as(run_folder):
    """All that a training depends on beside the code: a digest of its resolved configuration."""
    configuration = value_in(run_folder / "run.json", "config")
    return "configuration " + hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()[:16]


def sha256_of_arrays(npz):
    """Of the arrays alone: another member says which commit has made them."""
    with zipfile.ZipFile(npz) as archive:
        arrays = sorted(name for name in archive.namelist() if name.endswith(".npy"))
        return hashlib.sha256(b"".join(archive.read(name) for name in arrays)).hexdigest()


def of_clothes(side, folder):
    run_folder, samples, record = folder / "clothes", folder / "clothes.npz", folder / "clothes-nll.json"
    train_clothes(side, run_folder)
    run([side.program, "-q", "sample", "--run", run_folder, "--num", IMAGES, "--out", samples])
    made = {"trained": trained_as(run_folder), "sampled": f"{IMAGES} of seed 0"}
    score = side.record("-q", "score", "--real", REFERENCE, "--fake", samples)
    scored = {**made, "reference": REFERENCE, "features": picked(SCORE, score, "features", "name"),
              "preset": picked(SCORE, score, "preset"),
              "features' weights": picked(SCORE, score, "features", "weights_sha256")}
    run([side.program, "-q", "nll", "--run", run_folder, "--data", f"fashion-mnist:test?num={LIKELIHOODS}", "--strata",
         50, "--out", folder / "clothes-nll", "--json", record])
    bound = value_in(record, "metrics", "bits_per_dim")
    percent = {"relative": 0.01}
    return [digest("clothes, samples", sha256_of_arrays(samples), made),
            number("clothes, Frechet distance", "distance", "lower",
                   picked(SCORE, score, "metrics", "frechet_distance"), percent, scored),
            number("clothes, classifier score", "score", "higher",
                   picked(SCORE, score, "metrics", "classifier_score_mean"), percent, scored),
            number("clothes, likelihood", "bits/dim", "lower", bound, {"relative": 0.005},
                   {"trained": made["trained"], "data": f"{LIKELIHOODS} of fashion-mnist:test", "strata": 50, "seed": 0})]


def of_swiss_roll(side, folder):
    run_folder, samples, record = folder / "roll", folder / "roll.npy", folder / "roll-nll.json"
    run([side.program, "-q", "train", "--config", side.configs / "swiss-roll.toml", "--out", run_folder,
         "--set", "train.steps=1000", "--set", "data.points=10000", "--set", "train.seed=0"])
    run([side.program, "-q", "sample", "--run", run_folder, "--num", 2000, "--out", samples])
    made = {"trained": trained_as(run_folder), "sampled": "2000 of seed 0"}
    score = side.record("-q", "score", "--real", ROLL, "--fake", samples)
    run([side.program, "-q", "nll", "--run", run_folder, "--data", ROLL_LIKELIHOODS, "--out", folder / "roll-nll",
         "--json", record])
    bound = value_in(record, "metrics", "nats_per_dim")
    return [digest("swiss roll, samples", hashlib.sha256(samples.read_bytes()).hexdigest(), made),
            number("swiss roll, sliced Wasserstein distance", "distance", "lower",
                   picked(SCORE, score, "metrics", "sliced_wasserstein_distance"), {"relative": 0.05},
                   {**made, "reference": ROLL}),
            number("swiss roll, likelihood", "nats/dim", "lower", bound, {"absolute": 0.02},
                   {"trained": made["trained"], "data": ROLL_LIKELIHOODS, "seed": 0})]


def once(side, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return of_clothes(side, folder) + of_swiss_roll(side, folder)


def again_compared(first, second):
    """What is in both. A build that gives other results when asked again is told by series, which will differ."""
    differing = 0
    for one, other in zip(first, second):
        if one["value"] != other["value"]:
            say(f"{one['name']}: the same build has given {one['value']} and {other['value']}")
            if one["kind"] == "hash":
                one["value"] = f"not reproducible: {one['value'][:32]} / {other['value'][:32]}"
            else:
                differing += 1
    return [*first, number(NOT_AGAIN, "numbers", "lower", differing, {"absolute": 0},
                           {"runs": 2})]


def twice(side, folder):
    return again_compared(once(side, folder), once(side, folder))
