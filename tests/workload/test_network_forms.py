"""Activations and normalizations that are written as several operators."""

from __future__ import annotations

import random
from pathlib import Path

import onnx
import pytest
from tiny_networks import constant, load, model, node, value, weight

import toolkit
from toolkit.workload.network.form_tables import OPERATIONS
from toolkit.workload.network.forms import MOST_LAYERS
from toolkit.workload.network.operators import OPERATORS

NUMBERS = [constant(name, 0.5, "float") for name in ("c", "d", "e", "f", "g")]
X = [value("x", [2, 8, 16])]

FORMS = {
    "SiLU": ("Swish", "s=Sigmoid(x) y=Mul(x,s)"),
    "SiLU, operands the other way round": ("Swish", "s=Sigmoid(x) y=Mul(s,x)"),
    "Swish with a factor": ("Swish", "b=Mul(x,c) s=Sigmoid(b) y=Mul(x,s)"),
    "SiLU by exp": ("Swish", "n=Neg(x) e1=Exp(n) a=Add(e1,c) s=Reciprocal(a) y=Mul(x,s)"),
    "Sigmoid by exp": ("Sigmoid", "n=Neg(x) e1=Exp(n) a=Add(c,e1) y=Div(d,a)"),
    "GELU of torch": ("Gelu", "a=Div(x,c) b=Erf(a) h=Add(b,d) m=Mul(x,h) y=Mul(m,e)"),
    "GELU of BERT": ("Gelu", "h=Mul(x,c) a=Div(x,d) b=Erf(a) t=Add(e,b) y=Mul(h,t)"),
    "GELU of TensorFlow": ("Gelu", "a=Mul(x,c) b=Erf(a) t=Add(b,d) h=Mul(e,x) y=Mul(t,h)"),
    "GELU by tanh": (
        "Gelu",
        "p=Pow(x,c) q=Mul(p,d) s=Add(x,q) m=Mul(s,e) t=Tanh(m) u=Add(t,f) h=Mul(x,g) y=Mul(h,u)",
    ),
    "GELU by tanh, squares": (
        "Gelu",
        "p=Mul(x,x) q=Mul(p,c) s=Add(q,d) m=Mul(x,e) n=Mul(m,s) t=Tanh(n) u=Add(t,f) h=Mul(u,x) "
        "y=Mul(h,g)",
    ),
    "GELU by tanh, cubes": (
        "Gelu",
        "p=Mul(x,x) r=Mul(p,x) q=Mul(r,c) s=Add(x,q) m=Mul(s,d) t=Tanh(m) u=Add(e,t) h=Mul(f,u) "
        "y=Mul(x,h)",
    ),
    "HardSwish of torch": ("HardSwish", "a=Add(x,c) k=Clip(a,d,e) m=Div(k,f) y=Mul(x,m)"),
    "HardSwish of TensorFlow": (
        "HardSwish",
        "a=Add(x,c) l=Max(a,d) k=Min(l,e) m=Mul(x,k) y=Mul(m,f)",
    ),
    "HardSwish with relu6": ("HardSwish", "a=Add(x,c) r=Relu(a) k=Min(r,d) m=Mul(x,k) y=Div(m,e)"),
    "HardSwish of a gate": ("HardSwish", "s=HardSigmoid(x) y=Mul(s,x)"),
    "HardSigmoid": ("HardSigmoid", "a=Add(x,c) k=Clip(a,d,e) y=Div(k,f)"),
    "Mish": ("Mish", "s=Softplus(x) t=Tanh(s) y=Mul(x,t)"),
    "Mish of Paddle": ("Mish", "a=Exp(x) b=Add(a,c) l=Log(b) t=Tanh(l) y=Mul(t,x)"),
    "Softplus beyond a threshold": (
        "Softplus",
        "a=Exp(x) b=Add(a,c) l=Log(b) g1=Greater(x,d) y=Where(g1,x,l)",
    ),
    "soft cap": ("Softcap", "a=Div(x,c) t=Tanh(a) y=Mul(t,d)"),
    "Relu6": ("Clip", "r=Relu(x) y=Min(r,c)"),
    "bounds": ("Clip", "l=Max(x,c) y=Min(l,d)"),
    "LeakyRelu by Max": ("LeakyRelu", "a=Mul(x,c) y=Max(x,a)"),
    "LeakyRelu by Where": ("LeakyRelu", "a=Mul(x,c) g1=Greater(x,d) y=Where(g1,x,a)"),
    "LeakyRelu by two": ("LeakyRelu", "a=Max(x,c) b=Min(x,d) h=Mul(b,e) y=Add(a,h)"),
    "PRelu of Keras": ("PRelu", "a=Relu(x) n=Neg(x) b=Relu(n) h=Mul(b,W8) i=Neg(h) y=Add(a,i)"),
    "Elu by Where": ("Elu", "a=Exp(x) b=Sub(a,c) h=Mul(b,d) g1=Greater(x,e) y=Where(g1,x,h)"),
    "Elu by two": ("Elu", "p=Relu(x) l=Min(x,c) a=Exp(l) b=Sub(a,d) y=Add(p,b)"),
    "Celu": ("Celu", "a=Div(x,c) b=Elu(a) y=Mul(d,b)"),
    "Selu": (
        "Selu",
        "a=Exp(x) q=Mul(a,c) b=Sub(q,d) p=Mul(b,e) l=Mul(x,f) g1=Less(x,g) y=Where(g1,p,l)",
    ),
    "bounds by Where": (
        "Clip",
        "g1=Less(x,c) a=Where(g1,c,x) h1=Less(d,a) y=Where(h1,d,a)",
    ),
    "sums by Sum": ("Gelu", "a=Div(x,c) b=Erf(a) h=Sum(b,d) m=Mul(x,h) y=Mul(m,e)"),
    "Softmax": (
        "Softmax",
        "l=ReduceMax(x) d1=Sub(x,l) a=Exp(d1) t=ReduceSum(a) y=Div(a,t)",
    ),
    "Softmax without a maximum": ("Softmax", "a=Exp(x) t=ReduceSum(a) y=Div(a,t)"),
    "LogSoftmax": (
        "LogSoftmax",
        "l=ReduceMax(x) d1=Sub(x,l) a=Exp(d1) t=ReduceSum(a) g1=Log(t) y=Sub(d1,g1)",
    ),
    "Softsign": ("Softsign", "a=Abs(x) b=Add(a,c) y=Div(x,b)"),
    "casts between": ("Swish", "k=Cast(x) s=Sigmoid(k) i=Identity(s) y=Mul(x,i)"),
    "LayerNormalization of torch": (
        "LayerNormalization",
        "m=ReduceMean(x) d1=Sub(x,m) p=Pow(d1,c) v=ReduceMean(p) a=Add(v,d) s=Sqrt(a) n=Div(d1,s) "
        "k=Mul(n,W) y=Add(k,B)",
    ),
    "LayerNormalization of Paddle": (
        "LayerNormalization",
        "m=ReduceMean(x) d1=Sub(x,m) d2=Sub(x,m) p=Mul(d2,d2) v=ReduceMean(p) a=Add(d,v) "
        "s=Sqrt(a) n=Div(d1,s) k=Mul(W,n) y=Add(B,k)",
    ),
    "LayerNormalization of TensorFlow": (
        "LayerNormalization",
        "m=ReduceMean(x) d1=Sub(x,m) p=Mul(d1,d1) v=ReduceMean(p) a=Add(v,d) s=Sqrt(a) "
        "r=Reciprocal(s) i=Mul(r,W) k=Mul(x,i) q=Mul(m,i) t=Sub(B,q) y=Add(k,t)",
    ),
    "RMSNormalization of Llama": (
        "RMSNormalization",
        "p=Pow(x,c) v=ReduceMean(p) a=Add(v,d) s=Sqrt(a) r=Reciprocal(s) n=Mul(x,r) y=Mul(W,n)",
    ),
    "RMSNormalization by Div": (
        "RMSNormalization",
        "p=Mul(x,x) v=ReduceMean(p) a=Add(v,d) s=Sqrt(a) n=Div(x,s) y=Mul(n,W)",
    ),
    "RMSNormalization by Pow": (
        "RMSNormalization",
        "p=Pow(x,c) v=ReduceMean(p) a=Add(v,d) r=Pow(a,e) y=Mul(x,r)",
    ),
}


