"""A strategy, an operator of ONNX models and a format of mappings, added from outside."""

from __future__ import annotations

import json

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.mapping.files import mapping_from_dict, mapping_to_dict
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.peers import MappingFormat
from toolkit.search import Evaluator
from toolkit.search.chosen_mappings import sample_mappings
from toolkit.search.result import require_limit
from toolkit.workload.kernel import Workload
from toolkit.workload.network.operators.output_shapes import same
from toolkit.workload.network.operators.vector import elementwise

BATCH = 256


def hill(evaluator: Evaluator, seed: int) -> None:
    """Draw mappings, and try the loop orders of the best with the tilings of all others."""
    require_limit(evaluator.budget, "hill")
    rng = np.random.default_rng(seed)
    order = None
    while not evaluator.exhausted:
        count = min(BATCH, evaluator.remaining_evaluations)
        factors, orders, choice = sample_mappings(evaluator.problem, count, rng)
        costs = evaluator.evaluate(factors, orders if order is None else order[:count], choice)
        if order is None:
            order = np.broadcast_to(orders[np.argmin(costs)], (BATCH, *orders.shape[1:])).copy()


HARD_TANH = elementwise(2, "a minimum and a maximum", data=(0,), shapes=same)


def _read(
    text: str, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    levels = [json.loads(line) for line in text.splitlines()]
    return mapping_from_dict({"levels": levels}, arch, workload, source=source)


def _write(mapping: Mapping, arch: Architecture, workload: Workload) -> str:
    return "".join(f"{json.dumps(level)}\n" for level in mapping_to_dict(mapping)["levels"])


LINES = MappingFormat("a level of JSON a line", _read, _write)
