"""What `toolkit explain --json` prints: every number of the explanation, named with its unit."""

from __future__ import annotations

import math
from typing import Any

import toolkit
from toolkit.cli.output import Record
from toolkit.mapping.files import mapping_to_dict
from toolkit.model.headroom import Growth
from toolkit.model.reuse import Loop, Movement
from toolkit.model.words import CycleParts, EnergyPart
from toolkit.search.advice import Advice, Costs, Move
from toolkit.search.explanation import Explanation


def explain_record(explanation: Explanation) -> Record:
    """Explain a mapping as JSON-able data; None stands for unlimited or not defined."""
    problem, evaluation, advice = explanation.problem, explanation.evaluation, explanation.advice
    return {
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "kernel": problem.workload.kernel,
        "sizes": dict(problem.workload.sizes),
        "macs": evaluation.macs,
        "conventions": problem.conventions.name,
        "bias_read": problem.bias_read,
        "objective": problem.objective.name,
        "objective_unit": problem.objective.unit,
        "objective_value": advice.current.objective,
        "energy_total_pj": evaluation.energy_pj,
        "latency_cycles": evaluation.latency_cycles,
        "edp_pj_cycles": evaluation.edp_pj_cycles,
        "utilization_fraction": evaluation.utilization,
        "mapping": mapping_to_dict(evaluation.mapping),
        "bottleneck": evaluation.bottleneck,
        "notes": [*problem.notes, *evaluation.notes],
        "energy": [_energy(part) for part in explanation.energy],
        "cycles": _cycles(explanation.cycles),
        "limits": _limits(explanation),
        "moves": _moves(problem, advice),
        "doubled_bandwidths": [
            {
                "level": doubling.level,
                "port": doubling.port,
                "words_per_cycle_per_instance": doubling.bandwidth,
                **_change(advice, doubling.costs),
            }
            for doubling in advice.doublings
        ],
    }


def _energy(part: EnergyPart) -> Record:
    return {
        "level": part.level,
        "what": part.what,
        "tensor": part.tensor,
        "energy_total_pj": part.energy_pj,
        "share_percent": 100 * part.share,
        "actions": [
            {
                **_movement(action.movement),
                "energy_total_pj": action.energy_pj,
                "why": action.why,
            }
            for action in part.actions
        ],
    }


def _bits(movement: Movement) -> Record:
    """Bits of a value, where it has some; counts are of values then."""
    bits = {"bits": movement.bits, "sum_bits": movement.sum_bits}
    return {key: value for key, value in bits.items() if value is not None}


def _movement(movement: Movement) -> Record:
    return {
        "kind": movement.kind,
        "total_words": movement.words,
        "charged_total_words": movement.charged_words,
        **({} if movement.wanted_words is None else {"wanted_total_words": movement.wanted_words}),
        **_bits(movement),
        "distinct_words": movement.distinct_words,
        "times_each_word": movement.times,
        "repeated_by": [
            {
                **_loop(repetition.loop),
                "times": repetition.times,
                "outside_of": None
                if repetition.outside_of is None
                else _loop(repetition.outside_of),
            }
            for repetition in movement.repetitions
        ],
        "remaining_times": movement.rest,
    }


def _loop(loop: Loop) -> Record:
    return {
        "level": loop.level,
        "dimension": loop.dimension,
        "iterations": loop.iterations,
        "spatial": loop.spatial,
    }