def nodes_of(text: str) -> list[onnx.NodeProto]:
    """Nodes of ``y=Mul(x,s)``, separated by blanks."""
    nodes = []
    for entry in text.split():
        made, _, rest = entry.partition("=")
        operator, _, operands = rest.rstrip(")").partition("(")
        attributes: dict[str, object] = (
            {"to": onnx.TensorProto.FLOAT} if operator == "Cast" else {}
        )
        if operator in ("ReduceMax", "ReduceMean"):
            attributes = {"axes": [-1]}
        operands += ",last" if operator == "ReduceSum" else ""
        nodes.append(node(operator, operands.replace(",", " "), made, name=made, **attributes))
    return nodes


TENSORS = [*NUMBERS, constant("last", [-1]), weight("W", 16), weight("B", 16), weight("W8", 8, 1)]


def layers(
    folder: Path, nodes: list[onnx.NodeProto], outputs: tuple[str, ...] = ("y",)
) -> list[toolkit.Layer]:
    graph = load(folder, model(nodes, X, TENSORS, outputs, opset=17))
    return [layer for layer in graph.layers if layer.cost_class != "view"]


@pytest.mark.parametrize("name", FORMS)
def test_one_layer_called_after_what_it_is(tmp_path: Path, name: str) -> None:
    operator, text = FORMS[name]
    (layer,) = layers(tmp_path, nodes_of(text))
    assert (layer.operator, layer.name) == (operator, "y")
    assert [tensor.name for tensor in layer.inputs][:1] in (["x"], ["k"])
    assert layer.elements == 256
    tanh = "Tanh(" in text and operator == "Gelu"
    assert layer.operations_per_element == OPERATIONS["Gelu:tanh" if tanh else operator]
    kept = {"W", "B", "W8"} & {tensor for entry in nodes_of(text) for tensor in entry.input}
    assert {tensor.name for tensor in layer.weights} == kept
    assert {tensor.name for tensor in layer.parameters} == kept


