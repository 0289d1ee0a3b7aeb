"""Ends long commands at random moments, many times in one folder, and looks at what they leave.

``python -m kills 20`` in ``tests``. Each command is killed (SIGKILL) so many times after a moment
that a seed draws, interrupted as often (SIGINT or SIGTERM, to it alone or to all its processes, as
a terminal does), and then left alone: it has to end with status 0 and with the result of one that
nobody killed. Who is interrupted says so in one line at the end, with status 130, soon, and leaves
no process. Two processes in one folder both end well, as does one that finds no folder for
temporary files; a folder that cannot be made ends with one message.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cli.test_deterministic import plain

BERT = str(Path(__file__).parent / "data" / "networks" / "bert_layer.onnx")
NETWORK = (BERT, "eyeriss", "--dim", "batch=1", "--dim", "seq=16", "--evaluations", "20000")
HARDWARE = (BERT, "--dim", "batch=1", "--dim", "seq=16", "--template", "gemmini-ws")
RUNS = ("--strategies", "greedy,random,tpe", "--evaluations", "3000")
FEW = ("--strategies", "random,tpe", "--samples", "6", "--evaluations", "2000", "--jobs", "1")
COMMANDS: dict[str, tuple[str, ...]] = {
    "network": ("network", *NETWORK, "--cache", "cache", "--out", "out"),
    "compare": ("compare", "eyeriss", "256", "256", "256", *RUNS, "--out", "out"),
    "codesign": ("codesign", *HARDWARE, *FEW, "--out", "out"),
    "worker": ("worker", "out/codesign.journal"),
    "dashboard": ("dashboard", "out/comparison.journal", "--port", "0", "--no-browser"),
}
REFUSALS = "refusals"
MOMENTS = 12.0
"""Seconds within which a command is killed: from before its imports to its last tables."""
PATIENCE = 900
EARLIEST = 0.2
"""Seconds until this command, no longer Python alone, answers signals."""
SOON = 20
"""Seconds from an interruption to the end: what was found is printed and drawn."""
AFTERWARDS = 2.5
"""Seconds after which processes have seen that their parent has gone."""


def start(
    words: tuple[str, ...], folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    json_too = () if words[0] == "dashboard" else ("--json",)
    return subprocess.Popen(
        [sys.executable, "-m", "toolkit", *words, *json_too],
        cwd=folder,
        env=os.environ | (more or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def killed(words: tuple[str, ...], folder: Path, seconds: float) -> None:
    """Start a command and kill it with all its processes after some seconds."""
    process = start(words, folder)
    time.sleep(seconds)
    os.killpg(process.pid, 9)
    process.communicate()


def interrupted(words: tuple[str, ...], folder: Path, draw: random.Random) -> Iterator[str]:
    """Start a command and interrupt it after some seconds; yield what is wrong with its end."""
    process, seconds = start(words, folder), draw.uniform(EARLIEST, MOMENTS)
    number, send = draw.choice((signal.SIGINT, signal.SIGTERM)), draw.choice((os.kill, os.killpg))
    time.sleep(seconds)
    ended = process.poll() is not None
    if not ended:
        send(process.pid, number)
    case = f"{number.name} by {send.__name__} after {seconds:.2f} s"
    try:
        out, err = process.communicate(timeout=SOON)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        yield f"{case}: it goes on for more than {SOON} s: {process.communicate()[1][-500:]}"
        return
    # An end that the signal met half way is as good as any.
    line = err.splitlines()[-1:] == ["toolkit: interrupted"]
    served = words[0] == "dashboard" and not process.returncode
    # Python on its last steps leaves signals to the system; shells call that 130 or 143.
    late = process.returncode == -number and not err.strip()
    if (process.returncode, line) not in ((130, True), (0, False)) and not (served or late):
        yield f"{case}: it ended with {process.returncode}: {err[-500:]}"
    if "Traceback" in err or "Warning" in err or err.count("interrupted") > 1:
        yield f"{case}: {err[-900:]}"
    if out and words[0] != "dashboard":
        json.loads(out)
    time.sleep(AFTERWARDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        yield f"{case}: processes are left"


def finished(words: tuple[str, ...], folder: Path) -> tuple[int, str, str]:
    out, err = (process := start(words, folder)).communicate(timeout=PATIENCE)
    return process.returncode, out, err


def attack(name: str, kills: int, folder: Path) -> Iterator[str]:
    """Yield what is wrong after a command was killed so often."""
    draw, words, alone = random.Random(name), COMMANDS[name], folder / "alone"
    alone.mkdir()
    (folder / "killed").mkdir()
    if name in ("worker", "dashboard"):
        # They need what another command leaves.
        first = COMMANDS["codesign" if name == "worker" else "compare"]
        for place in (alone, folder / "killed"):
            finished(first, place)
    for _ in range(kills):
        killed(words, folder / "killed", draw.uniform(0.05, MOMENTS))
    for _ in range(kills):
        yield from interrupted(words, folder / "killed", draw)
    if name == "dashboard":
        process = start(words, folder / "killed")
        time.sleep(MOMENTS)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        if process.returncode not in (0, 130) or "Traceback" in err:
            yield f"it ended with {process.returncode}: {err[-500:]}"
        return
    results = [finished(words, place) for place in (folder / "killed", alone)]
    for status, _, err in results:
        if status or "Traceback" in err:
            yield f"it ended with {status}: {err[-500:]}"
            return
    if name == "network":
        after, before = (plain(json.loads(out)) for _, out, _ in results)
        if after != before:
            yield "its result is not that of one that nobody killed"
    left = [str(p) for p in (folder / "killed").rglob("*.tmp*")]
    if left:
        yield f"files are left: {left}"


def refusals(folder: Path) -> Iterator[str]:
    """Yield what is wrong where there is no room, or another process in the same folder."""
    both = [start(COMMANDS["network"], folder) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=PATIENCE)
        if process.returncode or "Traceback" in err:
            yield f"two in one folder: {process.returncode}: {err[-500:]}"
    nowhere = folder / "not a folder"
    nowhere.write_text("")
    process = start(COMMANDS["network"][:-1] + (str(nowhere / "x"),), folder)
    _, err = process.communicate(timeout=PATIENCE)
    if process.returncode != 2 or len(err.splitlines()) != 1:
        yield f"a folder that cannot be made: {process.returncode}: {err[-500:]}"
    process = start(COMMANDS["network"], folder, {"TMPDIR": str(nowhere)})
    _, err = process.communicate(timeout=PATIENCE)
    if process.returncode or "Traceback" in err:
        yield f"no room for temporary files: {process.returncode}: {err[-500:]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "kills", nargs="?", type=int, default=20, help="of each command, and as many interruptions"
    )
    names = [*COMMANDS, REFUSALS]
    parser.add_argument("--command", action="append", choices=names, help="all by default")
    given = parser.parse_args()
    finds = 0
    for name in given.command or names:
        folder = Path(tempfile.mkdtemp(prefix="kills-"))
        found = [*(refusals(folder) if name == REFUSALS else attack(name, given.kills, folder))]
        print(f"{name}: {'; '.join(found) or 'nothing found'}", flush=True)
        finds += len(found)
        shutil.rmtree(folder)
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
