"""What scripts that measure need of the machine: interrupts that are heard once, children of which nothing goes on,
whole files, its processor."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time


HOUR = 3600  # seconds
os.environ["DDPM_EVAL_CACHE"] = "off"  # what is measured is done, and not remembered


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP as one KeyboardInterrupt: a second would break off what the first has begun to end."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self):
        self.heard = False
        self.held = False

    def take(self):
        for number in self.NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self.hear)

    def hear(self, number, frame):
        first, self.heard = not self.heard, True
        if first and not self.held:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def hold(self):
        """What comes in between is raised at the end."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
            if self.heard:
                raise KeyboardInterrupt

    def end(self):
        """None counts any more, not even while Python ends, which gives up handlers of its own."""
        self.heard = True
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_IGN)


INTERRUPTS = Interrupts()


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
    process = watch = None
    try:
        with INTERRUPTS.hold():  # else a child could be there that nobody knows
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, **options)
            watch = threading.Timer(limit, kill_group, (process.pid,))
            watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    except BaseException:
        if process is not None:
            kill_group(process.pid)
            process.wait()
        raise
    finally:
        if process is not None:
            watch.cancel()
            kill_group(process.pid)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Finished(process.returncode, seconds, usage)


def output_of(*words, **options):
    """Standard output of a child that has something to say, as text. `options` as finish(). Raises CalledProcessError
    where its exit code is not 0; one that takes an hour is killed."""
    words = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as out:
        done = finish(words, HOUR, stdout=out, **options)
        if done.code != 0:
            raise subprocess.CalledProcessError(done.code, words)
        out.seek(0)
        return out.read()


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
