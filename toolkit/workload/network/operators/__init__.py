"""The operators of ONNX and what each of them costs."""

from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.refused import REFUSED
from toolkit.workload.network.operators.table import (
    CONSTANT,
    CONTROL,
    LISTS,
    OPERATORS,
    operator_table,
)

__all__ = [
    "CONSTANT",
    "CONTROL",
    "LISTS",
    "OPERATORS",
    "REFUSED",
    "Call",
    "Operator",
    "operator_table",
]
