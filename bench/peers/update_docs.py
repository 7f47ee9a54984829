#!/usr/bin/env python3
"""Writes the tables of races and of memory out of the records of results/speed: NAME.md beside NAME.json, and in docs/*.md whatever
stands between <!-- speed:begin NAME --> and <!-- speed:end -->.

    bench/peers/update_docs.py [--check]

With --check nothing is written, and the exit code is 1 if a page differs from its record. A record that is damaged is
named, with what is wrong; then nothing is written either.
"""

import argparse
import json
import pathlib
import re
import sys

import tables
from processes import inputs

import memory  # bench/, where processes finds inputs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RECORDS = ROOT / "results" / "speed"
MARKED = re.compile(r"(<!-- speed:begin ([\w.-]+) -->\n).*?(<!-- speed:end -->)", re.S)


def of_records():
    """{name: Markdown} of every record of races or of memory."""
    writers = {"peer-race": tables.markdown, "memory": memory.markdown}
    found = {}
    for path in sorted(RECORDS.glob("*.json")):
        with inputs.reading(path.relative_to(ROOT)):
            record = json.loads(path.read_text())
            if record["kind"] in writers:
                found[path.stem] = writers[record["kind"]](record)
    return found


def filled(page, text, found):
    def table(match):
        if match[2] not in found:
            raise RuntimeError(f"{page.relative_to(ROOT)}: there is no results/speed/{match[2]}.json")
        return match[1] + found[match[2]] + match[3]

    if len(re.findall("<!-- speed:(?:begin|end)", text)) != 2 * len(MARKED.findall(text)):
        raise RuntimeError(f"{page.relative_to(ROOT)}: a marker <!-- speed:... --> has no partner")
    return MARKED.sub(table, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    found = of_records()
    wanted = {RECORDS / f"{name}.md": text for name, text in found.items()}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        with inputs.reading(page.relative_to(ROOT)):
            text = page.read_text()
        wanted[page] = filled(page, text, found)
    differ = [path for path, text in wanted.items() if not path.exists() or path.read_bytes() != text.encode()]
    for path in differ:
        print(f"{path.relative_to(ROOT)}: {'differs from its record' if options.check else 'written'}", file=sys.stderr)
        if not options.check:
            path.write_text(wanted[path])
    return 1 if options.check and differ else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, inputs.Damaged) as error:
        sys.exit(f"update_docs: {error}")
