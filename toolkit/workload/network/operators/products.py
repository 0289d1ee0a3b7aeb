"""Matrix products, einsums and recurrent cells: the smallest kernel that computes each.

Products and einsums come as labels of axes. Of LSTM, GRU and RNN the products with the input are
one GEMM over all time steps; those with the state are one GEMM per step, which waits for the step
before; the gates are elementwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.workload.kernel import Role, Tensor, Term, Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.operators.output_shapes import oriented
from toolkit.workload.ready_made import batched_gemm, gemm

Labels = tuple[str, ...]

_MOST_ORDERED = 6
"""Operands of an einsum whose orders are all tried. Their number grows with the factorial, so that
beyond this the greedy order of NumPy has to do."""

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1, "com.microsoft.DynamicQuantizeLSTM": 4}
"""Gates per cell: rows of the weights are this many times the size of the state."""


def contraction(
    first: Labels, second: Labels, output: Labels, sizes: Mapping[str, int], *, weight_first: bool
) -> Workload:
    """The workload of a product of two operands whose axes carry labels.

    Axes are merged by where they stand: in both operands and the output (B), in one operand and
    the output (M of the weight, N of the input), in both operands only (K). The weight is the
    second operand, as in ``x @ W``, unless `weight_first`. An axis that only one operand has, and
    is summed, keeps its own dimension.

    Examples
    --------
    >>> sizes = {"i": 4, "j": 2, "k": 3}
    >>> contraction(("i", "k"), ("k", "j"), ("i", "j"), sizes, weight_first=False).name
    'gemm:M=2,K=3,N=4'
    """
    weight, data = (first, second) if weight_first else (second, first)
    running = [label for label in sizes if sizes[label] > 1]
    groups = {
        "B": [d for d in running if d in weight and d in data and d in output],
        "M": [d for d in running if d in weight and d not in data and d in output],
        "K": [d for d in running if d in weight and d in data and d not in output],
        "N": [d for d in running if d in data and d not in weight and d in output],
    }
    b, m, k, n = (math.prod(sizes[d] for d in group) for group in groups.values())
    summed = {d for d in running if (d in weight) != (d in data) and d not in output}
    if summed:
        return _custom([data, weight], output, sizes)
    return batched_gemm(b, m, k, n) if b > 1 else gemm(m, k, n)


def _custom(operands: Sequence[Labels], output: Labels, sizes: Mapping[str, int]) -> Workload:
    letters = {label: f"D{i}" for i, label in enumerate(sizes)}
    names: list[tuple[str, Role]] = [("input", "input"), ("weight", "weight")]
    tensors = [
        Tensor(name, role, tuple((Term(letters[d]),) for d in axes))
        for (name, role), axes in zip(names, operands, strict=False)
    ]
    tensors.append(Tensor("output", "output", tuple((Term(letters[d]),) for d in output)))
    shapes = ",".join("".join(letters[d] for d in axes) for axes in operands)
    extents = ",".join(f"{letters[d]}={size}" for d, size in sizes.items())
    name = f"einsum:{shapes}->{''.join(letters[d] for d in output)}:{extents}"
    return Workload(name, "einsum", {letters[d]: s for d, s in sizes.items()}, tuple(tensors))


def matmul(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """``A @ B`` with NumPy's broadcasting."""
    return matmul_of(call, rule, 0, 1)


