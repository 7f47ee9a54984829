#!/usr/bin/env python3
"""Tests of bench/peers, of what takes Python's standard library alone. Usage: tests/peers/peers_test.py"""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


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
