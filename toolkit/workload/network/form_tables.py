"""Which layers an activation or a normalization is written as, and what it counts as one.

Kinds of layers (`forms.kind_of`): ``scale`` and ``shift`` take a single number, ``times``,
``over`` and ``plus`` join two paths, ``gain`` and ``bias`` have a constant per channel.
"""

from __future__ import annotations

Bounds = tuple[int, int]
"""How often a kind of layer occurs, at least and at most."""

OPERATIONS = {
    "Celu": 5,
    "Clip": 2,
    "Clip:one-sided": 1,
    "Elu": 4,
    "Gelu": 5,
    "Gelu:tanh": 8,
    "HardSigmoid": 4,
    "HardSwish": 5,
    "LayerNormalization": 7,
    "LeakyRelu": 2,
    "LogSoftmax": 5,
    "Mish": 4,
    "PRelu": 2,
    "RMSNormalization": 4,
    "Selu": 5,
    "Sigmoid": 4,
    "Softcap": 3,
    "Softmax": 5,
    "Softplus": 3,
    "Softsign": 3,
    "Swish": 5,
}
"""Operations per element, as in the table of operators; ``Softcap`` is ``c * tanh(x / c)``."""

CHAINS: dict[tuple[str, ...], str] = {
    ("scale", "Tanh", "scale"): "Softcap",
    ("Exp", "shift", "Log"): "Softplus",
    ("scale", "Exp", "shift", "scale"): "Sigmoid",
    ("shift", "Clip", "scale"): "HardSigmoid",
    ("scale", "shift", "Clip"): "HardSigmoid",
    ("scale", "Elu", "scale"): "Celu",
    ("Clip", "Clip"): "Clip",
    ("Max", "Min"): "Clip",
    ("Min", "Max"): "Clip",
    ("Relu", "Min"): "Clip",
}
"""Forms without a join, in order."""

_ONE: Bounds = (1, 1)
_UP_TO_ONE: Bounds = (0, 1)
JOINED: tuple[tuple[str, dict[str, Bounds]], ...] = (
    ("Swish", {"Sigmoid": _ONE, "times": _ONE, "scale": _UP_TO_ONE}),
    ("HardSwish", {"HardSigmoid": _ONE, "times": _ONE}),
    ("HardSwish", {"Clip": _ONE, "shift": _ONE, "times": _ONE, "scale": _UP_TO_ONE}),
    ("Mish", {"Softplus": _ONE, "Tanh": _ONE, "times": _ONE}),
    ("Gelu", {"Erf": _ONE, "times": _ONE, "shift": _ONE, "scale": (1, 2)}),
    # The cubic polynomial is a sum with a power, or a product with a square.
    (
        "Gelu:tanh",
        {"Tanh": _ONE, "Pow": _ONE, "plus": _ONE, "shift": _ONE, "times": _ONE, "scale": (2, 3)},
    ),
    (
        "Gelu:tanh",
        {"Tanh": _ONE, "plus": _ONE, "shift": _ONE, "times": (2, 3), "scale": (2, 3)},
    ),
    ("Gelu:tanh", {"Tanh": _ONE, "shift": (2, 2), "times": (2, 3), "scale": (2, 3)}),
    (
        "Gelu:tanh",
        {"Tanh": _ONE, "Pow": _ONE, "shift": (2, 2), "times": (1, 2), "scale": (2, 3)},
    ),
    (
        "Selu",
        {"Exp": _ONE, "shift": _ONE, "compare": _ONE, "Where": _ONE, "scale": (2, 3)},
    ),
    ("Clip:one-sided", {"compare": _ONE, "Where": _ONE}),
    # Beyond a threshold, the argument itself.
    ("Softplus", {"Softplus": _ONE, "compare": _ONE, "Where": _ONE}),
    ("Softsign", {"Abs": _ONE, "shift": _ONE, "over": _ONE}),
    ("LeakyRelu", {"larger": _ONE, "scale": _ONE}),
    ("LeakyRelu", {"compare": _ONE, "Where": _ONE, "scale": _ONE}),
    ("LeakyRelu", {"Max": _ONE, "Min": _ONE, "scale": _ONE, "plus": _ONE}),
    ("LeakyRelu", {"Relu": _ONE, "Min": _ONE, "scale": _ONE, "plus": _ONE}),
    ("LeakyRelu", {"Relu": (2, 2), "scale": (2, 3), "plus": _ONE}),
    ("Elu", {"Exp": _ONE, "shift": _ONE, "compare": _ONE, "Where": _ONE, "scale": _UP_TO_ONE}),
    (
        "Elu",
        {
            "Exp": _ONE,
            "shift": _ONE,
            "Relu": _UP_TO_ONE,
            "Max": _UP_TO_ONE,
            "Min": _UP_TO_ONE,
            "plus": _ONE,
            "scale": _UP_TO_ONE,
        },
    ),
)
"""Forms in which paths join: how often each kind of layer occurs."""

