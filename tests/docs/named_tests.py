#!/usr/bin/env python3
"""Whether every test that a page of docs/ names, as `Suite.Test`, is in tests/."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "asks.md"


def there():
    found = set()
    for path in (ROOT / "tests").glob("*/*.cpp"):
        found |= {".".join(names) for names in
                  re.findall(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+),\s*(\w+)\)", path.read_text(), re.M)}
    return found


def main():
    named = re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", PAGE.read_text())
    missing = sorted(set(named) - there())
    for name in missing:
        print(f"{PAGE.relative_to(ROOT)}: there is no test {name}", file=sys.stderr)
    if not named:
        print(f"{PAGE.relative_to(ROOT)}: names no tests", file=sys.stderr)
    return 1 if missing or not named else 0


if __name__ == "__main__":
    sys.exit(main())
