"""How few words do attention, an MLP and whole transformer layers move, and how are they run?

Prints for each the words on chip, words moved to and from DRAM by layers on their own and by the
best partition, what any execution moves, whether that is proved, CPU seconds, and the nests of the
largest groups: FlashAttention's scheme is found, not given.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import toolkit
from toolkit.fusion import Assumptions, FoldedGraph, TrafficModel, find_partition, fold
from toolkit.study.script import Arguments, run_script
from toolkit.workload.network import LayerGraph

BERT = Path(__file__).parent.parent.parent / "tests" / "data" / "networks" / "bert_layer.onnx"
KI, MI = 1024, 1024 * 1024


def graph_of(nodes: list, inputs: dict, outputs: dict, weights: dict | None = None) -> FoldedGraph:
    """Fold a graph that is written down here, by names and shapes."""
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in side.items()]
        for side in (inputs, outputs)
    ]
    constants = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in (weights or {}).items()
    ]
    made = helper.make_model(
        helper.make_graph([helper.make_node(*n, **k) for n, k in nodes], "g", *infos, constants),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(made, f"{folder}/graph.onnx")
        return fold(toolkit.load_network(f"{folder}/graph.onnx", bits="word"))


def attention(heads: int, tokens: int, size: int) -> FoldedGraph:
    q, k, v = (1, heads, tokens, size), (1, heads, size, tokens), (1, heads, tokens, size)
    nodes = [
        (("MatMul", ["q", "k"], ["s"]), {}),
        (("Softmax", ["s"], ["p"]), {"axis": -1}),
        (("MatMul", ["p", "v"], ["o"]), {}),
    ]
    return graph_of(nodes, {"q": q, "k": k, "v": v}, {"o": q})


def mlp(tokens: int, size: int, hidden: int) -> FoldedGraph:
    nodes = [
        (("MatMul", ["x", "up"], ["a"]), {}),
        (("Relu", ["a"], ["b"]), {}),
        (("MatMul", ["b", "down"], ["y"]), {}),
    ]
    weights = {"up": (size, hidden), "down": (hidden, size)}
    return graph_of(nodes, {"x": (tokens, size)}, {"y": (tokens, size)}, weights)


def llama_block(tokens: int) -> FoldedGraph:
    """The first block of Llama-3-8B, without a past."""
    sizes = {"batch": 1, "seq": tokens, "past": 0}
    network = toolkit.load_network("llama3-8b", sizes, bits="word")
    layers = [layer for layer in network.layers if "/layers.0/" in layer.name]
    made = {t.name for layer in layers for t in layer.outputs}
    inputs = {t.name: t for layer in layers for t in layer.inputs if t.name not in made}
    read = {t.name for la in network.layers if la not in layers for t in la.inputs}
    outputs = tuple(t for layer in layers for t in layer.outputs if t.name in read)
    return fold(LayerGraph.from_layers(layers, inputs=tuple(inputs.values()), outputs=outputs))


def report(name: str, graph: FoldedGraph, words: int) -> None:
    start = time.process_time()
    found = find_partition(TrafficModel(graph, Assumptions(words)), reasons=False)
    seconds = time.process_time() - start
    cells = (found.unfused_value, found.value, graph.floor_words)
    shown = "".join(f"{value * 1e-6:>10,.2f}" for value in cells)
    proved = "yes" if found.proved else "no"
    print(f"{name:<28}{words:>12,}{shown}{proved:>8}{seconds:>9.1f}", flush=True)
    for plan in sorted(found.plans, key=lambda plan: -len(plan.group))[:1]:
        nest = " > ".join(f"{x.tensor}[{x.axis}] by {x.tile:,}" for x in plan.loops)
        print(f"    {len(plan.group)} layers: {nest or 'whole tensors'}")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--all", action="store_true", help="whole layers, too (minutes)")
    given = parser.parse_args()
    heads = ("words on chip", "unfused M", "best", "floor", "proved", "seconds")
    print(f"{'words':<26}{heads[0]:>14}" + "".join(f"{h:>10}" for h in heads[1:4]), *heads[4:])
    for words in (64 * KI, 256 * KI):
        report("attention 12 x 4096 x 64", attention(12, 4096, 64), words)
    for words in (2 * MI, 4 * MI):
        report("MLP 768-3072-768, 4096", mlp(4096, 768, 3072), words)
    report("MLP 768-3072-768, 128", mlp(128, 768, 3072), 400_000)
    if given.all:
        bert = fold(toolkit.load_network(BERT, {"batch": 1, "seq": 4096}, bits="word"))
        report("BERT-base layer, 4096", bert, MI)
        for words in (MI, 16 * MI):
            report("Llama-3-8B block, 4096", llama_block(4096), words)


if __name__ == "__main__":
    run_script(main)
