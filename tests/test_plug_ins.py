"""What an installed distribution adds, and what a broken one does not break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, and with a distribution whose entry points lead nowhere."""
    folder = tmp_path_factory.mktemp("plug_ins")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--target"]
    source = folder / "source"
    source.mkdir()
    for path in (ROOT / "studies" / "plug_in").glob("*.*"):
        (source / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", *options, str(folder / "site"), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    broken = folder / "site" / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text(
        "[toolkit.strategies]\ngreedy = nowhere:greedy\n"
        "[toolkit.formats]\nnone = nowhere:none\nwrong = json:loads\n"
    )
    return folder / "site"


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "toolkit", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def test_a_strategy_is_one_of_all(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, tmp_path, "list", "strategies")
    assert "From the distribution toolkit-plug-in-example." in listed.stdout
    words = ("map", "eyeriss", "16", "8", "4", "--strategy", "hill", "--evaluations", "600")
    found = json.loads(run(installed, tmp_path, *words, "--json").stdout)
    assert (found["strategy"], found["evaluations"]) == ("hill", 600)


def test_a_format_is_written_and_read(installed: Path, tmp_path: Path) -> None:
    problem = ("eyeriss", "gemm:M=16,K=8,N=4")
    run(installed, tmp_path, "map", *problem, "--evaluations", "50", "--save", "best.yaml")
    saved = ("best.yaml", "--format", "lines", "--save", "best.txt")
    assert run(installed, tmp_path, "export", *problem, *saved).returncode == 0
    assert json.loads((tmp_path / "best.txt").read_text().splitlines()[0])["level"] == "DRAM"
    read = run(installed, tmp_path, "evaluate", *problem, "best.txt", "--format", "lines")
    assert read.returncode == 0, read.stderr


def test_an_operator_becomes_a_layer(installed: Path, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    node = helper.make_node("HardTanh", ["x"], ["y"], name="tanh", domain="com.example")
    x, y = (value(name, TensorProto.FLOAT, (1, 2, 8, 8)) for name in "xy")
    graph = helper.make_graph([node], "tiny", [x], [y])
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=9)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    words = ("network", "tiny.onnx", "eyeriss-conv", "--no-cache", "--json")
    found = json.loads(run(installed, tmp_path, *words).stdout)
    assert found["layers"][0]["operator"] == "com.example.HardTanh"


def test_what_is_broken_is_told_of_and_left_out(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.mapping.peers import MappingFormat
    from toolkit.plug_ins import loaded, offered

    monkeypatch.syspath_prepend(str(installed))
    with pytest.warns(UserWarning, match="broken is left out: the name 'greedy' is taken"):
        assert [point.name for point in offered("toolkit.strategies", ["greedy"])] == ["hill"]
    with pytest.warns(UserWarning, match=r"nowhere:none cannot be imported") as told:
        assert set(loaded("toolkit.formats", MappingFormat, [])) == {"lines"}
    assert any("is a function; expected a MappingFormat" in str(w.message) for w in told)
