#!/usr/bin/env python3
"""Tests of bench/nightly.py and bench/night with programs made up here. Usage: tests/night/night_test.py"""
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import signal
import tempfile
import time
import types
import unittest
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "bench"))
import host  # noqa: E402
import inputs  # noqa: E402
from night import benchmarks, builds, checks, common, quality, suites, works  # noqa: E402

OPTIONS = types.SimpleNamespace(min_time=0.05, inner=3, heaviest=1.5)

# Prints three measurements of each benchmark that the filter lets through, the last one out, and tells its environment.
BENCH = """#!/usr/bin/env python3
import json, os, re, sys
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
times = {"light/real_time": 2.0, "long": 500.0, "heavy": 9000.0, "null": 1.0, "empty": 4.0, "peak_copy/memcpy": 3.0}
if "benchmark_list_tests" in flags:
    print("\\n".join(times))
    sys.exit()
pattern = flags["benchmark_filter"]
turned = pattern.startswith("-")
found = []
for name, time in times.items():
    if bool(re.search(pattern.lstrip("-"), name)) != turned:
        for i in range(int(flags["benchmark_repetitions"])):
            found.append({"name": name, "run_name": name, "run_type": "iteration", "time_unit": "ms",
                          "real_time": time * (1.5 if i == 2 else 1 + i / 100)})
if re.search(pattern.lstrip("-"), "broken") and os.environ.get("BROKEN"):
    found.append({"name": "broken", "run_type": "iteration", "error_occurred": True, "error_message": "planted"})
print(json.dumps({"benchmarks": found}))
print(os.environ.get("DDPM_EVAL_BENCH_CHECKS", "unset"), file=sys.stderr)
"""


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class InAFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        for module in (common, builds, checks, suites, works):
            for name, value in {"ROOT": self.folder, "WORK": self.folder / "build/nightly",
                                "LOG": self.folder / "build/nightly/log.txt",
                                "HISTORY": self.folder / "results/history",
                                "BASELINE": self.folder / "results/history/baseline"}.items():
                if hasattr(module, name):
                    old = getattr(module, name)
                    setattr(module, name, value)
                    self.addCleanup(setattr, module, name, old)


