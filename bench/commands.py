"""Commands that are run to their end and give one record, and the record of a script that measures them."""
import datetime
import json
import subprocess
import sys
import tempfile

import host
import inputs


class Failed(Exception):
    """A command or a competitor has not done its work; the text says why."""


def last_line(file):
    """Of what a command has written to an open file."""
    file.seek(0)
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def finished(words, limit, **options):
    """How a command that writes one record to standard output ended (host.Finished), and the record; None where its exit
    code is not 0, and then the last line that it wrote to standard error. `options` as host.finish()."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = host.finish([str(word) for word in words], limit, stdout=out, stderr=err, **options)
        if done.code != 0:
            return done, None, last_line(err)
        out.seek(0)
        return done, json.load(out), ""


def require_done(done, said):
    if done.code != 0:
        raise Failed(f"exit code {done.code}: {said}")


def new_record(kind, program):
    """With what `ddpm-eval info` says of the program and this machine."""
    info = json.loads(host.output_of(program, "info", "--json", "-"))
    return {"schema": 1, "kind": kind, "commit": info["tool"]["commit"],
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "cpu": host.processor().get("model name", "unknown"), "processors": info["runtime"]["threads"],
            "libtorch": info["runtime"]["libtorch"]}


def write_record(folder, name, record, markdown):
    """NAME.json and NAME.md."""
    path = folder / f"{name}.json"
    host.write_whole(path, json.dumps(record, indent=1) + "\n")
    host.write_whole(path.with_suffix(".md"), markdown)


def run_script(name, main):
    """main(), with one line of what goes wrong."""
    host.INTERRUPTS.take()
    try:
        main()
    except (Failed, inputs.Damaged, OSError, subprocess.CalledProcessError, ValueError, LookupError) as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        host.INTERRUPTS.end()
        sys.exit(f"{name}: interrupted")