def _cycles(parts: CycleParts) -> Record:
    return {
        "latency_cycles": parts.latency_cycles,
        "ideal_cycles_of_run": parts.ideal_cycles,
        "mac_lanes_total": parts.lanes,
        "cycles_per_step": parts.cycles_per_step,
        "idle_instances": [
            {
                "level": lost.level,
                "used_instances": lost.used,
                "mesh_instances": lost.mesh,
                "lost_cycles_of_run": lost.cycles,
            }
            for lost in parts.idle
        ],
        "cut_off_tiles": [
            {
                "dimension": cut.dimension,
                "levels": list(cut.levels),
                "size": cut.size,
                "tile": cut.tile,
                "whole_sizes": list(cut.whole_sizes),
                "lost_cycles_of_run": cut.cycles,
            }
            for cut in parts.cut_off
        ],
        "waits": [
            {"level": wait.level, "what": wait.what, "lost_cycles_of_run": wait.cycles}
            for wait in parts.waits
        ],
        "stalls": [
            {
                "level": stall.level,
                "port": stall.port,
                "lost_cycles_of_run": stall.cycles,
                "needed_words_per_cycle_per_instance": stall.needed_bandwidth,
                "available_words_per_cycle_per_instance": stall.available_bandwidth,
            }
            for stall in parts.stalls
        ],
        "warm_up_cycles_of_run": parts.warm_up_cycles,
        "rounding_cycles_of_run": parts.rounding_cycles,
    }


def _limits(explanation: Explanation) -> Record:
    evaluation = explanation.evaluation
    latency = evaluation.latency_cycles
    return {
        "bandwidth": [
            {
                "level": use.level,
                "port": port.port.name,
                "needed_words_per_cycle_per_instance": port.needed_bandwidth,
                "available_words_per_cycle_per_instance": _finite(port.port.bandwidth),
                "busy_percent_of_run": 100 * port.busy_cycles / latency,
                "stall_cycles_of_run": use.stall_cycles,
            }
            for use in evaluation.movers
            for port in use.ports
        ],
        "capacity": [
            {
                "level": use.level,
                "used_words_per_instance": use.used_words,
                "usable_words_per_instance": use.usable_words,
                "binds": use.binds,
                "next_factors": [_growth(g, "needed_words_per_instance") for g in use.growth],
            }
            for use in explanation.capacities
        ],
        "mesh": [
            {
                "level": mesh.level,
                "used_instances": mesh.used,
                "mesh_instances": mesh.mesh,
                "binds": mesh.binds,
                "next_factors": [_growth(g, "needed_instances") for g in mesh.growth],
            }
            for mesh in explanation.meshes
        ],
    }


def _growth(growth: Growth, key: str) -> Record:
    return {
        "dimension": growth.dimension,
        "factor": growth.prime,
        "iterations": growth.iterations,
        key: growth.needed,
        "fits": growth.fits,
    }


def _moves(problem: toolkit.Problem, advice: Advice) -> Record:
    return {
        "tried": advice.tried,
        "valid": advice.valid,
        "improves": bool(advice.best),
        "best": [_move(advice, move) for move in advice.best],
        "best_valid": None if advice.least is None else _move(advice, advice.least),
        "forbidden": [_move(advice, move) for move in advice.blocked],
    }


def _move(advice: Advice, move: Move) -> Record:
    return {
        "kind": move.kind,
        "text": move.text,
        **_change(advice, move.costs),
        "forbidden_by": [
            {
                "kind": rule.kind,
                "level": rule.level,
                **_requirement(rule.kind, rule.needed, rule.available),
                "text": rule.text,
            }
            for rule in move.obstacles
        ],
        "mapping": mapping_to_dict(move.mapping),
    }


def _requirement(kind: str, needed: float | None, available: float | None) -> dict[str, Any]:
    if kind == "capacity":
        unit = "words_per_instance"
    elif kind == "mesh":
        unit = "instances"
    else:
        return {}
    return {f"needed_{unit}": needed, f"available_{unit}": available}


def _change(advice: Advice, costs: Costs) -> Record:
    now = advice.current
    return {
        "energy_total_pj": costs.energy_pj,
        "energy_change_percent": _percent(costs.energy_pj, now.energy_pj),
        "latency_cycles": costs.latency_cycles,
        "latency_change_percent": _percent(costs.latency_cycles, now.latency_cycles),
        "objective_value": costs.objective,
        "objective_change_percent": _percent(costs.objective, now.objective),
    }


def _percent(new: float, old: float) -> float | None:
    return _finite(100 * (new - old) / old) if old else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
