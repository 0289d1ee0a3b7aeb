from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The module of what is compiled fastest stands for all.
WARM_UP = """
import sys
import toolkit.compilation
toolkit.compilation.KERNEL_MODULES = ("toolkit.search.compiled_check",)
from toolkit.cli.app import main
sys.exit(main(["warm-up", *sys.argv[1:]]))
"""


def warm_up(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WARM_UP, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def test_warm_up_compiles_what_is_not_there(tmp_path: Path) -> None:
    first = warm_up(tmp_path, "--json")
    cold = json.loads(first.stdout)
    assert Path(cold["folder"]).is_relative_to(tmp_path)
    assert [kernel.keys() for kernel in cold["kernels"]] == 2 * [
        {"name", "what", "was_there", "seconds"}
    ]
    assert [kernel["was_there"] for kernel in cold["kernels"]] == [False, False]
    assert len(first.stderr.splitlines()) == 2
    Path(cold["folder"], "toolkit.search.compiled_check.count_seen.o").unlink()

    second = warm_up(tmp_path, "--json")
    warm = json.loads(second.stdout)
    assert {kernel["name"]: kernel["was_there"] for kernel in warm["kernels"]} == {
        "toolkit.search.compiled_check:admit": True,
        "toolkit.search.compiled_check:count_seen": False,
    }
    assert "counts of repeated mappings" in second.stderr

    Path(cold["folder"], "toolkit.search.compiled_check.count_seen.o").unlink()
    assert warm_up(tmp_path, "--quiet").stderr == ""

    third = warm_up(tmp_path)
    assert third.stderr == ""
    head, *lines = third.stdout.splitlines()
    assert cold["folder"] in head
    assert [line.split("  ")[1] for line in lines] == [
        "checks of mappings",
        "counts of repeated mappings",
    ]
    assert all(line.endswith("was there") for line in lines)
