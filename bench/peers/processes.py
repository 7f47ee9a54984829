"""Runs one competitor as a process of its own and says what it took."""

import os
import pathlib
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import host  # noqa: E402
import inputs  # noqa: E402, F401
from commands import Failed, last_line  # noqa: E402


def environment(threads):
    """Both sides are told the number of threads: Debian's PyTorch alone takes one on some machines."""
    names = ("DDPM_EVAL_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict(os.environ, **dict.fromkeys(names, str(threads)))


def run(words, threads, limit):
    """Standard output, and seconds from start to end, processor seconds, peak MB (10^6 bytes, of its largest process).

    It may use `threads` processors, as many as it has threads. Raises Failed when its exit code is not 0 or `limit`
    seconds are over.
    """
    processors = sorted(os.sched_getaffinity(0))[:threads]
    words = [str(word) for word in words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = host.finish(words, limit, stdout=out, stderr=err, env=environment(threads),
                           preexec_fn=lambda: os.sched_setaffinity(0, processors))
        if done.code != 0:
            if done.seconds >= limit:
                raise Failed(f"stopped after {limit:g} s")
            raise Failed(f"exit code {done.code}: {last_line(err)}")
        out.seek(0)
        return out.read().decode(), {"seconds": done.seconds, "cpu_seconds": done.cpu_seconds,
                                     "peak_mb": done.peak_bytes / 1e6}
