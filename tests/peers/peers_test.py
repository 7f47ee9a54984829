#!/usr/bin/env python3
"""Tests of bench/peers, of what takes Python's standard library alone. Usage: tests/peers/peers_test.py"""
import pathlib
import subprocess
import sys
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


if __name__ == "__main__":
    unittest.main()
