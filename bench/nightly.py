#!/usr/bin/env python3
"""Measures a commit against its baseline on this machine and says whether it has become worse.

    bench/nightly.py                           HEAD against the baseline; `make nightly` is the same
    bench/nightly.py --resume                  goes on with one that was interrupted after its measurements
    bench/nightly.py --set-baseline [COMMIT]   what later nights are measured against: HEAD, or COMMIT

Both commits are built as release, each in build/nightly/COMMIT, and measured in turn, A B B A A B ..., each repetition
by a process of its own; then come numbers of quality from fixed seeds, and the new commit's tests with sanitizers. In
build/nightly stay base.json and new.json (suite records, docs/benchmarks.md), comparison.json, comparison.md,
history.html and log.txt; the new record is appended to results/history/PROCESSOR-THREADS.jsonl. Run it on an idle
machine.

Exit codes: 0 nothing is worse, 4 a regression, 6 not comparable or something stays open, 1 a build or a command failed,
2 usage, 3 bad data, 7 disk, memory or another night at work, 130 interrupted. The last line says which it was.
"""
import argparse
import contextlib
import fcntl
import json
import multiprocessing
import os
import pathlib
import re
import sys
import tempfile
import time
import traceback

import inputs
from host import INTERRUPTS, write_whole
from inputs import Damaged
from night import benchmarks, builds, checks, common, quality, works
from night.builds import Build, build, commit_of, commit_of_recorded_baseline, git, remove_builds_but
from night.common import HISTORY, LOG, WORK, NightError, run, say
from night.suites import Suite, append_to_history, utc_now

RECORDS = [WORK / "base.json", WORK / "new.json"]  # of the two sides
MEASURED = WORK / "measured.json"  # written when these are done
RESULTS = [*RECORDS, MEASURED, *(WORK / name for name in ("comparison.json", "comparison.md", "comparison-new.json",
                                                          "comparison-new.md", "history.html"))]
MOST_ROUNDS = 1000  # of a suite record
RUNS = 1 << 30  # bytes that commands may write in a night
MEASURES = ("rounds", "only", "min_time", "inner", "heaviest", "base_build", "new_build")  # the options that shape the numbers


class Clock:
    """How long the parts of the night take."""

    def __init__(self):
        self.parts = {}
        self.last = time.monotonic()

    def end(self, part):
        now = time.monotonic()
        self.parts[part] = self.parts.get(part, 0) + now - self.last
        self.last = now

    def text(self):
        return ", ".join(f"{part} {seconds / 60:.1f} min" for part, seconds in self.parts.items())


def wanted_works(base, new, options):
    """What repetitions measure, from a first round of the Google Benchmarks, which also checks what they compute."""
    wanted = re.compile(options.only)
    labels = [label for label in sorted({**base.benchmarks(), **new.benchmarks()}) if wanted.search(f"bench_{label}")]
    of_base, list_of_works = {}, []
    for label in labels:
        selections = {}
        for side in (base, new):
            program = side.benchmarks().get(label)
            if program is not None and side.folder not in selections:
                first = benchmarks.first_round(program, options, side is base)
                if side is base:
                    of_base[label] = first[0]
                selections[side.folder] = benchmarks.Selection(first, of_base.get(label, {}), options)
                if side is base or base.folder not in selections:
                    benchmarks.tell_heavy(f"bench_{label}", selections[side.folder], options)
        list_of_works.append(works.benchmark_work(label, selections, options))
    list_of_works += [work for work in works.COMMANDS if wanted.search(work.name)]
    processor = works.null_processor(base, options)
    nulls = ([processor] if processor else []) + [works.null_process(base), works.null_memory(base, options)]
    return nulls + list_of_works if list_of_works else []


def without_what_the_baseline_lacks(list_of_works, base, folder):
    """An older commit may not have a command or a flag: such a work is not measured on either side."""
    left = []
    for work in list_of_works:
        try:
            work.measure(base, folder)
            left.append(work)
        except NightError as error:
            say(f"left out, as the baseline cannot do it: {work.name}: {str(error).splitlines()[0]}")
    return left


def one_round(list_of_works, sides, turn, folder, seconds):
    """Adds to the suites; `seconds` by the work's name."""
    for work in list_of_works:
        begin = time.monotonic()
        # Who comes first meets cold caches and what the work before has left: each side in turn.
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            side, suite = sides[index]
            own = folder / ("base", "new")[index]
            own.mkdir(exist_ok=True)
            found = work.measure(side, own)
            if suite is not None:
                suite.add(found)
        seconds[work.name] = time.monotonic() - begin


def tell_plan(seconds, options):
    total = sum(seconds.values())
    for name, taken in sorted(seconds.items(), key=lambda item: -item[1]):
        say(f"  {taken:6.1f} s a round  {name}")
    end = time.strftime("%H:%M", time.localtime(time.time() + total * options.rounds))
    say(f"plan: {options.rounds} rounds of {total:.0f} s, {total * options.rounds / 60:.0f} min, until {end}")


