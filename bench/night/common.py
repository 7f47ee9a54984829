"""Folders, messages, the log, and children that must go well."""
import contextlib
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import host

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "build" / "nightly"
LOG = WORK / "log.txt"
HISTORY = ROOT / "results" / "history"
BASELINE = HISTORY / "baseline"

DONE, BUG, USAGE, BAD_DATA, REGRESSION, NOT_COMPARABLE, RESOURCES, INTERRUPTED = 0, 1, 2, 3, 4, 6, 7, 130
MEANINGS = {None: "the baseline is set", DONE: "nothing is worse", BUG: "it broke", USAGE: "usage",
            BAD_DATA: "bad data or files", REGRESSION: "a regression",
            NOT_COMPARABLE: "not comparable, or something stays open",
            RESOURCES: "disk, memory or another night at work", INTERRUPTED: "interrupted"}
TAIL = 15  # lines of a log that an error shows
LIMIT = 3 * 3600  # seconds of a child: a program that hangs must not hold the machine for ever
FULL = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM)


class NightError(Exception):
    """Ends the night with this exit code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(text):
    print(f"nightly: {text}", file=sys.stderr, flush=True)


def processors():
    return len(os.sched_getaffinity(0))


def memory_folder(needed):
    """Where files of so many bytes touch no disk, if there is room: a container may have 64 MiB of it."""
    place = pathlib.Path("/dev/shm")
    with contextlib.suppress(OSError):
        if os.access(place, os.W_OK) and shutil.disk_usage(place).free > needed:
            return place
    return pathlib.Path(tempfile.gettempdir())


def run(words, out="drop", may_fail=False, cwd=None, env=None):
    """A child whose standard error goes to the log, as its standard output does with out="log"; out="keep" puts it into
    `out` of what is returned.

    A failure is a NightError, of code 7 if the child has ended with that and else of 1, with the last lines that the
    child has written to the log.
    """
    words = [str(word) for word in words]
    WORK.mkdir(parents=True, exist_ok=True)
    with open(LOG, "ab") as log, tempfile.TemporaryFile() as kept:
        log.write(f"\n== {time.strftime('%H:%M:%S')} {' '.join(words)}\n".encode(errors="surrogateescape"))
        log.flush()
        start = log.tell()
        stdout = {"drop": subprocess.DEVNULL, "log": log, "keep": kept}[out]
        try:
            done = host.finish(words, LIMIT, stdout=stdout, stderr=log, cwd=cwd,
                               env=None if env is None else {**os.environ, **env})
        except FileNotFoundError as error:
            raise NightError(BUG, f"{words[0]}: not found; `make deps` installs what is needed") from error
        except OSError as error:
            raise NightError(RESOURCES if error.errno in FULL else BUG, f"{words[0]}: {error.strerror}") from error
        kept.seek(0)
        done.out = kept.read().decode(errors="replace")
    if done.code != 0 and not may_fail:
        code = RESOURCES if done.code == RESOURCES else BUG
        raise NightError(code, f"exit code {done.code} of {' '.join(words)}\n{log_tail(start)}")
    return done


def log_since(start):
    with open(LOG, "rb") as log:
        log.seek(start)
        return log.read().decode(errors="replace")


def log_tail(start):
    lines = log_since(start).splitlines()[-TAIL:]
    return "".join(f"  {line}\n" for line in lines) + f"  all of it is in {LOG}"


def last_line(start):
    lines = [line.strip() for line in log_since(start).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def log_size():
    return LOG.stat().st_size if LOG.exists() else 0