@pytest.mark.parametrize("name", FORMS)
def test_what_others_read_is_not_hidden(tmp_path: Path, name: str) -> None:
    nodes = nodes_of(FORMS[name][1])
    plain = [entry for entry in nodes if entry.op_type not in ("Cast", "Identity")]
    for made in (entry.output[0] for entry in plain[:-1]):
        found = layers(tmp_path, nodes, ("y", made))
        assert made in {tensor.name for layer in found for tensor in layer.outputs}
        assert sum(layer.operations for layer in found) > 0


@pytest.mark.parametrize("name", FORMS)
def test_a_form_among_other_layers(tmp_path: Path, name: str) -> None:
    operator, text = FORMS[name]
    before = node("MatMul", "z M", "x", name="before")
    after = node("MatMul", "y M", "end", name="after")
    square = weight("M", 16, 16)
    nodes = [before, *nodes_of(text), after]
    graph = load(tmp_path, model(nodes, [value("z", [2, 8, 16])], [*TENSORS, square], ["end"]
                                 , opset=17))  # fmt: skip
    found = [layer.operator for layer in graph.layers if layer.cost_class != "view"]
    assert found == ["MatMul", operator, "MatMul"]


def test_operations_are_those_of_the_table() -> None:
    for form, operations in OPERATIONS.items():
        rule = OPERATORS.get(form)
        if rule is not None and isinstance(rule.operations, int):
            assert rule.operations == operations, form
    assert max(len(text.split()) for _, text in FORMS.values()) < MOST_LAYERS


@pytest.mark.parametrize(
    "text",
    [
        "s=Sigmoid(x) t=Tanh(x) y=Mul(s,t)",
        "s=Sigmoid(x) y=Mul(s,W)",
        "t=Tanh(x) y=Mul(x,t)",
        "a=Exp(x) b=Mul(a,c) y=Add(b,d)",
        "m=ReduceMean(x) y=Sub(x,m)",
        "l=Min(x,c) y=Mul(x,l)",
    ],
)
def test_what_is_no_form_stays_as_it_is(tmp_path: Path, text: str) -> None:
    operators = [entry.op_type for entry in nodes_of(text)]
    assert sorted(layer.operator for layer in layers(tmp_path, nodes_of(text))) == sorted(
        operators
    )


