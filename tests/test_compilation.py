"""Compiled functions: where their machine code is kept, and who waits for what."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import toolkit
from toolkit import compilation
from toolkit.compilation import KERNEL_MODULES, Block, Kernel, cache_folder, kernels
from toolkit.search.compiled_check import Met

ROOT = Path(__file__).parent.parent
LOAD = "from toolkit.search.compiled_check import COUNT_SEEN as k; k.load(); print(k.path)"
"""Loads the kernel that is compiled fastest."""


def run_python(
    words: list[str], cache: Path, *, tree: Path = ROOT, temporary: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python somewhere else, with a cache and a package of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": str(cache)}
    if temporary is not None:
        environment["TMPDIR"] = str(temporary)
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=cache.parent,
        env=environment,
    )


def count_seen() -> Kernel:
    return Kernel("toolkit.search.compiled_check:count_seen", "a test")


def seen_twice(kernel: Kernel) -> int:
    """Count what a table of fingerprints holds once the same mapping came twice."""
    met = Met(
        factors=np.ones((2, 3), dtype=np.int64),
        order=np.ones((2, 3), dtype=np.int64),
        weights=np.arange(1, 7, 2),
        marks=np.zeros(2, dtype=np.int64),
        table=np.zeros(8, dtype=np.int64),
    )
    return int(kernel(Block(met)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is empty."""
    monkeypatch.setattr(compilation, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_all_modules_with_kernels_are_known() -> None:
    paths = (ROOT / "toolkit").rglob("compiled*.py")
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if re.search(r"^\w+ = Kernel\(", path.read_text(), flags=re.MULTILINE)
    }
    assert set(KERNEL_MODULES) == found


def test_kernels_are_found_once_each() -> None:
    entries = [kernel.entry for kernel in kernels()]
    assert "toolkit.search.compiled_check:count_seen" in entries
    assert len(set(entries)) == len(entries) >= len(KERNEL_MODULES)


def test_all_copies_of_the_package_share_machine_code(tmp_path: Path) -> None:
    for name in ("one", "other"):
        shutil.copytree(
            ROOT / "toolkit",
            tmp_path / name / "toolkit",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    cache = tmp_path / "cache"
    first = run_python(["-c", LOAD], cache, tree=tmp_path / "one")
    assert re.fullmatch(r"toolkit: compiling counts of repeated mappings .*\n", first.stderr)
    assert first.stdout.startswith(str(cache))
    second = run_python(["-c", LOAD], cache, tree=tmp_path / "other")
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 1


def test_other_sources_have_other_machine_code(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "toolkit", other / "toolkit")
    with open(other / "toolkit" / "model" / "traffic.py", "a") as file:
        file.write("# changed\n")
    show = ["-c", "from toolkit.compilation import cache_folder; print(cache_folder().name)"]
    changed = run_python(show, tmp_path / "cache", tree=other)
    assert changed.stdout != run_python(show, tmp_path / "cache").stdout


def test_a_private_temporary_folder_serves_where_no_cache_can_be_written(tmp_path: Path) -> None:
    cache = tmp_path / "file"  # No folder can be made in it, not even by root.
    cache.touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    first = run_python(["-c", LOAD], cache, temporary=temporary)
    assert "compiling" in first.stderr
    assert first.stdout.startswith(str(temporary))
    assert Path(first.stdout.strip()).parents[1].stat().st_mode & 0o777 == 0o700
    second = run_python(["-c", LOAD], cache, temporary=temporary)
    assert (second.stdout, second.stderr) == (first.stdout, "")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files")
@pytest.mark.parametrize("state", ["private", "group-writable", "foreign", "a link"])
def test_only_a_private_folder_is_used(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "file"
    cache.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if state == "foreign":
        mine = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    expected = tmp_path / f"accel-search-toolkit-{os.getuid()}"
    if state == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        expected.symlink_to(tmp_path / "elsewhere")
    else:
        expected.mkdir(mode=0o700)
    if state == "group-writable":
        expected.chmod(0o770)
    found = cache_folder.__wrapped__()
    assert found.is_dir()
    assert (expected in found.parents) == (state == "private")
    assert any(expected.iterdir()) == (state == "private")


def test_compiling_is_announced_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kernel = count_seen()
    assert not kernel.is_kept
    assert seen_twice(kernel) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == (
        f"toolkit: compiling a test for this machine (some seconds, once; kept in {folder})\n"
    )
    assert [path.name for path in folder.iterdir()] == [kernel.path.name]
    assert kernel.is_kept
    again = count_seen()
    assert seen_twice(kernel) == seen_twice(again) == 1
    assert capfd.readouterr().err == ""
    kernel.path.unlink()
    with compilation.unannounced():
        count_seen().load()
    assert kernel.is_kept and compilation.is_announced()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "no machine code"])
def test_damaged_machine_code_is_made_again(
    damage: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    count_seen().load()
    path = count_seen().path
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "empty": b"",
            "cut": whole[:middle],
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "no machine code": compilation._sealed(b"anything"),
        }[damage]
    )
    capfd.readouterr()
    assert seen_twice(count_seen()) == 1
    assert capfd.readouterr().err.count("compiling") == 1
    assert count_seen().is_kept


def test_a_full_disk_does_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise toolkit.InputError("cannot be written: No space left on device")

    monkeypatch.setattr(compilation, "write_bytes_atomically", full)
    assert seen_twice(count_seen()) == 1
    assert not list(folder.iterdir())


def test_no_search_is_billed_for_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    loaded = Kernel._loaded

    def slow(kernel: Kernel) -> Any:
        now[0] += 60.0
        return loaded(kernel)

    toolkit.warm_up()
    monkeypatch.setattr(compilation, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(compilation, "_made_seconds", 0.0)
    monkeypatch.setattr(Kernel, "_loaded", slow)
    for kernel in kernels():
        monkeypatch.setattr(kernel, "_function", None)
    problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    budget = toolkit.Budget(evaluations=200, seconds=30)
    result = toolkit.search_mappings(problem, "greedy", budget=budget)
    assert now[0] >= 60.0
    assert result.evaluations > 1
    assert result.seconds == 0.0
    assert {point.seconds for point in result.trace} == {0.0}


def test_results_are_the_same_cold_and_warm(tmp_path: Path) -> None:
    words = ["-m", "toolkit", "map", "eyeriss", "8", "4", "2", "--evaluations", "50", "--json"]
    cold, warm = (run_python(words, tmp_path / "cache") for _ in range(2))
    lines = cold.stderr.splitlines()
    assert len(lines) == len(set(lines)) > 0
    assert all(line.startswith("toolkit: compiling ") for line in lines)
    assert warm.stderr == ""
    records = [json.loads(run.stdout) for run in (cold, warm)]
    for record in records:
        del record["search_seconds"]
        for point in record["trace"]:
            del point["seconds_since_start"]
    assert records[0] == records[1]