def qlinear_matmul(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QLinearMatMul: the second operand stands after the scales of the first."""
    return matmul_of(call, rule, 0, 3)


def matmul_of(call: Call, rule: Operator, a: int, b: int) -> tuple[Layer, ...]:
    """A matrix product of two operands of a call."""
    left, right = oriented(call, call.shape(a), "A"), oriented(call, call.shape(b), "B")
    workload = matmul_workload(call, left, right, weight_first=_weight_first(call, a, b))
    return (_product(call, rule, workload),)


def matmul_workload(
    call: Call, left: tuple[int, ...], right: tuple[int, ...], *, weight_first: bool = False
) -> Workload:
    """Workload of ``left @ right``, from the shapes."""
    if not left or not right:
        raise call.error("a matrix product needs operands of at least one axis")
    rows: Labels = ("m",) if len(left) > 1 else ()
    columns: Labels = ("n",) if len(right) > 1 else ()
    batch = max(len(left), len(right)) - 2
    sizes: dict[str, int] = {}
    axes: list[Labels] = []
    for shape, matrix in ((left, (*rows, "k")), (right, ("k", *columns))):
        names = (*(f"b{i}" for i in range(batch - len(shape) + len(matrix), batch)), *matrix)
        axes.append(tuple(d for d, size in zip(names, shape, strict=True) if size > 1))
        for name, size in zip(names, shape, strict=True):
            if 1 != sizes.get(name, 1) != size != 1:
                raise call.error(f"shapes {list(left)} and {list(right)} cannot be multiplied")
            sizes[name] = max(size, sizes.get(name, 1))
    output = tuple(d for d in sizes if d != "k")
    return contraction(axes[0], axes[1], output, sizes, weight_first=weight_first)


def general_matmul(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Gemm: two matrices, either transposed, and a bias that the sum starts from."""
    return gemm_of(call, rule, 0, 1)


def quantized_gemm(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """QGemm of ONNX Runtime: the second matrix stands after the scales of the first."""
    return gemm_of(call, rule, 0, 3)


def gemm_of(call: Call, rule: Operator, a: int, b: int) -> tuple[Layer, ...]:
    """A product of two matrices, transposed as the attributes say."""
    left, right = call.shape(a, 2), call.shape(b, 2)
    left = left[::-1] if call.integer("transA", 0) else left
    right = right[::-1] if call.integer("transB", 0) else right
    workload = matmul_workload(call, left, right, weight_first=_weight_first(call, a, b))
    return (_product(call, rule, workload),)


def _weight_first(call: Call, a: int, b: int) -> bool:
    return call.input(a).constant and not call.input(b).constant


def _product(call: Call, rule: Operator, workload: Workload) -> Layer:
    return make_layer(
        call,
        rule,
        workload=workload,
        elements=call.outputs[0].elements,
        operations_per_element=rule.operations_of(call),
    )


def einsum(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """Einsum: one operand is moved or summed, two are multiplied, more are taken pairwise."""
    operands, output = _parse(call)
    sizes = _sizes(call, operands)
    if len(operands) == 1:
        elements = math.prod(sizes.values())
        summed = set(operands[0]) - set(output)
        kind = make_layer(
            call,
            rule,
            cost_class="reduction" if summed else "movement",
            elements=elements,
            operations_per_element=1 if summed else 0,
        )
        return (kind,)
    # An operand does not have the axes along which it is broadcast.
    operands = [
        tuple(d for d, size in zip(axes, call.shape(i), strict=True) if size > 1)
        for i, axes in enumerate(operands)
    ]
    output = tuple(d for d in output if sizes[d] > 1)
    sizes = {d: size for d, size in sizes.items() if size > 1}
    if len(operands) == 2:
        first = _weight_first(call, 0, 1)
        workload = contraction(operands[0], operands[1], output, sizes, weight_first=first)
        return (_product(call, rule, workload),)
    return _pairwise(call, rule, operands, output, sizes)


def _pairwise(
    call: Call, rule: Operator, operands: list[Labels], output: Labels, sizes: dict[str, int]
) -> tuple[Layer, ...]:
    """Multiply three or more operands two at a time, in an order of few operations."""
    letters = {label: i for i, label in enumerate(sizes)}
    arguments: list[Any] = []
    for axes in operands:
        shape = tuple(sizes[d] for d in axes)
        arguments += [np.broadcast_to(np.float32(0), shape), [letters[d] for d in axes]]
    way = "optimal" if len(operands) <= _MOST_ORDERED else "greedy"
    path = np.einsum_path(*arguments, [letters[d] for d in output], optimize=way)[0][1:]
    terms: list[tuple[Labels, int | TensorInfo]] = [(d, i) for i, d in enumerate(operands)]
    layers: list[Layer] = []
    for step, pair in enumerate(_in_pairs(path)):
        (first, x), (second, y) = (terms[i] for i in pair)
        terms = [term for i, term in enumerate(terms) if i not in pair]
        needed = {d for axes, _ in terms for d in axes} | set(output)
        kept = tuple(dict.fromkeys(d for d in (*first, *second) if d in needed))
        last = not terms
        info = TensorInfo(
            f"{call.outputs[0].name}/{step}", tuple(sizes[d] for d in kept), call.outputs[0].dtype
        )
        here = {d: sizes[d] for d in (*first, *second)}
        workload = contraction(first, second, output if last else kept, here, weight_first=False)
        layers.append(
            make_layer(
                call,
                rule,
                suffix="" if last else f"/{step}",
                operands=[call.input(i) for i in (x, y) if isinstance(i, int)],
                extra_inputs=[i for i in (x, y) if isinstance(i, TensorInfo)],
                outputs=call.outputs if last else [info],
                workload=workload,
                elements=call.outputs[0].elements if last else info.elements,
            )
        )
        terms.append((kept, info))
    return tuple(layers)


def _in_pairs(path: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Cut steps that take more than two operands at once into steps of two."""
    pairs = []
    for step in path:
        positions = sorted(step)
        pairs.append((positions[0], positions[1]))
        # Each product is appended at the end; the others move up by two.
        rest = [p - 2 for p in positions[2:]]
        left = max(positions) if rest else 0
        for taken, position in enumerate(rest):
            pairs.append((position - taken, left - 1 - taken))
    return pairs


def _parse(call: Call) -> tuple[list[Labels], Labels]:
    equation = call.text("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(call.inputs):
        raise call.error(f"equation {equation!r} has {len(terms)} terms; expected one per operand")
    operands = [_labels(call, term, len(call.shape(i))) for i, term in enumerate(terms)]
    for term, labels in zip(terms, operands, strict=True):
        if len(set(labels)) != len(labels):
            raise call.error(f"equation {equation!r} takes a diagonal in {term!r}; not supported")
    if arrow:
        ellipsis = [d for axes in operands for d in axes if d.startswith(".")]
        rank = len(set(ellipsis))
        return operands, _labels(call, right, len(right.replace("...", "")) + rank)
    flat = [d for axes in operands for d in axes]
    once = sorted(d for d in set(flat) if flat.count(d) == 1 or d.startswith("."))
    return operands, tuple(once)


def _labels(call: Call, term: str, rank: int) -> Labels:
    before, dots, after = term.partition("...")
    count = rank - len(before) - len(after)
    if count < 0 or (count and not dots):
        raise call.error(f"term {term!r} does not name the {rank} axes of its operand")
    return (*before, *(f".{i}" for i in range(-count, 0)), *after)


def _sizes(call: Call, operands: list[Labels]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for i, labels in enumerate(operands):
        for label, size in zip(labels, call.shape(i), strict=True):
            if 1 != sizes.get(label, 1) != size != 1:
                raise call.error(f"axis {label!r} has both size {sizes[label]} and {size}")
            sizes[label] = max(size, sizes.get(label, 1))
    return sizes


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
