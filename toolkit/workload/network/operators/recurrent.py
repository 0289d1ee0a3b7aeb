"""LSTM, GRU and RNN as their matrix products over time.

The products with the input are one GEMM over all time steps; those with the state are one GEMM
per step, which waits for the step before; the gates are elementwise.
"""

from __future__ import annotations

from toolkit.workload.kernels import gemm
from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.tensors import TensorInfo

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1, "com.microsoft.DynamicQuantizeLSTM": 4}
"""Gates per cell: rows of the weights are this many times the size of the state."""


def recurrent(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Three layers: ``/input``, ``/recurrent``, and the gates under the node's own name."""
    data = call.shape(0, 3)
    weight, state_weight = call.shape(1, 3), call.shape(2, 3)
    steps, batch = (data[1], data[0]) if call.integer("layout", 0) else (data[0], data[1])
    hidden, directions = call.integer("hidden_size", 0), weight[0]
    rows = GATES[call.operator] * hidden
    if sorted(weight[1:]) != sorted((rows, data[2])) or rows not in state_weight[1:]:
        raise call.error(
            f"weights {list(weight)} and {list(state_weight)} do not fit hidden_size {hidden}"
        )
    dtype = call.outputs[0].dtype
    shape = (directions, batch, rows)
    sums = TensorInfo(f"{call.name}/input", (steps, *shape), dtype)
    states = TensorInfo(f"{call.name}/recurrent", shape, dtype)
    first = make_layer(
        call,
        rule,
        suffix="/input",
        operands=[call.input(0), call.input(1)],
        outputs=[sums],
        workload=gemm(rows, data[2], steps * batch),
        repetitions=directions,
        elements=sums.elements // directions,
    )
    # The state that the first step starts from, where it is given.
    second = make_layer(
        call,
        rule,
        suffix="/recurrent",
        operands=[call.input(2), *call.inputs[5:6]],
        outputs=[states],
        workload=gemm(rows, hidden, batch),
        repetitions=directions * steps,
        elements=batch * rows,
    )
    gates = make_layer(
        call,
        rule,
        cost_class="elementwise",
        operands=[*call.inputs[3:4], *call.inputs[6:8]],
        extra_inputs=[sums, states],
        repetitions=directions * steps,
        elements=batch * hidden,
        operations_per_element=rule.operations_of(call),
    )
    return first, second, gates


def quantized_lstm_shapes(call: Call) -> list[tuple[int, ...]]:
    """Shapes of the outputs of ONNX Runtime's DynamicQuantizeLSTM."""
    steps, batch, _ = call.shape(0, 3)
    hidden, directions = call.integer("hidden_size", 0), call.shape(1)[0]
    state = (directions, batch, hidden)
    return [(steps, *state[:1], *state[1:]), state, state][: len(call.outputs)]
