"""SCALE-Sim's topologies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit.errors import WorkloadError
from toolkit.workload import conv2d, depthwise_conv2d, gemm, grouped_conv2d, load_workload
from toolkit.workload.network import load_network

TITLE = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter,"
LAYERS = f"""\ufeff{TITLE} Strides,

Conv ,  224, 220, 11, 9, 3, 96, 4,
,27,27,5,5,96,256,1
Conv,13,13,3,3,256,384,1,2,
,,,,,,,,
DPConv,14,14,3,3,32,1,2,
DPmore,14,14,3,3,32,4,1,#dw
"""
PRODUCTS = "Layer,M,N,K,\nQK,5,6,7,\nV,8,9,10\n"


def write(folder: Path, text: str, name: str = "net.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_convolutions_have_the_sizes_that_scale_sim_computes(tmp_path: Path) -> None:
    graph = load_network(write(tmp_path, LAYERS))
    assert [layer.workload for layer in graph.layers] == [
        # 224 - 11 is no multiple of 4: the last window reaches over the edge.
        conv2d(96, 3, 55, 54, 11, 9, stride=4, name="Conv"),
        conv2d(256, 96, 23, 23, 5, 5, name="Layer4"),
        conv2d(384, 256, 11, 6, 3, 3, stride=(1, 2), name="Conv_2"),
        depthwise_conv2d(32, 7, 7, 3, 3, stride=2, name="DPConv"),
        grouped_conv2d(32, 4, 1, 12, 12, 3, 3, name="DPmore"),
    ]
    assert len(graph.edges) == 0 and len(graph.inputs) == 5
    assert graph.warnings == ("the topology does not say which layers read from which",)


def test_searches_over_hardware_read_them_too(tmp_path: Path) -> None:
    """They ask for words, and for batch normalizations to be folded."""
    path = write(tmp_path, LAYERS)
    found = load_network(path, fold_batch_norm=True, bits="word")
    assert found.layers == load_network(path).layers
    with pytest.raises(WorkloadError, match="net.csv: layers in YAML or CSV have no bits"):
        load_network(path, bits=8)


def test_products_name_the_rows_of_the_input_first(tmp_path: Path) -> None:
    path = write(tmp_path, PRODUCTS)
    assert load_workload(f"{path}:QK") == gemm(m=6, k=7, n=5, name="QK")
    layer = load_network(path).layers[1]
    assert layer.macs == 8 * 9 * 10
    assert sorted(layer.inputs[0].shape) == [8, 10]


def test_one_layer_needs_no_name(tmp_path: Path) -> None:
    assert load_workload(write(tmp_path, "Layer,M,N,K\na,2,3,4,\n")).macs == 24


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRODUCTS, "holds 2 layers where one workload is expected; name one, such as .*csv:QK"),
        ("", "is no topology of SCALE-Sim's"),
        ("LayerID, SRAM IFMAP Start, Cycles,\n1,2,3\n", "the second column is 'SRAM IFMAP Start'"),
        ("Layer,M,N,K\na,2,3\n", "line 2: expected a name and M, N, K, got 3 columns"),
        ("Layer,M,N,K\n\na,2,B,4\n", "line 3: N: expected an integer from 1 to .*, got 'B'"),
        ("Layer,M,N,K\na,2,0,4\n", "N: expected an integer from 1"),
        (f"{TITLE} Strides,\na,3,9,4,4,1,1,1,\n", "filter of 4 x 4 is larger than its input of 3"),
        (f"{TITLE} Strides,\na,9,9,4,4,1,1,1,x,\n", "second stride: expected an integer"),
        ("Layer,M,N,K\na,2,3,\x004\n", "line 2: "),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkloadError, match=f"net.csv: .*{message}|net.csv: {message}"):
        load_workload(write(tmp_path, text))


def test_an_unknown_layer_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, PRODUCTS)
    with pytest.raises(
        WorkloadError, match=r"no layer 'qk' \(did you mean 'QK'\?\); expected one"
    ):
        load_workload(f"{path}:qk")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_broken_topologies_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    text = list(LAYERS)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(
            st.sampled_from(["", ",", '"', "\n", "\r", "0", "9", "-", "x", "\x00"])
        )
    path = write(tmp_path, "".join(text))
    try:
        load_network(path)
    except WorkloadError as error:
        assert str(error).startswith(path)
