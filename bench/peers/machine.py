"""What a record says about the machine, the build and the peers."""

import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import time

from processes import environment, host, inputs

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ("libtorch1.13", "libdnnl2", "libopenblas0-openmp", "python3-torch", "python3-torchvision", "python3-numpy",
            "python3-scipy", "python3-pil")
# What two parts of one record must have in common.
CONTEXT = ("commit", "build_type", "scripts", "processor", "system", "packages", "pytorch", "peers", "blas", "settings")


def first_line(*words):
    return host.output_of(*words).strip().splitlines()[0]


def processor():
    fields = host.processor()
    flags = [flag for flag in fields["flags"].split() if flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")]
    return {"name": fields["model name"], "family": fields["cpu family"], "model": fields["model"],
            "instructions": flags, "processors": len(os.sched_getaffinity(0))}


def busy_processors(seconds=2):
    """How many processors others keep busy, on average over some seconds in which we do nothing. The system's load
    average would still hold what we have done ourselves."""
    def taken():
        fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4]  # all but idle and waiting for a disk

    before = taken()
    time.sleep(seconds)
    return round((taken() - before) / os.sysconf("SC_CLK_TCK") / seconds, 2)


def read_all(path):
    """A file, or all files of a folder, into the system's cache."""
    path = pathlib.Path(path)
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            file.read_bytes()


def package_version(name):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)
    return found.stdout or "not installed"


def cached(build, name):
    """A value of CMakeCache.txt."""
    found = re.search(rf"^{name}:[A-Z]+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)
    return found[1] if found else ""


def scripts_commit():
    """The last commit of these scripts, and whether they were changed since; records elsewhere do not count."""
    commit = host.output_of("git", "-C", HERE, "log", "-1", "--format=%h", "--abbrev=12", "--", ".").strip()
    return commit + ("-dirty" if host.output_of("git", "-C", HERE, "status", "--porcelain", "--", ".") else "")


def torch_libraries(build):
    """The folder of the build's LibTorch, from .../lib/cmake/Torch or Torch's own share/cmake/Torch."""
    folder = pathlib.Path(cached(build, "Torch_DIR"))
    for candidate in (folder.parents[1], folder.parents[2] / "lib"):
        if (candidate / "libtorch.so").exists():
            return candidate
    raise RuntimeError(f"{build}/CMakeCache.txt: no libtorch.so near {folder}")


def probe(python, threads):
    """Versions and BLAS of the peers' environment, told the number of threads as in a race."""
    return json.loads(host.output_of(python, HERE / "probe.py", env=environment(threads)))


def provenance(build, found):
    said = host.output_of(build / "bin" / "ddpm-eval", "info", "--json", "-")
    with inputs.reading(f"what {build}/bin/ddpm-eval info says"):
        info = json.loads(said)
        commit, blas = info["tool"]["commit"], info["runtime"]["blas"]
    return {"schema": 1, "kind": "peer-race",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit, "build_type": cached(build, "CMAKE_BUILD_TYPE"),
            "scripts": scripts_commit(),
            "processor": processor(), "system": platform.platform(),
            "compiler": first_line(cached(build, "CMAKE_CXX_COMPILER"), "--version"),
            "packages": {name: package_version(name) for name in PACKAGES},
            "pytorch": found["versions"]["torch"], "python": found["versions"]["python"], "peers": found["versions"],
            "blas": {"ddpm-eval": blas, "peers": found["blas"]}}