def measure(base, new, load, options, clock):
    now = utc_now()
    with_quality = re.search(options.only, "quality")
    session = f"{now} {base.tool['commit']} {new.tool['commit']}"
    suites = [Suite.of_side(side, session, now, load) for side in (base, new)]
    with tempfile.TemporaryDirectory(dir=common.memory_folder(RUNS)) as name:
        folder = pathlib.Path(name)
        list_of_works = wanted_works(base, new, options)
        if not list_of_works and not with_quality:
            raise NightError(common.USAGE, f"--only {options.only}: matches nothing")
        (folder / "base").mkdir()
        list_of_works = without_what_the_baseline_lacks(list_of_works, base, folder / "base")
        seconds = {}
        one_round(list_of_works, [(base, None), (new, None)], 0, folder, seconds)  # caches are warm after it
        clock.end("first round")
        tell_plan(seconds, options)
        for turn in range(options.rounds):
            one_round(list_of_works, list(zip((base, new), suites)), turn, folder, seconds)
            say(f"round {turn + 1} of {options.rounds}")
        clock.end("rounds")
        if with_quality:
            for side, suite in zip((base, new), suites):
                say(f"quality of {side.tool['commit']}, twice")
                suite.add(quality.twice(side, folder / "quality"))
            clock.end("quality")
    return suites


def write_records(suites):
    for path, suite in zip(RECORDS, suites):
        write_whole(path, json.dumps(suite.finished(), indent=1) + "\n")


def add_sanitizers(new, suites):
    """The baseline's number is the one that is wanted, and not measured. Returns the tests that fail."""
    failing = checks.sanitizer_tests(new.source)
    for suite, count in zip(suites, (0, len(failing))):
        suite.add([checks.sanitizer_series(count)])
    return failing


def write_input(path, phase):
    INTERRUPTS.end()  # the night hears them, and ends this
    works.write_statistics(path, phase)


def write_inputs():
    for name, phase in works.INPUTS.items():
        if not (WORK / name).exists():
            # In a process of its own: the peak memory of this one is the least that its children are said to have.
            writer = multiprocessing.Process(target=write_input, args=(WORK / (name + ".tmp"), phase), daemon=True)
            writer.start()
            try:
                writer.join()
            finally:
                writer.kill()
            if writer.exitcode != 0:
                raise NightError(common.RESOURCES, f"{WORK / name} could not be made")
            os.replace(WORK / (name + ".tmp"), WORK / name)


def is_a_whole_night(parser, options, record):
    """Points of a curve are of the same work, of a commit that can be built again."""
    same = all(getattr(options, name) == parser.get_default(name) for name in MEASURES)
    return same and not record["commit"].endswith("-dirty")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        """The night's last line is to follow."""
        self.print_usage(sys.stderr)
        raise NightError(common.USAGE, message)


def parse_options():
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-baseline", nargs="?", const="HEAD", metavar="COMMIT",
                        help="make it the baseline of later nights, and show what changes with it")
    parser.add_argument("--baseline", metavar="COMMIT", help="for this night, instead of results/history/baseline")
    parser.add_argument("--rounds", type=inputs.whole(1, MOST_ROUNDS), default=12, help="repetitions of each side")
    parser.add_argument("--only", type=inputs.regex, default="", metavar="REGEX",
                        help="of whole programs, bench_ROOM, and of quality, "
                             + ", ".join(work.name for work in works.COMMANDS)
                             + "; refused before the builds where the commits' CMake files name the programs, else "
                               "after them")
    parser.add_argument("--min-time", type=inputs.seconds(common.LIMIT), default=0.05,
                        help="seconds of a measurement of a Google Benchmark")
    parser.add_argument("--inner", type=inputs.whole(1, MOST_ROUNDS), default=3,
                        help="measurements that a Google Benchmark's repetition is the median of")
    parser.add_argument("--heaviest", type=inputs.seconds(common.LIMIT), default=1.5,
                        help="seconds of an iteration; benchmarks beyond are left out")
    parser.add_argument("--base-build", type=pathlib.Path, help="a build that is there, instead of the baseline's")
    parser.add_argument("--new-build", type=pathlib.Path, help="a build that is there, instead of HEAD's")
    parser.add_argument("--resume", action="store_true",
                        help="go on with a night that was interrupted after its measurements")
    parser.add_argument("--no-sanitizers", action="store_true", help="leave out the tests with sanitizers")
    parser.add_argument("--no-history", action="store_true", help="leave results/history as it is")
    return parser, parser.parse_args()


def baseline_commit(options):
    return commit_of_recorded_baseline() if options.baseline is None else commit_of(options.baseline, "--baseline")


def hold_lock():
    WORK.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NightError(common.RESOURCES, "another night is at work in build/nightly") from None
    return lock


def commits_of(options):
    """To be built; empty where there is a build."""
    return ["" if options.base_build else baseline_commit(options), "" if options.new_build else commit_of("HEAD")]


