"""Architectures and workloads from Python files: never run unasked, refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import toolkit
from toolkit.cli.app import main
from toolkit.errors import ArchitectureError, InputError, WorkloadError
from toolkit.python_files import TrustedPython

FILE = """
import numpy as np
import toolkit

print("running")
open("ran", "w").close()
eyeriss = toolkit.load_arch("eyeriss")
small = toolkit.gemm(8, 4, 2, name="small")
sizes = {"kernel": "gemm", "sizes": {"M": np.int64(8), "K": 4, "N": 2}}
meshed = {
    "name": "meshed",
    "parameters": {"side": np.int64(4)},
    "levels": (
        {"memory": "DRAM", "access_energy_pj": 64, "bandwidth_words_per_cycle": 8,
         "capacity_words": "unlimited"},
        {"fanout": "PEs", "mesh": "= side", "dimensions": ["M"]},
        {"compute": "MAC", "mac_energy_pj": np.float32(0.5)},
    ),
}
number = 3
odd = {"name": "odd", "levels": [{"memory": object()}]}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FILE, encoding="utf-8")


def test_values_of_a_file() -> None:
    arch = toolkit.load_arch(TrustedPython("own.py:eyeriss"))
    assert arch == toolkit.load_arch("eyeriss")
    assert toolkit.load_workload(TrustedPython("own.py:small")) == toolkit.gemm(
        8, 4, 2, name="small"
    )
    assert toolkit.load_workload(TrustedPython("own.py:sizes")).macs == 64


def test_mappings_have_parameters_as_files_do() -> None:
    meshes = [
        toolkit.load_arch(TrustedPython(f"own.py:meshed{rest}")).fanouts[0].mesh
        for rest in ("", ":side=8")
    ]
    assert meshes == [4, 8]
    template = toolkit.load_template(TrustedPython("own.py:meshed"))
    assert template.architecture({"side": 2}).fanouts[0].mesh == 2


def test_text_alone_runs_nothing() -> None:
    for text in ("own.py:eyeriss", "own.py", " own.py:eyeriss".strip(), "OWN.PY:eyeriss"):
        with pytest.raises(ArchitectureError, match="only run where --allow-python"):
            toolkit.load_arch(text)
        with pytest.raises(WorkloadError, match="only run where --allow-python"):
            toolkit.load_workload(text)
    with pytest.raises(ArchitectureError, match="only run where"):
        toolkit.load_template("own.py:meshed")
    with pytest.raises(ArchitectureError, match="only run where"):
        toolkit.hardware_space("own.py:meshed")
    assert not Path("ran").exists()


COMMANDS = {
    "map": ["map", "own.py:eyeriss", "own.py:small", "--evaluations", "20"],
    "space": ["space", "own.py:eyeriss", "own.py:small"],
    "show": ["show", "arch", "own.py:meshed"],
    "evaluate": ["evaluate", "own.py:eyeriss", "own.py:small", "best.yaml"],
    "explain": ["explain", "own.py:eyeriss", "own.py:small", "best.yaml"],
    "export": ["export", "own.py:eyeriss", "own.py:small", "best.yaml", "--format", "toolkit"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run_files_only_if_told(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = COMMANDS[command]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a Python file, which is only run where --allow-python" in captured.err
    assert not Path("ran").exists()
    if "best.yaml" in words:
        made = ["map", "eyeriss", "8", "4", "2", "--evaluations", "20", "--save", "best.yaml"]
        assert main(made) == 0
        capsys.readouterr()
    assert main([*words, "--allow-python", "--json"]) == 0
    captured = capsys.readouterr()
    json.loads(captured.out)  # What the file prints goes elsewhere.
    assert "running" in captured.err


def test_longer_commands_refuse_them_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["network", "resnet18", "own.py:eyeriss"],
        ["compare", "own.py:eyeriss", "own.py:small"],
        ["networks", "resnet18", "--arch", "own.py:eyeriss"],
        ["codesign", "resnet18", "--template", "own.py:meshed"],
        ["codesign", "resnet18", "--template", "own.py:meshed", "--range", "side=2..4"],
        ["minimal-hardware", "resnet18", "own.py:meshed"],
    ):
        assert main(words) == 2
        assert "only run where --allow-python" in capsys.readouterr().err
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "mine", "bad.py: has no value 'mine'"),
        ("mime = 1", "mine", "bad.py: has no value 'mine' (did you mean 'mime'?)"),
        ("mine = 3", "mine", "bad.py: mine: expected an Architecture, or a mapping with the keys"),
        ("mine = {'levels': {3.5: 1}}", "mine", "bad.py: levels: expected text for a key, got 3"),
        ("mine = {'name': {1, 2}}", "mine", "bad.py: name: expected plain data, as YAML has it"),
        ("def f(:", "mine", "bad.py: line 1: SyntaxError: "),
        ("x = 1\nraise ValueError('no\\nway')", "mine", "bad.py: line 2: ValueError: no way"),
        ("import sys\nsys.exit(3)", "mine", "bad.py: line 2: SystemExit: 3"),
        ("import absent_package", "mine", "bad.py: line 1: ModuleNotFoundError: No module named"),
        ("mine = []\nmine.append(mine)\nmine = {'a': mine}", "mine", "nested too deeply"),
    ],
)
def test_files_that_fail(content: str, name: str, message: str) -> None:
    Path("bad.py").write_text(content, encoding="utf-8")
    with pytest.raises(ArchitectureError) as caught:
        toolkit.load_arch(TrustedPython(f"bad.py:{name}"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["own.py", "own.py:", "own.yaml:mine", "own.py:a=1", ""])
def test_names_of_another_form(text: str) -> None:
    with pytest.raises(InputError, match=r"expected FILE\.py:NAME, a Python file"):
        TrustedPython(text)


def test_what_is_no_file_and_what_takes_no_parameters(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"none\.py: no such file"):
        toolkit.load_arch(TrustedPython("none.py:mine"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ArchitectureError, match=r"folder\.py: is a directory"):
        toolkit.load_arch(TrustedPython("folder.py:mine"))
    with pytest.raises(WorkloadError, match="expected own.py:small alone, got 'bits=8' behind it"):
        toolkit.load_workload(TrustedPython("own.py:small:bits=8"))
    with pytest.raises(ArchitectureError, match="unknown parameter 'side'"):
        toolkit.load_arch(TrustedPython("own.py:eyeriss:side=3"))
