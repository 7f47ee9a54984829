"""What is raced: heats of competitors that take turns, and the pairs of each heat that are compared."""

import dataclasses
import json
import pathlib
import subprocess
import typing

from processes import Failed, run

HERE = pathlib.Path(__file__).resolve().parent
FEATURES = 2048
COUNT = 1017  # images on each side that the goals are set for
NO_TORCHSCRIPT = "it takes NVIDIA's TorchScript file of the network, which cannot be had with given weights"
PRE_PROCESSING = {"pytorch-fid": "half-pixel bilinear to 299, 2 v / 255 - 1",
                  "torch-fidelity": "TensorFlow's bilinear to 299, (v - 128) / 128"}


@dataclasses.dataclass
class Field:
    """Where everything is."""

    build: pathlib.Path
    python: pathlib.Path  # of build/peers
    versions: dict
    data: dict  # as make_data.py says; empty when no race needs it
    empty_program: pathlib.Path
    threads: int
    seconds: float
    limit: float

    @property
    def program(self):
        return self.build / "bin" / "ddpm-eval"


@dataclasses.dataclass
class Competitor:
    key: str
    tool: str
    conditions: dict  # precision, threads, weights and pre-processing; what differs in a pair is told
    measure: typing.Callable[[], dict]


@dataclasses.dataclass
class Pair:
    ours: str
    theirs: str
    goal: dict = dataclasses.field(default_factory=dict)  # ratio and aim, or seconds and peak_mb of ours
    work: str = ""  # where it is not the heat's


@dataclasses.dataclass
class Heat:
    name: str
    work: str
    unit: str  # s of whole processes, or what is done in a second
    competitors: list
    pairs: list
    least_rounds: int = 1
    warm_up: bool = False
    not_raced: list = dataclasses.field(default_factory=list)  # (peer, why)
    singular: bool = False  # fewer images than features
    files: list = dataclasses.field(default_factory=list)  # what is read: files and folders


# ---- The Google Benchmarks of ddpm-eval against peer_bench.py ------------------------------------------------------


def own_benchmark(field, threads, name, program="bench_ddpm", *variables):
    words = ["env", *variables, field.build / "bin" / program, f"--benchmark_filter=^{name}",
             f"--benchmark_min_time={field.seconds}", "--benchmark_format=json"]
    out, _ = run(words, threads, field.limit)
    if not out.strip().startswith("{"):
        raise Failed(f"{program} of this build has no benchmark {name}")
    found = json.loads(out)["benchmarks"][0]
    if found.get("error_occurred"):
        raise Failed(found["error_message"])
    return {"items_per_second": found["items_per_second"]}


def peer_benchmark(field, threads, task, *flags):
    words = [field.python, HERE / "peer_bench.py", task, *flags, "--threads", threads, "--seconds", field.seconds]
    out, _ = run(words, threads, field.limit)
    result = json.loads(out.splitlines()[-1])
    check_threads(result["threads"], threads)
    return {"items_per_second": result["items_per_second"]}


def check_threads(used, wanted):
    if used != wanted:
        raise Failed(f"ran with {used} threads, not {wanted}")


def bench_heat(field, name, work, unit, task, batch, threads, benchmarks):
    """`benchmarks`: precision of ours, name in bench_ddpm, goal. The port is float32, as 1.13's bfloat16 stops at the
    group norm."""
    peer = Competitor("theirs", f"PyTorch {field.versions['torch']} eager, a port",
                      {"precision": "float32", "threads": threads},
                      lambda: peer_benchmark(field, threads, task, "--batch", batch))
    ours = [Competitor(f"ours-{precision}", "ddpm-eval", {"precision": precision, "threads": threads},
                       lambda found=found: own_benchmark(field, threads, found))
            for precision, found, _ in benchmarks]
    return Heat(name, work, unit, [peer, *ours],
                [Pair(f"ours-{precision}", "theirs", goal) for precision, _, goal in benchmarks])


def decode_heat(field, kind, side):
    """The same file by both, in memory; Pillow as the loaders of pytorch-fid and torch-fidelity call it, to RGB."""
    path = pathlib.Path(field.data["pictures"]["file"]) / f"{kind}-{side}"
    conditions = {"precision": "uint8", "threads": 1}
    ours = Competitor("ours", "ddpm-eval", conditions,
                      lambda: own_benchmark(field, 1, "decode/file", "bench_data", f"DDPM_EVAL_BENCH_IMAGE={path}"))
    peer = Competitor("theirs", tool_name(field, "pillow"), conditions,
                      lambda: peer_benchmark(field, 1, "decode", "--file", path))
    return Heat(f"decode-{kind}-{side}", f"decoding a {kind.upper()} of {side} x {side}, one core", "images/s",
                [peer, ours], [Pair("ours", "theirs")], warm_up=True, files=[path])