def test_gates_of_other_tensors_are_no_activations(tmp_path: Path) -> None:
    nodes = [node("Sigmoid", "x", "s"), node("Mul", "s z")]
    graph = load(tmp_path, model(nodes, [*X, value("z", [2, 8, 16])]))
    assert [layer.operator for layer in graph.layers] == ["Sigmoid", "Mul"]


def test_a_scale_behind_is_not_taken_along(tmp_path: Path) -> None:
    text = FORMS["GELU of torch"][1].replace("y=", "z1=") + " y=Mul(z1,f)"
    assert [layer.operator for layer in layers(tmp_path, nodes_of(text))] == ["Gelu", "Mul"]


def test_the_order_of_nodes_does_not_matter(tmp_path: Path) -> None:
    draw = random.Random(0)
    for operator, text in FORMS.values():
        nodes = nodes_of(text)
        draw.shuffle(nodes)
        (layer,) = layers(tmp_path, nodes)
        assert layer.operator == operator


@pytest.mark.parametrize("twice", [False, True])
def test_quantized_parts_are_one_activation(tmp_path: Path, twice: bool) -> None:
    scales = [constant("t", 0.1, "float"), constant("o", 0, "uint8")]
    nodes = [
        node("DequantizeLinear", "q t o", "x1", name="x1"),
        node("DequantizeLinear", "q t o", "x2", name="x2"),
        node("Sigmoid", "x2" if twice else "x1", "s"),
        node("QuantizeLinear", "s t o", "sq"),
        node("DequantizeLinear", "sq t o", "sd", name="sd"),
        node("Mul", "x1 sd", "m"),
        node("QuantizeLinear", "m t o", "y", name="yq"),
    ]
    graph = load(tmp_path, model(nodes, [value("q", [2, 8], "uint8")], scales, opset=17))
    (layer,) = graph.layers
    assert (layer.operator, layer.operations, layer.inputs[0].dtype) == ("Swish", 16, "uint8")
    integers = [
        node("com.microsoft.QLinearSigmoid", "q t o t o", "s"),
        node("com.microsoft.QLinearMul", "q t o s t o t o", "y"),
    ]
    graph = load(tmp_path, model(integers, [value("q", [2, 8], "uint8")], scales, opset=17))
    (layer,) = graph.layers
    assert (layer.operator, layer.operations) == ("Swish", 16)


def test_conversions_around_a_form_belong_to_it(tmp_path: Path) -> None:
    text = FORMS["RMSNormalization by Pow"][1].replace("(x", "(wide").replace(",x", ",wide")
    narrow = {"to": onnx.TensorProto.FLOAT16}
    nodes = [
        node("Cast", "h", "wide", name="in", to=onnx.TensorProto.FLOAT),
        *nodes_of(text),
        node("Cast", "y", "z", name="out", **narrow),
    ]
    given = [value("h", [2, 8, 16], "half")]
    graph = load(tmp_path, model(nodes, given, TENSORS, ["z"], opset=17))
    (layer,) = graph.layers
    assert (layer.inputs[0].dtype, layer.outputs[0].dtype) == ("float16", "float16")
    assert [tensor.name for tensor in (*layer.inputs, *layer.outputs)] == ["h", "z"]
    # Somebody else reads what is converted, on either side.
    more = [node("Add", "wide y", "other")]
    graph = load(tmp_path, model([*nodes, *more], given, TENSORS, ["z", "other"], opset=17))
    assert [layer.operator for layer in graph.layers] == [
        "Cast",
        "RMSNormalization",
        "Cast",
        "Add",
    ]


def test_normalization_over_channels(tmp_path: Path) -> None:
    nodes = nodes_of(FORMS["RMSNormalization by Pow"][1])
    for entry in nodes:
        if entry.op_type == "ReduceMean":
            entry.attribute[0].ints[0] = 1
    (layer,) = layers(tmp_path, nodes)
    assert (layer.operator, dict(layer.attributes)) == ("RMSNormalization", {"axis": 1})