class Children(InAFolder):
    def test_what_they_say_is_kept(self):
        child = script(self.folder / "child", "#!/bin/sh\necho told\necho complaint >&2\nexit ${1:-0}\n")
        done = common.run([child], out="keep")
        self.assertEqual(done.out, "told\n")
        self.assertGreater(done.peak_bytes, 0)
        self.assertIn("complaint", common.LOG.read_text())
        with self.assertRaises(common.NightError) as caught:
            common.run([child, 3])
        self.assertEqual(caught.exception.code, common.BUG)
        self.assertRegex(str(caught.exception), r"exit code 3 of .*/child 3\n  complaint\n  all of it is in .*log.txt")
        self.assertEqual(common.run([child, 3], may_fail=True).code, 3)

    def test_nothing_goes_on_that_a_child_has_started(self):
        child = script(self.folder / "child", "#!/bin/sh\nsleep 300 &\necho $! > pid\n")
        common.run([child], cwd=self.folder)
        status = pathlib.Path(f"/proc/{(self.folder / 'pid').read_text().strip()}/stat")
        for _ in range(100):
            if not status.exists() or status.read_text().split()[2] == "Z":
                return
            time.sleep(0.05)
        self.fail("it goes on")

    def test_exit_code_7_of_a_child_is_passed_on_and_a_missing_program_is_named(self):
        child = script(self.folder / "child", "#!/bin/sh\nexit 7\n")
        with self.assertRaises(common.NightError) as caught:
            common.run([child])
        self.assertEqual(caught.exception.code, common.RESOURCES)
        with self.assertRaisesRegex(common.NightError, "no-such-program: not found; `make deps`"):
            common.run(["no-such-program"])
        with self.assertRaisesRegex(common.NightError, f"^{self.folder}: Permission denied$"):
            common.run([self.folder])

    def test_what_is_no_text_is_kept_all_the_same(self):
        child = script(self.folder / os.fsdecode(b"child-\xff"), "#!/bin/sh\nprintf 'a\\377'\n")
        self.assertEqual(common.run([child], out="keep").out, "a\ufffd")

    def test_files_are_in_memory_where_there_is_room(self):
        self.assertEqual(common.memory_folder(1 << 62), pathlib.Path(tempfile.gettempdir()))

    def test_cpu_time_is_with_that_of_their_children(self):
        busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
        done = common.run([sys.executable, "-c",
                           f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"])
        self.assertGreater(done.cpu_seconds, 0.25)


class Interrupted(unittest.TestCase):
    def test_a_signal_while_a_child_is_made_is_heard_when_it_is_known(self):
        interrupts = host.Interrupts()
        with self.assertRaises(KeyboardInterrupt):
            with interrupts.hold():
                interrupts.hear(signal.SIGTERM, None)
                made = True
        self.assertTrue(made)
        interrupts.hear(signal.SIGTERM, None)  # the second
        with self.assertRaises(KeyboardInterrupt, msg="one that was lost ends it at the next child"):
            with interrupts.hold():
                pass


class Benchmarks(InAFolder):
    def test_a_repetition_is_the_median_of_several_and_the_heavy_are_left_out(self):
        program = script(self.folder / "bench_x", BENCH)
        first = benchmarks.first_round(program, OPTIONS, True)
        times = {"light/real_time": 2e-3, "long": 0.5, "heavy": 9, "null": 1e-3, "empty": 4e-3, "peak_copy/memcpy": 3e-3}
        self.assertEqual(first, (times, {}))
        self.assertIn("\nunset", common.LOG.read_text())
        selection = benchmarks.Selection(first, {}, OPTIONS)
        self.assertEqual((selection.heavy, selection.long, selection.left_out),
                         ({"heavy"}, {"long"}, {"null", "empty", "peak_copy/memcpy"}))
        self.assertEqual(selection.measure(program, OPTIONS), {"light/real_time": 2.02e-3, "long": 0.5})
        self.assertIn("\n0\n", common.LOG.read_text())
        self.assertEqual(benchmarks.Selection(first, {"heavy": 1}, OPTIONS).heavy, set(), "the baseline decides")

    def test_what_breaks_ends_the_night_but_in_the_baseline(self):
        program = script(self.folder / "bench_x", BENCH)
        os.environ["BROKEN"] = "1"
        self.addCleanup(os.environ.pop, "BROKEN")
        with contextlib.redirect_stderr(io.StringIO()) as told:
            first = benchmarks.first_round(program, OPTIONS, True)
            self.assertIn("broken breaks: planted", told.getvalue())
            self.assertIn("broken", benchmarks.Selection(first, {}, OPTIONS).left_out)
            for is_caught in (lambda: benchmarks.first_round(program, OPTIONS, False),
                              lambda: benchmarks.times_of(program, OPTIONS, "broken", 1, True)):
                with self.assertRaises(common.NightError) as caught:
                    is_caught()
                self.assertEqual(caught.exception.code, common.BUG)

    def test_series_are_of_their_program(self):
        program = script(self.folder / "bin/bench_training", BENCH)
        side = types.SimpleNamespace(folder=self.folder, benchmarks=lambda: {"training": program, "tensor": program})
        selection = benchmarks.Selection(benchmarks.first_round(program, OPTIONS, True), {}, OPTIONS)
        for label, null in (("training", works.MEMORY), ("core", works.PROCESSOR)):
            side.benchmarks = lambda label=label: {label: program, "tensor": program}
            work = works.benchmark_work(label, {self.folder: selection}, OPTIONS)
            found = {one["name"]: one for one in work.measure(side, None)}
            self.assertEqual(sorted(found), [f"{label}: light", f"{label}: long"])
            self.assertEqual(found[f"{label}: light"]["null"], null)
        memory = works.null_memory(side, OPTIONS).measure(side, None)[0]
        self.assertEqual((memory["name"], memory["kind"], memory["value"]), (works.MEMORY, "null", 3.03e-3))
        null = works.null_processor(side, OPTIONS).measure(side, None)[0]
        self.assertEqual((null["name"], null["kind"], null["value"]), (works.PROCESSOR, "null", 1.01e-3))

    def test_a_program_that_says_no_record_is_named(self):
        for said in ("no JSON", "{}", '{"benchmarks": [{"name": "a", "run_type": "iteration"}]}', '{"benchmarks": 3}'):
            program = script(self.folder / "bench_x", f"#!/bin/sh\necho '{said}'\n")
            with self.assertRaisesRegex(inputs.Damaged, "the record of .*bench_x: "):
                benchmarks.measured(program, OPTIONS, ".", 1, False)

    def test_a_build_that_says_no_record_is_named(self):
        (self.folder / "CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/source\n")
        with self.assertRaisesRegex(common.NightError, "bin/ddpm-eval: no program"):
            builds.Build(self.folder)
        whole = {"runtime": {"threads": 2, "libtorch": "1.13.1", "device": "cpu", "cpu_capability": "AVX2"},
                 "tool": {"commit": "0123456789ab", "build_type": "release", "compiler": "GNU"}}
        for said, why in ((json.dumps(whole)[:-3], "no JSON"), ("[]", "not as it should be"),
                          (json.dumps({"runtime": whole["runtime"]}), "there is no 'tool'"),
                          (json.dumps(dict(whole, tool={"commit": "0123456789ab"})), "there is no 'build_type'")):
            script(self.folder / "bin/ddpm-eval", f"#!/bin/sh\necho '{said}'\n")
            with self.assertRaisesRegex(inputs.Damaged, f"the record of .*/bin/ddpm-eval info: {why}"):
                builds.Build(self.folder)
        script(self.folder / "bin/ddpm-eval", f"#!/bin/sh\necho '{json.dumps(whole)}'\n")
        self.assertEqual(builds.Build(self.folder).tool["compiler"], "GNU")
        (self.folder / "CMakeCache.txt").write_bytes(b"\xff")
        with self.assertRaisesRegex(common.NightError, "no build folder of CMake"):
            builds.Build(self.folder)

    def test_programs_are_those_that_a_build_has(self):
        for name in ("bench_core", "bench_ddpm", "ddpm-eval"):
            script(self.folder / "bin" / name, "")
        (self.folder / "bin/bench_core.log").write_text("no program")
        self.assertEqual(list(builds.Build.benchmarks(types.SimpleNamespace(folder=self.folder))), ["core", "ddpm"])


class History(InAFolder):
    def test_a_damaged_file_is_named_and_stays(self):
        record = {"context": {"cpu": "Xeon", "threads": 2}}
        path = self.folder / "results/history/xeon-2.jsonl"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\xff")
        with self.assertRaisesRegex(inputs.Damaged, "xeon-2.jsonl: not as it should be"):
            suites.append_to_history(record)
        self.assertEqual(path.read_bytes(), b"\xff")
        path.write_text("{}")
        suites.append_to_history(record)
        self.assertEqual(path.read_text(), "{}\n" + json.dumps(record) + "\n")


class Quality(unittest.TestCase):
    def test_a_record_without_its_number_is_named(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "nll.json"
            for text, why in (('{"metrics": {"nats": 1}}', "there is no 'bits_per_dim'"), ('{"metrics":', "no JSON")):
                path.write_text(text)
                with self.assertRaisesRegex(inputs.Damaged, f"nll.json: {why}"):
                    quality.value_in(path, "metrics", "bits_per_dim")

    def test_what_differs_when_computed_again_is_told_by_series(self):
        first = [quality.digest("samples", "aa", {}), quality.number("score", "x", "lower", 1.0, {"absolute": 0}, {})]
        second = [quality.digest("samples", "bb", {}), quality.number("score", "x", "lower", 1.1, {"absolute": 0}, {})]
        with contextlib.redirect_stderr(io.StringIO()):
            found = quality.again_compared([dict(one) for one in first], second)
        self.assertEqual([one["value"] for one in found], ["not reproducible: aa / bb", 1.0, 1])
        self.assertEqual([one["value"] for one in quality.again_compared(first, first)], ["aa", 1.0, 0])


class Samples(InAFolder):
    def test_the_digest_is_of_the_arrays_not_of_who_made_them(self):
        def written(name, array, commit):
            with zipfile.ZipFile(self.folder / name, "w") as archive:
                archive.writestr("arr_0.npy", array)
                archive.writestr("samples.json", commit)
            return quality.sha256_of_arrays(self.folder / name)

        self.assertEqual(written("a.npz", "pixels", "one commit"), written("b.npz", "pixels", "another"))
        self.assertNotEqual(written("a.npz", "pixels", "one commit"), written("b.npz", "others", "one commit"))


class Judging(InAFolder):
    def side(self, name, code, has_compare=True):
        program = script(self.folder / name, "#!/bin/sh\n"
                         f'[ "$2" = --help ] && exit {0 if has_compare else 2}\necho table of {name}\n'
                         f'echo why {code} >&2\nexit {code}\n')
        return types.SimpleNamespace(program=program)

    def judged(self, base, new):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = checks.judge(base, new, [])
        return code, out.getvalue(), err.getvalue()

    def test_the_baseline_judges_and_the_new_one_must_agree(self):
        self.assertEqual(self.judged(self.side("base", 0), self.side("new", 0)), (0, "table of base\n", ""))
        self.assertEqual(self.judged(self.side("base", 4), self.side("new", 4)),
                         (4, "table of base\n", "nightly: why 4\n"))
        code, _, told = self.judged(self.side("base", 0), self.side("new", 4))
        self.assertEqual(code, common.REGRESSION)
        self.assertIn("compare itself has changed: the baseline's ends with exit code 0, the new one with 4", told)
        self.assertEqual(self.judged(self.side("base", 4), self.side("new", 0))[0], 4)
        self.assertEqual(self.judged(self.side("base", 0), self.side("new", 6))[0], 6, "no regression")
        with self.assertRaises(common.NightError):
            self.judged(self.side("base", 139), self.side("new", 139))

    def test_what_another_compare_writes_may_be_another(self):
        def with_series(name, text):
            side = self.side(name, 4)
            script(side.program, side.program.read_text().replace("exit 4", f"echo '{text}' > $3\nexit 4"))
            return side

        base = with_series("base", '{"series": [{"name": "a", "verdict": "worse"}]}')
        code, _, told = self.judged(base, with_series("new", '{"rows": []}'))
        self.assertEqual(code, common.REGRESSION)
        self.assertRegex(told, "compare itself has changed: .*/comparison-new.json: there is no 'series'")

    def test_a_baseline_without_compare_leaves_it_to_the_new_one(self):
        self.assertEqual(self.judged(self.side("base", 2, False), self.side("new", 6)), (6, "table of new\n", "nightly: why 6\n"))

    def test_the_tests_that_fail_with_sanitizers_are_named(self):
        text = ("98% tests passed\n\nThe following tests FAILED:\n\t  3 - eval (Failed)\n\t 12 - cli_2 (Timeout)\n"
                "Errors while running CTest\n")
        self.assertEqual(checks.failing_tests(text), ["eval", "cli_2"])
        self.assertEqual(checks.failing_tests("100% tests passed"), [])


class WholeNight(unittest.TestCase):
    """The script itself, in a repository of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name) / "repository"
        shutil.copytree(SOURCE / "bench/night", self.root / "bench/night", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("nightly.py", "host.py", "inputs.py"):
            shutil.copy(SOURCE / "bench" / name, self.root / "bench" / name)
        (self.root / ".gitignore").write_text("/build/\n__pycache__/\n")
        (self.root / "CMakePresets.json").write_text(json.dumps(
            {"version": 6, "configurePresets": [{"name": "release", "generator": "Ninja",
                                                 "binaryDir": "${sourceDir}/build/release"}],
             "buildPresets": [{"name": "release", "configurePreset": "release"}]}))
        (self.root / "CMakeLists.txt").write_text('message(FATAL_ERROR "planted by the test")\n')
        self.git("init", "-q")
        self.commit("one")

    def git(self, *words):
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        return subprocess.run(["git", *identity, *words], cwd=self.root, check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "--short=12", "HEAD")

    def night(self, *words):
        done = subprocess.run([sys.executable, self.root / "bench/nightly.py", *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout, done.stderr

    def test_the_last_line_tells_the_exit_code(self):
        code, _, told = self.night()
        self.assertEqual(code, 2)
        self.assertIn("baseline is missing; bench/nightly.py --set-baseline COMMIT makes it", told)
        self.assertEqual(told.splitlines()[-1], "nightly: exit code 2: usage")
        self.assertEqual(self.night("--baseline", "no-such-commit")[0], 2)
        code, _, told = self.night("--no-such-option")
        self.assertEqual(code, 2)
        self.assertIn("\nnightly: unrecognized arguments: --no-such-option\nnightly: exit code 2: usage\n", told)
        code, out, told = self.night("--help")
        self.assertEqual((code, told), (0, ""))
        self.assertEqual(self.night("--base-build", self.root, "--new-build", self.root)[0], 3)

    def test_a_build_that_fails_is_exit_code_1_with_the_end_of_its_log(self):
        code, _, told = self.night("--baseline", "HEAD")
        self.assertEqual(code, 1)
        self.assertIn("planted by the test", told)
        self.assertEqual(told.splitlines()[-1], "nightly: exit code 1: it broke")
        self.assertIn("planted by the test", (self.root / "build/nightly/log.txt").read_text())

    def made_up_build(self, name, slow_down):
        """What `compare` judges is measured by a program that draws its times, with a noise of 2 %."""
        folder = pathlib.Path(self.root).parent / name
        script(folder / "bin/bench_ddpm", f"""#!/usr/bin/env python3
import json, pathlib, random, re, sys
names = ["unet_forward/batch:8/bf16:0"] + [f"kernel/{{i}}" for i in range(40)]
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:])
if "benchmark_list_tests" in flags:
    print("\\n".join(names))
    sys.exit()
counter = pathlib.Path(__file__).with_suffix(".count")
counter.write_text(counter.read_text() + "." if counter.exists() else ".")
random.seed(f"{{counter.read_text()}} {name}")
print(json.dumps({{"benchmarks": [
    {{"name": name, "run_type": "iteration", "time_unit": "ms",
      "real_time": random.lognormvariate(0, 0.02) * ({slow_down} if name == "kernel/8" else 1)}}
    for name in names if re.search(flags["benchmark_filter"], name)
    for _ in range(int(flags["benchmark_repetitions"]))]}}))
""")
        info = {"runtime": {"threads": 2, "libtorch": "1.13.1", "device": "cpu", "cpu_capability": "AVX2"},
                "tool": {"commit": name, "build_type": "release", "compiler": "GNU"}}
        script(folder / "bin/ddpm-eval", f"""#!/bin/sh
[ "$1" = info ] && echo '{json.dumps(info)}' && exit
exec "$DDPM_EVAL_BINARY" "$@"
""")
        (folder / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={self.root}\n")
        return folder

    @unittest.skipUnless("DDPM_EVAL_BINARY" in os.environ, "needs the program")
    def test_a_slow_down_of_one_kernel_is_exit_code_4_and_named(self):
        base = self.made_up_build("base", 1)
        flags = ["--only", "bench_ddpm", "--no-sanitizers", "--no-history"]
        code, table, told = self.night("--base-build", base, "--new-build", self.made_up_build("slow", 1.1), *flags)
        self.assertEqual(code, 4, told)
        self.assertIn("nightly: worse: ddpm: kernel/8\n", told)
        self.assertRegex(table, r"\nddpm: kernel/8 .* worse\n")
        self.assertIn("1 of 44 series is worse", table)
        self.assertEqual(told.splitlines()[-1], "nightly: exit code 4: a regression")
        self.assertIn("### 1 of 44 series is worse", (self.root / "build/nightly/comparison.md").read_text())
        code, _, told = self.night("--base-build", base, "--new-build", self.made_up_build("same", 1), *flags)
        self.assertEqual(code, 0, told)

    @unittest.skipUnless("DDPM_EVAL_BINARY" in os.environ, "needs the program")
    def test_a_night_that_was_interrupted_after_its_measurements_is_gone_on_with(self):
        base, slow = self.made_up_build("base", 1), self.made_up_build("slow", 1.1)
        work, history = self.root / "build/nightly", self.root / "results/history"
        self.night("--base-build", base, "--new-build", slow, "--only", "bench_ddpm", "--no-sanitizers", "--no-history")
        suites = [(work / name).read_text() for name in ("base.json", "new.json")]
        code, _, told = self.night("--resume")
        self.assertEqual(code, 2)
        self.assertIn("--resume: there is no night in build/nightly whose measurements are done\n", told)
        for whole in (False, True):
            (work / "measured.json").write_text(json.dumps({"whole": whole, "builds": [str(base), str(slow)]}))
            self.assertEqual(self.night("--resume", "--rounds", "3")[0], 2)
            code, _, told = self.night("--resume", "--no-sanitizers")
            self.assertEqual(code, 4, told)
            self.assertIn("nightly: worse: ddpm: kernel/8\n", told)
            self.assertEqual([(work / name).read_text() for name in ("base.json", "new.json")], suites)
            self.assertEqual(self.night("--resume")[0], 2)
            lines = [line for path in history.glob("*.jsonl") for line in path.read_text().splitlines()]
            self.assertEqual([json.loads(line) for line in lines], [json.loads(suites[1])] if whole else [])

    def test_only_what_is_there_is_refused_before_the_lock(self):
        code, _, told = self.night("--baseline", "HEAD", "--only", "bench_x")
        self.assertEqual(code, 1, "no program is named: it has to be built")
        shutil.rmtree(self.root / "build")
        (self.root / "bench/CMakeLists.txt").write_text("add_executable(bench_x x.cpp)\n")
        old = self.commit("of an earlier way")
        (self.root / "bench/CMakeLists.txt").write_text("# ddpm_add_bench(<room>)\nadd_executable(bench_${room})\n"
                                                        "ddpm_add_bench(core SOURCES core.cpp)\n ddpm_add_bench(ddpm\n")
        self.commit("of rooms")
        for only in ("bench_xx", "null", "kernel/8", "^fid$"):
            code, _, told = self.night("--baseline", old, "--only", only)
            self.assertEqual(code, 2)
            self.assertIn(f"nightly: --only {only}: matches none of bench_core, bench_ddpm, bench_x, quality, start-up",
                          told)
            self.assertFalse((self.root / "build").exists())
        for only in ("bench_x", "bench_core", "qual", "start"):
            self.assertEqual(self.night("--baseline", old, "--only", only)[0], 1, only)

    def test_a_baseline_that_is_none_is_told_with_its_file(self):
        path = self.root / "results/history/baseline"
        path.parent.mkdir(parents=True)
        short = self.git("rev-parse", "--short=12", "HEAD").encode()
        for damaged in (b"", b"0123456789ab\n", b"HEAD\n", b"main\n", short + b"\n", b"0" * 40 + b"\n", b"a" * 41 + b"\n",
                        b"\xff\xfe", b"one two\n", b"a\0b", b"--all\n", b"<html>" * 1000):
            path.write_bytes(damaged)
            code, _, told = self.night()
            first, last = told.splitlines()
            self.assertEqual(code, 3, damaged)
            self.assertIn(f"nightly: {path}", first)
            self.assertLess(len(first), 400)
            self.assertEqual(last, "nightly: exit code 3: bad data or files")
            self.assertFalse((self.root / "build").exists())
        path.write_bytes(b"\xff\xfe")
        code, out, told = self.night("--set-baseline")
        self.assertEqual(code, 0)
        self.assertIn(f"{path} cannot be read", told)
        self.assertIn("commit this file", out)
        self.assertEqual(path.read_text(), self.git("rev-parse", "HEAD") + "\n")
        for flag in ("--baseline", "--set-baseline"):
            for name in ("no-such-commit", ""):
                code, _, told = self.night(flag, name)
                self.assertEqual(code, 2)
                self.assertIn(f"nightly: {flag}: {name!r} is no commit: git rev-parse", told)

    def test_a_build_that_is_none_is_told_before_the_other_is_built(self):
        code, _, told = self.night("--baseline", "HEAD", "--new-build", self.root)
        self.assertEqual(code, 3)
        self.assertIn("no build folder of CMake", told)

    def test_two_nights_at_a_time_are_exit_code_7(self):
        import fcntl
        (self.root / "build/nightly").mkdir(parents=True)
        with open(self.root / "build/nightly/lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.night("--baseline", "HEAD")[0], 7)

    def test_a_value_that_does_not_suit_is_refused_before_the_lock(self):
        for words in ("--min-time nan", "--min-time inf", "--min-time 0", "--min-time=-1", "--min-time 1e9",
                      "--min-time x", "--heaviest nan", "--heaviest=-inf", "--heaviest 0", "--heaviest 1e300",
                      "--rounds 0", "--rounds 1001", "--rounds nan", "--rounds 1.5", "--inner 0", "--inner 99999999999",
                      "--only (", "--only a{99999999999}", "--only " + "(" * 5000):
            option, value = re.fullmatch(r"(--[a-z-]+)[ =](.*)", words).groups()
            code, _, told = self.night("--baseline", "HEAD", *words.split())
            self.assertEqual(code, 2, words)
            self.assertIn(f"nightly: argument {option}: {value}: no", told)
            self.assertEqual(told.splitlines()[-1], "nightly: exit code 2: usage")
            self.assertNotIn("Traceback", told)
            self.assertFalse((self.root / "build").exists(), words)

    def test_a_checkout_that_is_not_whole_is_made_anew(self):
        commit = self.git("rev-parse", "--short=12", "HEAD")
        for spoil in (lambda place: (place / "bench/nightly.py").unlink(),
                      lambda place: (place / "CMakeLists.txt").write_text("changed"),
                      lambda place: (shutil.rmtree(place), self.git("worktree", "prune")),
                      lambda place: (self.git("worktree", "lock", place), shutil.rmtree(place))):
            self.assertEqual(self.night("--baseline", "HEAD")[0], 1)
            place = self.root / "build/nightly" / commit
            spoil(place)
            code, _, told = self.night("--baseline", "HEAD")
            self.assertIn("planted by the test", told)
            self.assertEqual(code, 1)
            self.assertTrue((place / "bench/nightly.py").exists())

    def started(self, *before):
        """A night that builds what does not end, and the process that it waits for."""
        (self.root / "CMakeLists.txt").write_text('execute_process(COMMAND sh -c "echo $$ > pid; exec sleep 300")\n')
        self.commit("sleeps")
        night = subprocess.Popen([*before, sys.executable, self.root / "bench/nightly.py", "--baseline", "HEAD"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(night.stderr.close)
        self.addCleanup(night.kill)
        found = []
        for _ in range(400):
            # rglob() fails where CMake removes a folder that it is about to enter; walk() goes on.
            found = [path for folder, _, files in os.walk(self.root) if "pid" in files
                     for path in [pathlib.Path(folder, "pid")] if path.read_text().strip()]
            if found:
                break
            time.sleep(0.05)
        return night, pathlib.Path(f"/proc/{found[0].read_text().strip()}/stat")

    def is_interrupted(self, night, status):
        told = night.communicate(timeout=30)[1]
        self.assertEqual(night.returncode, 130, told)
        self.assertEqual(told.splitlines()[-1], "nightly: exit code 130: interrupted")
        self.assertNotIn("Traceback", told)
        self.assertTrue(not status.exists() or status.read_text().split()[2] == "Z")

    def test_a_signal_ends_it_with_130_and_leaves_nothing_behind(self):
        night, status = self.started()
        night.send_signal(signal.SIGTERM)
        self.is_interrupted(night, status)

    def test_many_signals_are_as_one(self):
        night, status = self.started()
        while night.poll() is None:
            night.send_signal(signal.SIGTERM)
            night.send_signal(signal.SIGINT)
            time.sleep(0.0005)
        self.is_interrupted(night, status)

    def test_it_goes_on_without_a_terminal_by_nohup(self):
        night, status = self.started("nohup")
        night.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.assertIsNone(night.poll())
        night.send_signal(signal.SIGTERM)
        self.is_interrupted(night, status)

    def test_a_new_baseline_shows_what_changes(self):
        old = self.git("rev-parse", "--short=12", "HEAD")
        self.assertIn(f"results/history/baseline: {old}; commit this file", self.night("--set-baseline")[1])
        new = self.commit("a faster kernel")
        code, out, told = self.night("--set-baseline")
        self.assertEqual((code, told), (0, "nightly: exit code 0: the baseline is set\n"))
        self.assertIn(f"results/history/baseline: {new} instead of {old}", out)
        self.assertIn("There is no measurement of both", out)
        self.assertIn("a faster kernel", out)
        self.assertEqual((self.root / "results/history/baseline").read_text(), self.git("rev-parse", new) + "\n")
        lines = [{"commit": commit, "time": f"2026-11-2{day}T02:00:00Z", "context": {"cpu": "Xeon", "threads": 2}}
                 for day, commit in enumerate((old, new))]
        (self.root / "results/history/xeon-2.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (self.root / "results/history/baseline").write_text(self.git("rev-parse", old) + "\n")
        script(self.root / "build/release/bin/ddpm-eval", '#!/bin/sh\ngrep -o \'"commit": "[^"]*"\' "$2" "$3"\nexit 4\n')
        code, out, _ = self.night("--set-baseline", new)
        self.assertEqual(code, 0)
        self.assertIn("What changes, as measured 2026-11-20T02:00:00Z and 2026-11-21T02:00:00Z", out)
        self.assertRegex(out, f"base.json:\"commit\": \"{old}\"\n.*new.json:\"commit\": \"{new}\"")
        self.assertIn(f"{new} as before", self.night("--set-baseline", new)[1])

    def test_a_damaged_history_is_named_and_the_baseline_stays(self):
        old = self.git("rev-parse", "--short=12", "HEAD")
        self.night("--set-baseline")
        self.commit("another")
        whole = json.dumps({"commit": old, "time": "2026-11-20T02:00:00Z", "context": {"cpu": "Xeon"}})
        path = self.root / "results/history/xeon-2.jsonl"
        for line, why in ((whole[:-5], "no JSON"), ("", "no JSON"), ("3", "not as it should be"),
                          (whole.replace("time", "day"), "there is no 'time'"), ('{"commit": 3}', "there is no 'time'"),
                          (whole.replace('"2026-11-20T02:00:00Z"', "3"), "not as it should be")):
            path.write_text(f"{whole}\n{line}\n")
            code, out, told = self.night("--set-baseline")
            self.assertEqual((code, out), (3, ""), line)
            self.assertRegex(told, rf"^nightly: {path}, line 2: {why}.*\nnightly: exit code 3: bad data or files\n$")
        path.write_bytes(b"\xff")
        told = self.night("--set-baseline")[2]
        self.assertRegex(told, f"^nightly: {path}: not as it should be: .*\nnightly: exit code 3")
        path.unlink()
        (self.root / "build/nightly").mkdir(parents=True)
        (self.root / "build/nightly/base.json").write_text("{")
        told = self.night("--set-baseline")[2]
        self.assertRegex(told, "^nightly: .*/build/nightly/base.json: no JSON.*\nnightly: exit code 3")
        self.assertEqual((self.root / "results/history/baseline").read_text(), self.git("rev-parse", old) + "\n")

    def test_a_file_in_the_way_is_told_in_one_line(self):
        (self.root / "build").write_text("")
        code, _, told = self.night("--baseline", "HEAD")
        self.assertEqual(code, 3)
        self.assertRegex(told, "^nightly: .*build.*\nnightly: exit code 3: bad data or files\n$")


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    unittest.main()