def refuse_only_of_nothing(options, commits):
    """Before the builds, if both sides' programs are known by then."""
    sides = [builds.programs_of(folder) if folder else builds.programs_named_by(commit)
             for folder, commit in zip((options.base_build, options.new_build), commits)]
    labels = sorted({label for side in sides for label in side})
    names = [*(f"bench_{label}" for label in labels), "quality", *(work.name for work in works.COMMANDS)]
    if all(sides) and not any(re.search(options.only, name) for name in names):
        raise NightError(common.USAGE, f"--only {options.only}: matches none of {', '.join(names)}")


def sides_of(options, commits):
    if commits[1] and git("status", "--porcelain"):
        say("there are changes that are not committed: HEAD is measured without them")
    given = [Build(folder) if folder else None for folder in (options.base_build, options.new_build)]
    base, new = (side or build(commit) for side, commit in zip(given, commits))
    new.configs = base.configs  # both do the same work
    if all(commits):
        remove_builds_but(commits)
    return base, new


def measured_now(parser, options, clock, held):
    """Both sides and their suites, and whether they are of a whole night."""
    commits = commits_of(options)
    refuse_only_of_nothing(options, commits)
    held.enter_context(hold_lock())
    for path in [LOG, *RESULTS]:
        path.unlink(missing_ok=True)
    load = round(os.getloadavg()[0], 2)  # before our own builds
    base, new = sides_of(options, commits)
    write_inputs()
    clock.end("builds")
    suites = measure(base, new, load, options, clock)
    whole = is_a_whole_night(parser, options, suites[1].record)
    write_records(suites)
    builds_there = [str(folder.absolute()) if folder else None for folder in (options.base_build, options.new_build)]
    write_whole(MEASURED, json.dumps({"whole": whole, "builds": builds_there}) + "\n")
    return base, new, suites, whole


def measured_before(parser, options, clock, held):
    """The same of a night that was interrupted after its measurements."""
    if any(getattr(options, name) != parser.get_default(name) for name in (*MEASURES, "baseline")):
        raise NightError(common.USAGE, "--resume: what was measured stays; --no-sanitizers and --no-history alone go with it")
    held.enter_context(hold_lock())
    if not MEASURED.exists():
        raise NightError(common.USAGE, "--resume: there is no night in build/nightly whose measurements are done")
    suites = [Suite.of_file(path, checks.SANITIZERS) for path in RECORDS]
    with inputs.reading(MEASURED):
        told = json.loads(MEASURED.read_text())
        whole, (base, new) = told["whole"], told["builds"]
    sides = [Build(pathlib.Path(folder)) if folder else build(commit_of(suite.record["commit"]))
             for folder, suite in zip((base, new), suites)]
    clock.end("builds")
    return *sides, suites, whole


def night():
    """The exit code; none where nothing is measured."""
    parser, options = parse_options()
    if options.set_baseline is not None:
        checks.set_baseline(options.set_baseline)
        return None
    clock = Clock()
    with contextlib.ExitStack() as held:
        base, new, suites, whole = (measured_before if options.resume else measured_now)(parser, options, clock, held)
        return judged(options, clock, base, new, suites, whole)


def judged(options, clock, base, new, suites, whole):
    """The exit code, after the tests with sanitizers."""
    failing, broken = [], None
    if not options.no_sanitizers:
        try:
            failing = add_sanitizers(new, suites)
        except NightError as error:
            broken = error
        write_records(suites)
        clock.end("sanitizers")
    code = checks.judge(base, new, RECORDS)
    worse = checks.worse_series("comparison")
    if worse:
        say("worse: " + "; ".join(worse))
    if failing:
        say("tests that fail with sanitizers: " + " ".join(failing))
    record = suites[1].finished()
    if options.no_history or not whole:
        say("results/history is left as it is")
    else:
        try:
            append_to_history(record)
            page = run([new.program, "report", HISTORY, "--out", WORK / "history.html"], may_fail=True)
            if page.code != 0:
                say(f"the history has no page: {LOG}")
        except (NightError, Damaged, OSError) as error:
            broken = broken or error
    say(clock.text())
    MEASURED.unlink(missing_ok=True)
    if broken is not None and code != common.REGRESSION:
        raise broken
    if broken is not None:
        say(str(broken))
    return code


def outcome():
    """That of night(), after what there is to say of a failure."""
    try:
        return night()
    except NightError as error:
        say(str(error))
        return error.code
    except Damaged as error:
        say(str(error))
        return common.BAD_DATA
    except Exception as error:
        if isinstance(error, OSError) and (error.filename or error.errno in common.FULL):
            say(str(error))
            return common.RESOURCES if error.errno in common.FULL else common.BAD_DATA
        traceback.print_exc()
        return common.BUG


def main():
    INTERRUPTS.take()
    try:
        code = outcome()
        INTERRUPTS.end()
    except KeyboardInterrupt:
        code = common.INTERRUPTED
        INTERRUPTS.end()
    # The last line: GNU make turns every failure into its own exit code 2.
    say(f"exit code {code or common.DONE}: {common.MEANINGS.get(code, 'an exit code of compare')}")
    return code or common.DONE


if __name__ == "__main__":
    sys.exit(main())
