"""Models that ZigZag and Stream read, which ONNX itself does not allow to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_networks import assumptions, load, model, node, value, weight

import toolkit

SIZES = {"act_size": 16, "weight_size": 16, "output_size": 16}


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_convolutions_of_any_type_are_read(tmp_path: Path, dtype: str) -> None:
    def network(kind: str) -> toolkit.LayerGraph:
        nodes = [
            node("Conv", "x w1", "a", name="first", pads=[1, 1, 1, 1]),
            node("Conv", "a w2", name="second", strides=[2, 2]),
        ]
        tensors = [weight("w1", 16, 8, 3, 3, dtype=kind), weight("w2", 4, 16, 3, 3, dtype=kind)]
        return load(tmp_path, model(nodes, [value("x", [1, 8, 7, 7], kind)], tensors, opset=17))

    found, floats = network(dtype), network("float")
    assert [layer.outputs[0].shape for layer in found.layers] == [(1, 16, 7, 7), (1, 4, 3, 3)]
    assert {layer.outputs[0].dtype for layer in found.layers} == {dtype}
    assert [layer.macs for layer in found.layers] == [layer.macs for layer in floats.layers]
    assert f"opset 17 has no Conv of {dtype}; read all the same" in found.warnings
    assert not any("read all the same" in warning for warning in floats.warnings)


def test_shapes_that_do_not_fit_are_still_refused(tmp_path: Path) -> None:
    wrong = model(
        [node("Conv", "x w")],
        [value("x", [1, 8, 7, 7], "int8")],
        [weight("w", 16, 9, 3, 3, dtype="int8")],
        opset=17,
    )
    with pytest.raises(toolkit.InputError, match=r"node 'conv' \(Conv\)"):
        load(tmp_path, wrong)


def gemm(dtype: str, **attributes: int) -> object:
    return model(
        [node("Gemm", "x w", **attributes)],
        [value("x", [4, 8], dtype)],
        [weight("w", 8, 2, dtype=dtype)],
        opset=17,
    )


def test_bits_noted_at_nodes_are_taken_off(tmp_path: Path) -> None:
    noted = load(tmp_path, gemm("half", **SIZES))  # type: ignore[arg-type]
    assert noted.layers == load(tmp_path, gemm("half")).layers  # type: ignore[arg-type]
    assert not any("_size" in warning for warning in noted.warnings)


def test_bits_noted_at_nodes_that_differ_from_types_are_told(tmp_path: Path) -> None:
    found = load(tmp_path, gemm("half", **{**SIZES, "weight_size": 4}))  # type: ignore[arg-type]
    (told,) = [warning for warning in assumptions(found) if "_size" in warning]
    assert told.startswith(
        "weight_size of Gemm 'gemm' says 4 bits, but its tensors are of type flo"
    )


def test_other_attributes_are_still_refused(tmp_path: Path) -> None:
    with pytest.raises(toolkit.InputError, match="Unrecognized attribute: act_sizes"):
        load(tmp_path, gemm("half", act_sizes=16))  # type: ignore[arg-type]
