"""The numbers that a simulated machine works on, and what it must make of them."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping

from toolkit.workload.kernel import Tensor, Workload

from .nest import Value

Numbers = Mapping[str, Mapping[Value, int]]
"""By tensor, the number at every index tuple."""


def address(tensor: Tensor, position: Mapping[str, int]) -> Value:
    """Index tuple of the value of `tensor` that the MAC at `position` takes."""
    return tuple(
        [sum([t.coefficient * position[t.dimension] for t in index]) for index in tensor.indices]
    )


def draw_numbers(workload: Workload) -> dict[str, dict[Value, int]]:
    """Give every value of every tensor a number; those of the output are its biases.

    Numbers of a tensor differ, so that a wrong operand shows. None is below 1, so that no sum
    stays the same if products are lost or repeated.
    """
    drawn = {}
    for tensor in workload.tensors:
        values = sorted({address(tensor, position) for position in _positions(workload)})
        generator = random.Random(tensor.name)
        numbers = generator.sample(range(1, 4 * len(values) + 1), len(values))
        drawn[tensor.name] = dict(zip(values, numbers, strict=True))
    return drawn


def evaluate(workload: Workload, numbers: Numbers, bias_read: bool) -> dict[Value, int]:
    """Sum up all products, by the definition of the workload alone."""
    output = workload.output
    operands = [tensor for tensor in workload.tensors if tensor.role != "output"]
    sums = {value: bias if bias_read else 0 for value, bias in numbers[output.name].items()}
    for position in _positions(workload):
        taken = (numbers[tensor.name][address(tensor, position)] for tensor in operands)
        sums[address(output, position)] += math.prod(taken)
    return sums


def additions(workload: Workload) -> Mapping[Value, int]:
    """Count the products that are summed up to every output."""
    return Counter(address(workload.output, position) for position in _positions(workload))


def _positions(workload: Workload) -> list[dict[str, int]]:
    ranges = (range(size) for size in workload.sizes.values())
    return [dict(zip(workload.sizes, p, strict=True)) for p in itertools.product(*ranges)]
