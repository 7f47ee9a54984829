"""Runs one competitor as a process of its own and says what it took."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time


class Failed(Exception):
    """A competitor has not done its work; the text says why."""


def environment(threads):
    """Both sides are told the number of threads: Debian's PyTorch alone takes one on some machines."""
    names = ("DDPM_EVAL_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict(os.environ, **dict.fromkeys(names, str(threads)))


def last_line(file):
    file.seek(0)
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def kill_group(leader):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def run(words, threads, limit):
    """Standard output, and seconds from start to end, processor seconds, peak MB (10^6 bytes, of its largest process).

    It may use `threads` processors, as many as it has threads. Raises Failed when its exit code is not 0 or `limit`
    seconds are over.
    """
    processors = sorted(os.sched_getaffinity(0))[:threads]
    words = [str(word) for word in words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment(threads),
                                   start_new_session=True,  # so that loaders end with it
                                   preexec_fn=lambda: os.sched_setaffinity(0, processors))
        watch = threading.Timer(limit, kill_group, (process.pid,))
        try:
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            kill_group(process.pid)
            process.wait()
            raise
        finally:
            watch.cancel()
            kill_group(process.pid)  # loaders that it has left
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            if seconds >= limit:
                raise Failed(f"stopped after {limit:g} s")
            raise Failed(f"exit code {process.returncode}: {last_line(err)}")
        out.seek(0)
        return out.read().decode(), {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime,
                                     "peak_mb": usage.ru_maxrss * 1024 / 1e6}
