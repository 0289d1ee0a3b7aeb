"""Runs many broken inputs in processes that may die, and prints what came of them."""

from __future__ import annotations

import argparse
import faulthandler
import json
import subprocess
import sys
from dataclasses import asdict

from fuzz import HANG_SECONDS
from fuzz.attack import attack
from fuzz.entrances import entrances

AT_ONCE = 500
"""Inputs per process: a new one starts clean."""

SILENCE_SECONDS = 3 * HANG_SECONDS
"""After which a process ends itself: native code hears no alarm."""


def here(entrance: str, numbers: range) -> None:
    """Run some inputs in this process, saying before each which it is."""
    for number in numbers:
        print(number, flush=True)
        faulthandler.dump_traceback_later(SILENCE_SECONDS, exit=True)
        for find in attack(entrance, range(number, number + 1)):
            print(json.dumps(asdict(find)), flush=True)


def apart(entrance: str, numbers: range) -> list[str]:
    """Run some inputs in processes of their own; give what was found, as JSON."""
    found, first = [], numbers.start
    while first < numbers.stop:
        words = [entrance, str(first), str(numbers.stop)]
        done = subprocess.run(
            [sys.executable, "-m", "fuzz", "--here", *words], stdout=subprocess.PIPE, text=True
        )
        lines = done.stdout.splitlines()
        found += [line for line in lines if line.startswith("{")]
        last = max((int(line) for line in lines if line.isdigit()), default=first)
        if not done.returncode:
            break
        died = {"entrance": entrance, "number": last, "what": f"died: {done.returncode}"}
        found.append(json.dumps(died))
        first = last + 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", nargs="?", type=int, default=2000, help="of all entrances")
    parser.add_argument("--first", type=int, default=0, help="number of the first of each")
    parser.add_argument("--entrance", action="append", help="by name; all by default")
    parser.add_argument("--here", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        here(given.here[0], range(int(given.here[1]), int(given.here[2])))
        return 0
    names = given.entrance or list(entrances())
    each, total = -(-given.inputs // len(names)), 0
    for name in names:
        found = []
        for first in range(given.first, given.first + each, AT_ONCE):
            found += apart(name, range(first, min(first + AT_ONCE, given.first + each)))
        total += len(found)
        print(f"{name}: {each:,} inputs, {len(found)} finds", flush=True)
        for line in found:
            print(f"  {line}", flush=True)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