# ---- FID -------------------------------------------------------------------------------------------------------------


def own_fid(field, real, fake, preset, precision):
    words = [field.program, "fid", "--real", real, "--fake", fake, "--threads", field.threads, "--json", "-", "-q"]
    if preset:
        words += ["--preset", preset, "--weights", field.data["weights"]["file"]]
    if precision != "float32":
        shown, _ = run([field.program, "fid", "--help"], field.threads, field.limit)
        if "--precision" not in shown:
            raise Failed(f"fid --precision {precision} is not available in this build")
        words += ["--precision", precision]
    out, took = run(words, field.threads, field.limit)
    record = json.loads(out)
    check_threads(record["runtime"]["threads"], field.threads)
    took["value"] = next(iter(record["metrics"].values()))
    frechet = record["parts"]["frechet"]
    took["terms"] = frechet["mean_term"] + frechet["trace_real"] + frechet["trace_fake"]
    took["parts"] = {"distance": frechet["seconds"]}
    if preset:
        if record["features"]["weights_sha256"] != field.data["weights"]["sha256"]:
            raise Failed("ran with other weights")
        if not record["precision"].startswith(precision):
            raise Failed(f"ran in {record['precision']}, not {precision}")
        took["parts"]["features and moments"] = sum(sum(record[side]["seconds"].values()) for side in ("real", "fake"))
    if "precision_effect" in record:
        took["precision_effect"] = record["precision_effect"]
    return took


def peer_fid(field, tool, real, fake):
    words = [field.python, HERE / "peer_fid.py", tool, real, fake, "--weights", field.data["weights"]["file"]]
    out, took = run(words, field.threads, field.limit)
    result = json.loads(out.splitlines()[-1])
    check_threads(result["threads"], field.threads)
    return dict(took, value=result["value"], parts=result["parts"], settings=result["settings"])


def tool_name(field, tool):
    return f"{tool} {field.versions[tool]}"


def fid_heat(field, preset, tools):
    images = field.data["images"]
    kind = {"cifar10": "CIFAR-10 images", "synthetic": "synthetic images of 32 x 32"}[images["kind"]]
    conditions = {"threads": field.threads, "weights": field.data["weights"]["sha256"],
                  "pre-processing": PRE_PROCESSING[preset]}
    competitors, pairs = [], []
    for precision in ("float32", "bf16"):
        competitors.append(Competitor(f"ours-{precision}", "ddpm-eval", dict(conditions, precision=precision),
                                      lambda precision=precision: own_fid(field, images["real"], images["fake"], preset,
                                                                          precision)))
    for index, tool in enumerate(tools):
        one = Competitor(tool, tool_name(field, tool) + (", mode legacy_pytorch" if tool == "clean-fid" else ""),
                         dict(conditions, precision="float32"),
                         lambda tool=tool: peer_fid(field, tool, images["real"], images["fake"]))
        competitors.insert(0 if index % 2 == 0 else len(competitors), one)  # ours in the middle: both near in time
        judged = images["count"] == COUNT and tool != "clean-fid"
        pairs += [Pair("ours-float32", tool, {"ratio": 2.0, "aim": 2.4} if judged else {}),
                  Pair("ours-bf16", tool, {"ratio": 3.2, "aim": 4.0} if judged else {})]
    not_raced = [(f"{tool_name(field, 'clean-fid')}, mode {mode}", NO_TORCHSCRIPT)
                 for mode in ("clean", "legacy_tensorflow")] if "clean-fid" in tools else []
    return Heat(f"fid-{preset}", f"FID of {2 * images['count']:,} {kind}, preset {preset}", "s", competitors, pairs,
                not_raced=not_raced, singular=images["count"] <= FEATURES,
                files=[images["real"], images["fake"], field.data["weights"]["file"]])


