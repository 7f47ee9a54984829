"""What follows the measurement: the sanitizer tests, the judgement, and a new baseline."""
import json
import re
import tempfile
import pathlib

from host import write_whole
from inputs import Damaged, reading

from .builds import commit_of, compile_preset, git, recorded_baseline
from .common import (BAD_DATA, BASELINE, BUG, DONE, NOT_COMPARABLE, REGRESSION, RESOURCES, ROOT, WORK, NightError,
                     last_line, log_since, log_size, log_tail, processors, run, say)
from .suites import recorded_suites, suite_in

SANITIZERS = "sanitizer tests that fail"


# ---- Sanitizers -----------------------------------------------------------------------------------------------------


def failing_tests(text):
    """The names in ctest's last list."""
    listed = text.rpartition("The following tests FAILED:")[2] if "The following tests FAILED:" in text else ""
    return re.findall(r"^\s*\d+ - (\S+) \(", listed, re.M)


def sanitizer_tests(source):
    """`make asan` without its packages: the names of the tests that fail."""
    say("building with sanitizers")
    compile_preset(source, "asan", ["ddpm-eval", "all_tests"])
    say("running the tests with sanitizers")
    start = log_size()
    done = run(["ctest", "--preset", "asan", "-j", processors()], out="log", may_fail=True, cwd=source)
    names = failing_tests(log_since(start))
    if done.code != 0 and not names:
        raise NightError(BUG, f"ctest --preset asan: exit code {done.code}\n{log_tail(start)}")
    return names


def sanitizer_series(count):
    return {"name": SANITIZERS, "kind": "quality", "unit": "tests", "better": "lower", "value": count,
            "tolerance": {"absolute": 0}}


# ---- The judgement --------------------------------------------------------------------------------------------------


def compare(side, files, name, show):
    """The exit code. Writes comparison.json and comparison.md under `name`; with `show` also says what it says."""
    start = log_size()
    done = run([side.program, "compare", *files, "--json", WORK / f"{name}.json", "--markdown", WORK / f"{name}.md"],
               out="keep", may_fail=True)
    if show:
        print(done.out, end="", flush=True)
        if done.code != DONE:
            say(last_line(start))
    if done.code not in (DONE, BAD_DATA, REGRESSION, NOT_COMPARABLE, RESOURCES):
        raise NightError(BUG, f"{side.program} compare: exit code {done.code}\n{log_tail(start)}")
    return done.code


def can_compare(side):
    return run([side.program, "compare", "--help"], may_fail=True).code == DONE


def judge(base, new, files):
    """The baseline's `compare` judges, since a mistake in the new one would hide itself, and the new one must agree."""
    judge_side = base if can_compare(base) else new
    code = compare(judge_side, files, "comparison", True)
    if judge_side is base and base.program != new.program:
        other = compare(new, files, "comparison-new", False)
        if other != code:
            say(f"compare itself has changed: the baseline's ends with exit code {code}, the new one with {other}")
            return REGRESSION if REGRESSION in (code, other) else NOT_COMPARABLE
        try:
            if worse_series("comparison") != worse_series("comparison-new"):
                say(f"compare itself has changed: the new one finds worse {worse_series('comparison-new')}")
        except Damaged as error:
            say(f"compare itself has changed: {error}")
    return code


def worse_series(name):
    path = WORK / f"{name}.json"
    if not path.exists():
        return []
    with reading(path):
        return [one["name"] for one in json.loads(path.read_text())["series"] if one["verdict"] == "worse"]


# ---- A new baseline -------------------------------------------------------------------------------------------------


def suites_of(old, new):
    """Of one night where there is one, else the latest of each of one machine; nothing if there are none."""
    suites = [suite_in(path, path.read_text(errors="replace"))
              for path in (WORK / "base.json", WORK / "new.json") if path.exists()]
    suites += recorded_suites()
    befores = [suite for suite in suites if suite["commit"] == old]
    afters = [suite for suite in suites if suite["commit"] == new]
    pairs = [(before, after) for after in afters for before in befores]
    for same in (lambda a, b: a.get("session") and a.get("session") == b.get("session"),
                 lambda a, b: all(a["context"].get(key) == b["context"].get(key)
                                  for key in ("cpu", "threads", "instruction_set", "libtorch"))):
        for before, after in pairs:
            if same(before, after):
                return before, after
    return None


def any_program():
    for program in [ROOT / "build" / "release" / "bin" / "ddpm-eval",
                    *sorted(WORK.glob("*/build/release/bin/ddpm-eval"))]:
        if program.exists():
            return program
    return None


def set_baseline(name):
    """Writes results/history/baseline and shows what changes with it."""
    new = commit_of(name, "--set-baseline")
    try:
        old = recorded_baseline()[:len(new)]
    except NightError as error:  # it is replaced
        say(str(error))
        old = ""
    found = suites_of(old, new) if old not in ("", new) else None  # damage is told before anything is written
    write_whole(BASELINE, git("rev-parse", new) + "\n")
    place = BASELINE.relative_to(ROOT)
    if old in ("", new):
        print(f"{place}: {new}{' as before' if old else ''}; commit this file")
        return
    print(f"{place}: {new} instead of {old}; commit this file\n")
    program = any_program()
    if found and program:
        print(f"What changes, as measured {found[0]['time']} and {found[1]['time']}:\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder) / "base.json", pathlib.Path(folder) / "new.json"]
            for path, suite in zip(files, found):
                path.write_text(json.dumps(suite))
            print(run([program, "compare", *files, "--allow-mismatch"], out="keep", may_fail=True).out, flush=True)
    else:
        print("There is no " + ("measurement of both on one machine" if not found else "program to compare them with")
              + ": `make nightly` before a baseline is set makes one.\n")
    print("Commits between:")
    try:
        print(git("log", "--oneline", "-n", "50", f"{old}..{new}") or "  none: it is not a later one")
    except NightError as error:
        print(f"  {error}")
