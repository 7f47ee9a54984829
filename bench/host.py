"""What scripts that measure need of the machine: children of which nothing goes on, whole files, its processor."""
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time


class Finished:
    """What a child has taken."""

    def __init__(self, code, seconds, usage):
        self.code = code
        self.seconds = seconds  # from start to end
        self.cpu_seconds = usage.ru_utime + usage.ru_stime  # with those of its own children
        self.peak_bytes = usage.ru_maxrss * 1024  # of its largest process


def kill_group(leader):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def finish(words, limit, **options):
    """Runs a child to its end, or kills it after `limit` seconds.

    However this ends, nothing that it has started goes on. `options` are those of subprocess.Popen; it reads nothing.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    watch = threading.Timer(limit, kill_group, (process.pid,))
    try:
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    except BaseException:
        kill_group(process.pid)
        process.wait()
        raise
    finally:
        watch.cancel()
        kill_group(process.pid)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Finished(process.returncode, seconds, usage)


def write_whole(path, text):
    """All of it or nothing, whenever this is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def processor():
    """The fields of the first processor in /proc/cpuinfo; none where there is no such file."""
    fields = {}
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    return fields