def statistics_heat(field):
    paths = [field.data["statistics"][side] for side in ("real", "fake")]
    conditions = {"precision": "float64", "threads": field.threads}
    ours = Competitor("ours", "ddpm-eval", conditions, lambda: own_fid(field, *paths, "", "float32"))
    peers = [Competitor(tool, tool_name(field, tool) + (", by its function" if tool == "torch-fidelity" else ""),
                        conditions, lambda tool=tool: peer_fid(field, tool, *paths))
             for tool in ("pytorch-fid", "torch-fidelity")]
    return Heat("statistics", f"statistics against statistics, d = {field.data['statistics']['features']}, full rank",
                "s", [peers[0], ours, peers[1]],
                [Pair("ours", "pytorch-fid", {"seconds": 1.8, "peak_mb": 300}), Pair("ours", "torch-fidelity")],
                warm_up=True)


# ---- Start-up --------------------------------------------------------------------------------------------------------


def start_up_heat(field):
    commands = {"ours-help": ("ddpm-eval --help", [field.program, "--help"]),
                "empty": ("an empty program linked to LibTorch", [field.empty_program]),
                "ours-info": ("ddpm-eval info", [field.program, "info"]),
                "pytorch-fid": (tool_name(field, "pytorch-fid") + " -h", [field.python.parent / "pytorch-fid", "-h"]),
                "torch-fidelity": (tool_name(field, "torch-fidelity") + ": fidelity -h",
                                   [field.python.parent / "fidelity", "-h"])}
    competitors = [Competitor(key, tool, {"threads": field.threads},
                              lambda words=words: run(words, field.threads, field.limit)[1])
                   for key, (tool, words) in commands.items()]
    goal = {"ratio": 1.0}
    return Heat("start-up", "start-up", "s", competitors,
                [Pair("ours-help", "empty", goal, "start-up: --help"),
                 Pair("ours-info", "empty", goal, "start-up: info"),
                 Pair("ours-help", "pytorch-fid", {}, "start-up: --help"),
                 Pair("ours-help", "torch-fidelity", {}, "start-up: --help")],
                least_rounds=11, warm_up=True)



def build_empty_program(compiler, torch_libraries, folder):
    """Linked to the LibTorch of the build, by its compiler, though it calls nothing of it."""
    folder.mkdir(parents=True, exist_ok=True)
    source, program = folder / "empty.cpp", folder / "empty"
    source.write_text("int main() { return 0; }\n")
    subprocess.run([compiler, "-O2", source, "-o", program, f"-L{torch_libraries}", f"-Wl,-rpath,{torch_libraries}",
                    "-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10"], check=True)
    return program


# ---- All of it -------------------------------------------------------------------------------------------------------

DECODED = [(kind, side) for kind in ("png", "jpeg") for side in (32, 256, 1024)]
NEEDS_DATA = {"fid-pytorch-fid": "images", "fid-torch-fidelity": "images", "statistics": "statistics",
              **{f"decode-{kind}-{side}": "pictures" for kind, side in DECODED}}
HEATS = {
    "start-up": start_up_heat,
    "unet-forward": lambda field: bench_heat(
        field, "unet-forward", "U-Net forward, batch 8", "images/s", "unet-forward", 8, field.threads,
        [("float32", "unet_forward/batch:8/bf16:0/", {"ratio": 1.3, "aim": 1.5}),
         ("bf16", "unet_forward/batch:8/bf16:1/", {"ratio": 1.8, "aim": 2.5})]),
    "unet-train": lambda field: bench_heat(
        field, "unet-train", "U-Net training, batch 8", "images/s", "unet-train", 8, field.threads,
        [("float32", "unet_train/batch:8/bf16:0/", {"ratio": 1.3, "aim": 1.5}),
         ("bf16", "unet_train/batch:8/bf16:1/", {"ratio": 1.5, "aim": 2.0})]),
    "points": lambda field: bench_heat(
        field, "points", "2-D training, batch 128, one core", "updates/s", "points-train", 128, 1,
        [("float32", "points_train/batch:128/", {"ratio": 3.0, "aim": 5.0})]),
    **{f"decode-{kind}-{side}": lambda field, kind=kind, side=side: decode_heat(field, kind, side)
       for kind, side in DECODED},
    "statistics": statistics_heat,
    "fid-torch-fidelity": lambda field: fid_heat(field, "torch-fidelity", ["torch-fidelity"]),
    "fid-pytorch-fid": lambda field: fid_heat(field, "pytorch-fid", ["pytorch-fid", "clean-fid"]),
}
