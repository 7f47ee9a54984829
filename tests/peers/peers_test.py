#!/usr/bin/env python3
"""Tests of bench/peers, of what takes Python's standard library alone. Usage: tests/peers/peers_test.py"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "bench" / "peers"))
import side_by_side  # noqa: E402

sys.path.insert(0, str(SOURCE / "bench"))
import memory  # noqa: E402


def ran(script, *words):
    done = subprocess.run([sys.executable, "-B", script, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    return done.returncode, done.stderr


class Options(unittest.TestCase):
    def test_a_value_that_does_not_suit_is_refused_by_name(self):
        for option, value in (("--rounds", "0"), ("--rounds", "1001"), ("--count", "1"), ("--count", "1e3"),
                              ("--threads", "0"), ("--threads", "100000"), ("--seconds", "nan"), ("--seconds", "inf"),
                              ("--limit", "nan"), ("--limit", "0"), ("--limit", "1e300"), ("--only", "("),
                              ("--name", "../elsewhere"), ("--name", "")):
            code, told = ran(SOURCE / "bench/peers/side_by_side.py", "--python", "/no/python", "--name", "made-up",
                             option, value)
            self.assertEqual(code, 2, f"{option} {value}")
            self.assertIn(f"error: argument {option}: {value}: no", told)
        code, told = ran(SOURCE / "bench/peers/side_by_side.py", "--python", "/no/python", "--name", "epyc.zen-4_b")
        self.assertEqual((code, told), (1, "peers: /no/python is missing; bench/peers/setup.sh makes it\n"))


class Memory(unittest.TestCase):
    """bench/memory.py."""

    def test_who_has_not_had_enough_is_told(self):
        enough = {"count": 10, "seconds": 1.25, "peak_mb": 50.0}
        record = {"commit": "c", "date": "d", "processors": 2, "cpu": "x", "works": [
            {"work": "a", "unit": "images", "sizes": [{"count": 5, "failed": "more than 7 MB"}, enough,
                                                      dict(enough, count=20, peak_mb=75.0)]},
            {"work": "b", "unit": "images", "sizes": [{"count": 5, "failed": "more than 7 MB"}]}]}
        self.assertEqual(memory.markdown(record).splitlines()[4:],
                         ["| a (images) | 5 | more than 7 MB | – |", "| a (images) | 10 | 50 | 1.00 |",
                          "| a (images) | 20 | 75 | 1.50 |", "| b (images) | 5 | more than 7 MB | – |"])

    def test_other_works_stay_as_they_were_measured_of_the_same_commit(self):
        record = {"commit": "c", "libtorch": "2", "cpu": "x", "processors": 2, "memory_limit_mb": 7.0, "works": [{"work": "a"}, {"work": "b"}]}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "m.json"
            self.assertEqual(memory.measured_before(path, record), {})
            path.write_text(json.dumps(record))
            self.assertEqual(memory.measured_before(path, dict(record, works=[])), {"a": {"work": "a"}, "b": {"work": "b"}})
            for key, other in (("commit", "d"), ("libtorch", "1"), ("cpu", "y"), ("processors", 1), ("memory_limit_mb", 8.0)):
                self.assertEqual(memory.measured_before(path, dict(record, **{key: other})), {}, key)
            dirty = dict(record, commit="c-dirty")
            path.write_text(json.dumps(dirty))
            self.assertEqual(memory.measured_before(path, dirty), {})
            path.write_text("{")
            with self.assertRaisesRegex(memory.inputs.Damaged, "m.json: no JSON"):
                memory.measured_before(path, record)

    def test_a_limit_ends_a_process_that_wants_more(self):
        with self.assertRaises(memory.OutOfMemory) as raised:
            memory.measured([sys.executable, "-c", "import sys\ntry: bytearray(10**15)\nexcept MemoryError: sys.exit(9)"])
        self.assertRegex(str(raised.exception), r"^more than [\d,]+ MB$")


class Tables(unittest.TestCase):
    """update_docs.py, in a repository of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name)
        for name in ("docs", "results/speed", "bench/peers"):
            (self.root / name).mkdir(parents=True)
        for path in [*(SOURCE / "bench").glob("*.py"), *(SOURCE / "bench/peers").glob("*.py")]:
            shutil.copy(path, self.root / path.relative_to(SOURCE))
        (self.root / "README.md").write_text("no table\n")
        self.page = self.root / "docs/performance.md"
        self.page.write_text("<!-- speed:begin made-up -->\n<!-- speed:end -->\n")
        self.path = self.root / "results/speed/made-up.json"
        race = {"heat": "points", "work": "2-D training", "peer": "PyTorch", "unit": "updates/s", "ours": [4.0],
                "theirs": [1.0], "ratio": 4.0, "least": 4.0, "most": 4.0, "goal": {"ratio": 3.0}, "met": "required",
                "conditions": {side: {"precision": "float32", "threads": 1} for side in ("ours", "theirs")},
                "parts": {"ours": {}, "theirs": {}}}
        self.record = {"kind": "peer-race", "commit": "0123456789ab", "date": "2026-11-26", "pytorch": "1.13.1",
                       "processor": {"processors": 2, "name": "Xeon", "model": "6"}, "rounds": 3,
                       "heats": [{"heat": "points", "rounds": 3, "busy_before": 0}], "races": [race]}
        self.path.write_text(json.dumps(self.record))

    def updated(self, *words):
        return ran(self.root / "bench/peers/update_docs.py", *words)

    def changed(self, **changes):
        return json.dumps(dict(self.record, **changes))

    def test_they_are_those_of_the_records(self):
        self.assertEqual(self.updated("--check"), (1, "results/speed/made-up.md: differs from its record\n"
                                                      "docs/performance.md: differs from its record\n"))
        self.assertEqual(self.updated()[0], 0)
        self.assertEqual(self.updated("--check"), (0, ""))
        self.assertIn("| 2-D training | PyTorch | float32 | 1 | 4.00 updates/s | 1.00 updates/s | 4.00 (4.00 to 4.00) "
                      "| 3 | yes |", self.page.read_text())
        self.page.write_bytes(self.page.read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(self.updated("--check")[0], 1)

    def test_those_of_memory_are_as_well(self):
        record = {"kind": "memory", "commit": "c", "date": "d", "processors": 2, "cpu": "x", "works": [
            {"work": "a", "unit": "images", "sizes": [{"count": 10, "seconds": 1.25, "peak_mb": 50.0}]}]}
        self.path.write_text(json.dumps(record))
        self.assertEqual(self.updated()[0], 0)
        self.assertIn("| a (images) | 10 | 50 | 1.00 |", self.page.read_text())

    def test_a_damaged_record_is_named_with_what_is_wrong_in_one_line(self):
        whole = self.path.read_text()
        self.updated()
        race = self.record["races"][0]
        damaged = {"no JSON": [whole[:len(whole) // 2], "", "no JSON"],
                   "there is no 'kind'": ["{}"],
                   "not as it should be": ["[]", "3", "[" * 100_000, self.changed(races=3), self.changed(heats=["points"]),
                                           self.changed(races=[dict(race, ours=[])])],
                   "there is no 'ratio'": [self.changed(races=[{key: race[key] for key in race if key != "ratio"}])]}
        for key in ("commit", "processor", "heats", "races"):
            damaged[f"there is no '{key}'"] = [json.dumps({one: self.record[one] for one in self.record if one != key})]
        page = self.page.read_bytes()
        for says, texts in damaged.items():
            for text in texts:
                self.path.write_text(text)
                for words in ([], ["--check"]):
                    code, told = self.updated(*words)
                    self.assertEqual(code, 1, text[:200])
                    self.assertRegex(told, rf"^update_docs: results/speed/made-up.json: {says}.*\n$")
        self.path.write_bytes(b"\xff" + whole.encode())
        self.assertRegex(self.updated("--check")[1], r"^update_docs: results/speed/made-up.json: not as .*utf-8.*\n$")
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual(self.updated("--check"), (1, "update_docs: results/speed/made-up.json: Is a directory\n"))
        self.assertEqual(self.page.read_bytes(), page)

    def test_a_page_that_is_no_text_is_named(self):
        self.page.write_bytes(b"\xff")
        code, told = self.updated("--check")
        self.assertEqual(code, 1)
        self.assertRegex(told, r"^update_docs: docs/performance.md: not as it should be: .*\n$")


class GoneOnWith(unittest.TestCase):
    def test_a_damaged_record_is_not_gone_on_with(self):
        new = dict.fromkeys(side_by_side.machine.CONTEXT, "as it was")
        heat = {"heat": "points", "work": "", "unit": "s", "pairs": [], "not_raced": [], "competitors": {}}
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "made-up.json"
            path.write_text(json.dumps(dict(new, heats=[heat])))
            self.assertEqual(side_by_side.record_to_go_on_with(path, new, False)["heats"], [heat])
            for text, says in (('{"heats": [', "no JSON"), ("[]", "not as it should be"),
                               (json.dumps(new), "there is no 'heats'"),
                               (json.dumps(dict(new, heats=[dict(heat, heat="of old")])), "there is no heat of old"),
                               (json.dumps(dict(new, heats=[{"heat": "points"}])), "there is no 'pairs'")):
                path.write_text(text)
                with self.assertRaisesRegex(side_by_side.inputs.Damaged, f"made-up.json: .*{says}"):
                    side_by_side.record_to_go_on_with(path, new, False)
                self.assertEqual(path.read_text(), text)
                self.assertIs(side_by_side.record_to_go_on_with(path, new, True), new)
            path.write_text("{}")
            with self.assertRaisesRegex(RuntimeError, "was measured with another commit, .*--replace"):
                side_by_side.record_to_go_on_with(path, new, False)

    def test_a_competitor_whose_output_is_another_has_failed(self):
        def measure():
            return json.loads("[]")["value"]

        with self.assertRaisesRegex(side_by_side.Failed, "its output is not what it should be"):
            side_by_side.turn(types.SimpleNamespace(measure=measure))


class Interrupted(unittest.TestCase):
    def test_many_signals_are_as_one(self):
        with tempfile.TemporaryDirectory() as name:
            python = pathlib.Path(name) / "python"
            python.write_text(f"#!/bin/sh\necho > {name}/started\nexec sleep 300\n")
            python.chmod(0o755)
            races = subprocess.Popen([sys.executable, "-B", SOURCE / "bench/peers/side_by_side.py", "--name", "made-up",
                                      "--threads", "1", "--python", python], stderr=subprocess.PIPE, text=True)
            self.addCleanup(races.kill)
            while not (pathlib.Path(name) / "started").exists() and races.poll() is None:
                time.sleep(0.02)
            while races.poll() is None:
                races.send_signal(signal.SIGTERM)
                time.sleep(0.0005)
            told = races.communicate(timeout=30)[1]
        self.assertEqual((races.returncode, told),
                         (1, "peers: interrupted; finished heats are in the record, --resume goes on\n"))


if __name__ == "__main__":
    unittest.main()
