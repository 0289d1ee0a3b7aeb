"""What does ZigZag itself say of the GEMM of reconcile_gemm.py, and of variants of its Gemmini?

Writes recorded.json. Needs a virtual environment of its own: the toolkit does not use ZigZag.

    python3.11 -m venv zz && zz/bin/pip install -r studies/zigzag_gemmini/requirements.txt
    zz/bin/python studies/zigzag_gemmini/run_zigzag.py
"""

from __future__ import annotations

import json
import logging
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from zigzag.api import get_hardware_performance_zigzag
from zigzag.mapping.data_movement import DataMoveAttr

HERE = Path(__file__).parent
INPUTS = ("workload", "accelerator", "mapping")
COSTS = "energy_total mac_energy ideal_temporal_cycle stall_slack_comb data_onloading_cycle"
COSTS += " data_offloading_cycle systolic_drain_cycle latency_total2"


def changed(base: Any, change: Any) -> Any:
    """Return a copy of nested dictionaries and lists with some entries replaced."""
    if not isinstance(change, dict) or not isinstance(base, dict | list):
        return change
    entries = base.items() if isinstance(base, dict) else enumerate(base)
    merged = {k: changed(v, change[k]) if k in change else v for k, v in entries}
    if isinstance(base, list):
        return list(merged.values())
    return merged | {k: v for k, v in change.items() if k not in base}


def run(change: dict[str, Any]) -> dict[str, Any]:
    """Evaluate a variant; return attributes of ZigZag's cost model under its own names."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.yaml" for name in INPUTS]
        for name, file in zip(INPUTS, files, strict=True):
            inputs = changed(yaml.safe_load((HERE / file.name).read_text()), change.get(name, {}))
            file.write_text(yaml.safe_dump(inputs, sort_keys=False))
        kind = change.get("temporal_mapping_type", "even")
        found: Any = get_hardware_performance_zigzag(
            *map(str, files),
            dump_folder=folder,
            temporal_mapping_type=kind,
            loma_show_progress_bar=False,
        )
    cost = found[2][0][1][0][0]
    stalls = zip(cost.mem_level_list, cost.stall_slack_comb_collect, strict=True)
    ports = {"stall_slack_comb_collect": {m.memory_instance.name: x for m, x in stalls}}
    tables = {
        "mapping_dic_origin": cost.temporal_mapping.mapping_dic_origin,
        "double_buffer_true": {o: flags[1:] for o, flags in cost.double_buffer_true.items()},
        "data_elem_move_count": {
            o: [x.get_attribute(DataMoveAttr.DATA_ELEM_MOVE_COUNT).data for x in levels]
            for o, levels in cost.mapping.unit_mem_data_movement.items()
        },
        "memory_word_access": {
            o: [x.data for x in levels] for o, levels in cost.memory_word_access.items()
        },
    }
    by_operand = {k: {str(o): x for o, x in table.items()} for k, table in tables.items()}
    return {name: getattr(cost, name) for name in COSTS.split()} | ports | by_operand


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    packages = {p: version(p) for p in ("zigzag-dse", "numpy", "networkx", "onnx", "sympy")}
    lines = [f'{{"made_with": {json.dumps({"python": platform.python_version()} | packages)}']
    for name, change in yaml.safe_load((HERE / "variants.yaml").read_text()).items():
        lines.append(f'"{name}": {json.dumps(run(change), default=str)}')
    (HERE / "recorded.json").write_text(",\n".join(lines) + "\n}\n")