LAYER_NORMALIZATION: dict[str, Bounds] = {
    "mean": (2, 2),
    "plus": (1, 3),
    "Pow": (0, 2),
    "times": (0, 3),
    "over": _UP_TO_ONE,
    "scale": _UP_TO_ONE,
    "shift": _UP_TO_ONE,
    "Sqrt": _UP_TO_ONE,
    "gain": _UP_TO_ONE,
    "bias": _UP_TO_ONE,
}
ROOT_MEAN_SQUARE: dict[str, Bounds] = {
    "mean": _ONE,
    "Pow": (0, 2),
    "times": (0, 2),
    "over": _UP_TO_ONE,
    "scale": _UP_TO_ONE,
    "shift": _UP_TO_ONE,
    "Sqrt": _UP_TO_ONE,
    "gain": _UP_TO_ONE,
}

SOFTMAX: dict[str, Bounds] = {"Exp": _ONE, "total": _ONE, "over": _ONE}
# What was taken off before changes nothing but how exact it is.
SHIFTED_SOFTMAX: dict[str, Bounds] = {"largest": _ONE, "plus": _ONE, "Softmax": _ONE}
LOG_SOFTMAX: dict[str, Bounds] = {
    "largest": _ONE,
    "plus": (2, 2),
    "Exp": _ONE,
    "total": _ONE,
    "Log": _ONE,
}

ALONE = {
    "Add": "shift",
    "Div": "scale",
    "Greater": "compare",
    "GreaterOrEqual": "compare",
    "Less": "compare",
    "LessOrEqual": "compare",
    "Mul": "scale",
    "Neg": "scale",
    "Reciprocal": "scale",
    "ReduceMax": "largest",
    "ReduceMean": "mean",
    "ReduceSum": "total",
    "Sub": "shift",
    "Sum": "shift",
}
"""Kinds of layers that read one activation, beside a single number at most."""

PAIRED = {
    "Add": "plus",
    "Div": "over",
    "Max": "larger",
    "Mul": "times",
    "Sub": "plus",
    "Sum": "plus",
}
"""Kinds of layers that join two paths."""

WEIGHTED = {"Add": "bias", "Sub": "bias", "Mul": "gain"}
"""Kinds of layers with a constant that is more than a number."""

PLAIN = frozenset(
    (
        "Abs",
        "Clip",
        "Elu",
        "Erf",
        "Exp",
        "HardSigmoid",
        "Log",
        "Max",
        "Min",
        "Pow",
        "Relu",
        "Sigmoid",
    )
    + ("Softmax", "Softplus", "Sqrt", "Tanh")
)

ALIASES = {
    "com.microsoft.QLinearAdd": "Add",
    "com.microsoft.QLinearLeakyRelu": "LeakyRelu",
    "com.microsoft.QLinearMul": "Mul",
    "com.microsoft.QLinearSigmoid": "Sigmoid",
}
"""Operators on integers by what they compute."""

CONVERSIONS = frozenset(
    ("DequantizeLinear", "QuantizeLinear")
    + ("com.microsoft.DequantizeLinear", "com.microsoft.QuantizeLinear")
)
"""Operators between the parts of a form that change the type of values alone."""
