"""Commits and their builds."""
import json
import os
import pathlib
import re
import shutil
import subprocess

from inputs import picked, reading

from .common import BAD_DATA, BASELINE, BUG, ROOT, USAGE, WORK, NightError, processors, run, say


def git(*words):
    try:
        found = subprocess.run(["git", "-C", ROOT, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise NightError(BUG, "git: not found; `make deps` installs what is needed") from error
    if found.returncode != 0:
        raise NightError(USAGE, f"git {' '.join(words)}: {found.stderr.strip()}")
    return found.stdout.strip()


def commit_of(name, given_by="git", code=USAGE):
    try:
        return git("rev-parse", "--short=12", "--verify", name + "^{commit}")
    except NightError as error:
        code = code if error.code == USAGE else error.code
        raise NightError(code, f"{given_by}: {name!r} is no commit: {error}") from error


def recorded_baseline():
    """The full hash that results/history/baseline holds; nothing if there is none."""
    try:
        name = BASELINE.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NightError(BAD_DATA, f"{BASELINE} cannot be read: {error}") from error
    if not re.fullmatch("[0-9a-f]{40}", name):  # a branch, or HEAD, would be another commit every night
        raise NightError(BAD_DATA, f"{BASELINE}: {name[:80]!r} is no commit's full hash of 40 digits; "
                                   "bench/nightly.py --set-baseline COMMIT writes it anew")
    return name


def commit_of_recorded_baseline():
    name = recorded_baseline()
    if not name:
        raise NightError(USAGE, f"{BASELINE} is missing; bench/nightly.py --set-baseline COMMIT makes it, "
                                "--baseline COMMIT does without")
    return commit_of(name, BASELINE, BAD_DATA)


def programs_of(folder):
    """The Google Benchmark programs of a build, by what they are of: "ddpm" for bench_ddpm."""
    return {path.name.removeprefix("bench_"): path for path in sorted(folder.glob("bin/bench_*"))
            if path.is_file() and os.access(path, os.X_OK)}


def programs_named_by(commit):
    """What they are of, by the commit's CMake files; none if these name them in another way."""
    made_by = r"(ddpm_add_bench\(|add_executable\(bench_)"
    try:
        found = git("grep", "-hoE", made_by + "[A-Za-z0-9_]+", commit, "--", "*CMakeLists.txt")
    except NightError:  # nothing is found
        return []
    return [re.sub(made_by, "", line) for line in found.splitlines()]


class Build:
    def __init__(self, folder):
        self.folder = folder.resolve()
        self.program = self.folder / "bin" / "ddpm-eval"
        try:
            cache = (self.folder / "CMakeCache.txt").read_text()
            self.source = pathlib.Path(re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache, re.M)[1])
            self.configs = self.source / "configs"
        except (OSError, TypeError, UnicodeDecodeError) as error:
            raise NightError(BAD_DATA, f"{folder}: no build folder of CMake") from error
        if not os.access(self.program, os.X_OK):
            raise NightError(BAD_DATA, f"{self.program}: no program")
        info = self.record("info")
        told = f"the record of {self.program} info"
        self.runtime = {key: picked(told, info, "runtime", key)
                        for key in ("threads", "libtorch", "device", "cpu_capability")}
        self.tool = {key: picked(told, info, "tool", key) for key in ("commit", "build_type", "compiler")}

    def record(self, *words):
        """What a command says with --json -."""
        said = run([self.program, *words, "--json", "-"], out="keep").out
        with reading(f"the record of {self.program} {' '.join(str(word) for word in words)}"):
            return json.loads(said)

    def benchmarks(self):
        return programs_of(self.folder)


def is_checkout(source, commit):
    """Whole and unchanged: a night may have been killed while it was made."""
    def told(*words):
        found = subprocess.run(["git", "-C", source, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True)
        return found.stdout.splitlines() if found.returncode == 0 else None

    of_commit = set(told("rev-parse", "--short=12", "HEAD", "--show-toplevel") or ()) == {commit, str(source)}
    return of_commit and told("status", "--porcelain") == []


def checkout(commit):
    """That of an earlier night is used again, and its builds with it."""
    source = WORK / commit
    if not is_checkout(source, commit):
        shutil.rmtree(source, ignore_errors=True)
        git("worktree", "prune")
        git("worktree", "add", "-f", "-f", "--detach", str(source), commit)  # twice: also one that was left locked
    return source


def build(commit):
    source = checkout(commit)
    say(f"building {commit}")
    compile_preset(source, "release", ["ddpm-eval", "all_bench"])
    return Build(source / "build" / "release")


def compile_preset(source, preset, targets):
    run(["cmake", "--preset", preset], out="log", cwd=source)
    run(["cmake", "--build", "--preset", preset, "-j", processors(), "--target", *targets], out="log", cwd=source)


def remove_builds_but(commits):
    for folder in WORK.glob("*"):
        if (folder / ".git").is_file() and folder.name not in commits:
            shutil.rmtree(folder)
    git("worktree", "prune")
