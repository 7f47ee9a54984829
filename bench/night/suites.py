"""Suite records (docs/benchmarks.md) and the history that they are lines of."""
import datetime
import json
import os
import re

import host
from host import write_whole
from inputs import reading

from .common import HISTORY, NightError, BUG


def instruction_set(side):
    """LibTorch's choice and what oneDNN may use beyond it."""
    flags = host.processor().get("flags", "").split()
    beyond = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    return " ".join([side.runtime["cpu_capability"], *beyond])


def processor():
    return host.processor().get("model name", os.uname().machine)


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Suite:
    def __init__(self, record, series=()):
        self.record = record
        self.instruction_set = record["context"]["instruction_set"]
        self.series = {one["name"]: one for one in series}

    @classmethod
    def of_side(cls, side, session, now, load):
        return cls({"schema": 1, "kind": "suite", "time": now, "commit": side.tool["commit"], "session": session,
                    "context": {"cpu": processor(), "instruction_set": instruction_set(side),
                                "threads": side.runtime["threads"], "build": side.tool["build_type"],
                                "libtorch": side.runtime["libtorch"], "device": side.runtime["device"],
                                "precision": "float32", "compiler": side.tool["compiler"], "load": load}})

    @classmethod
    def of_file(cls, path, without):
        """A finished one, but for the series of that name."""
        with reading(path):
            record = json.loads(path.read_text())
            series = [one for one in record.pop("series") if one["name"] != without]
            return cls(record, series)

    def add(self, found):
        """Repetitions are collected; quality and hashes come once."""
        for one in found:
            one = dict(one)
            value = one.pop("value")
            if one["kind"] not in ("hash", "quality"):
                self.series.setdefault(one["name"], one).setdefault("repetitions", []).append(value)
                continue
            if one["name"] in self.series:
                raise NightError(BUG, f"{one['name']} is there twice")
            one["hashes" if one["kind"] == "hash" else "value"] = (
                {self.instruction_set: value} if one["kind"] == "hash" else value)
            self.series[one["name"]] = one

    def finished(self):
        return dict(self.record, series=list(self.series.values()))


def history_file(context):
    slug = re.sub(r"[^a-z0-9]+", "-", f"{context['cpu']} {context['threads']}".lower()).strip("-")
    return HISTORY / f"{slug}.jsonl"


def lines_of(path):
    with reading(path):
        return path.read_text().splitlines()


def append_to_history(record):
    path = history_file(record["context"])
    lines = lines_of(path) if path.exists() else []
    write_whole(path, "".join(line + "\n" for line in [*lines, json.dumps(record)]))


def suite_in(name, text):
    """A suite record, as far as it is used here."""
    with reading(name):
        suite = json.loads(text)
        "".join((suite["time"], suite["commit"]))  # both are texts
        suite["context"].items()
        return suite


def recorded_suites():
    """All of the history, the latest first."""
    suites = [suite_in(f"{path}, line {number}", line) for path in sorted(HISTORY.glob("*.jsonl"))
              for number, line in enumerate(lines_of(path), 1)]
    return sorted(suites, key=lambda suite: suite["time"], reverse=True)
