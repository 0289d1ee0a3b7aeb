"""Results of searches on the disk, one file each, found again by what was searched.

The name of a file is a digest of everything that its result depends on: levels of the
architecture, sizes and tensors of the workload (not its name), strategy, budget, seed,
objective, conventions, padding, factors, the version of the package and the sources of model and
searches. So an entry is never stale, and the folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, astuple, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from toolkit.arch.architecture import Architecture
from toolkit.errors import InputError
from toolkit.mapping.files import mapping_from_dict, mapping_to_dict
from toolkit.model.tables import LevelEnergy, TensorAccesses
from toolkit.search.network.cost import LayerCost, LayerSearch
from toolkit.text_files import write_text_atomically
from toolkit.version import __version__
from toolkit.workload.kernel import Workload

# An entry has some kilobytes: what is much larger is none, and not worth reading to find out.
_MAX_BYTES = 2**24
# What results follow from; the import of networks and the strategies' callers are no part of it.
_SOURCES = (
    "*.py",
    "arch/**/*.py",
    "mapping/**/*.py",
    "model/**/*",
    "search/**/*.py",
    "workload/**/*.py",
)
_SUFFIXES = (".py", ".yaml")


def default_cache_folder() -> Path:
    """Where results are kept unless another folder is named: the user's cache, ``layers``.

    That is ``~/.cache/accel-search-toolkit/layers`` on Linux, under ``$XDG_CACHE_HOME`` where
    that is set.
    """
    return user_cache_path("accel-search-toolkit") / "layers"


@dataclass(frozen=True)
class LayerCache:
    """A folder of results.

    Parameters
    ----------
    folder : Path
        Made when the first result is kept.
    """

    folder: Path

    def read(
        self, arch: Architecture, workload: Workload, search: LayerSearch
    ) -> LayerCost | None:
        """Return the result of a search, or None if there is none that can be read."""
        path = self._path(arch, workload, search)
        if path is None:
            return None
        try:
            if path.stat().st_size > _MAX_BYTES:
                return None
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["digest"] != _digest(entry["cost"]):
                return None
            return _cost_from(entry["cost"], arch, workload)
        except (OSError, ValueError, KeyError, TypeError, InputError, RecursionError):
            return None  # Torn, foreign or hand-made: as good as none.

    def write(
        self, arch: Architecture, workload: Workload, search: LayerSearch, cost: LayerCost
    ) -> bool:
        """Keep the result of a search; tell whether that was possible."""
        path = self._path(arch, workload, search)
        if path is None:
            return False
        record = _record(cost)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(path, json.dumps({"digest": _digest(record), "cost": record}))
        except (OSError, ValueError, InputError):
            return False
        return True

    def _path(self, arch: Architecture, workload: Workload, search: LayerSearch) -> Path | None:
        if search.objective.function is not None:
            return None  # What a function does cannot be told by looking at it.
        digest = _digest(_key(arch, workload, search))
        return self.folder / digest[:2] / f"{digest}.json"


def _key(arch: Architecture, workload: Workload, search: LayerSearch) -> dict[str, Any]:
    return {
        "version": __version__,
        "sources": _sources_digest(),
        "arch": [arch.name, *(repr(level) for level in arch.levels), repr(arch.leakage)],
        "kernel": workload.kernel,
        "sizes": list(workload.sizes.items()),
        "tensors": [repr(tensor) for tensor in workload.tensors],
        "strategy": search.strategy,
        "budget": None if search.budget is None else list(astuple(search.budget)),
        "seed": search.seed,
        "objective": list(astuple(replace(search.objective, function=None))),
        "conventions": asdict(search.conventions),
        "pad": search.pad if isinstance(search.pad, bool) else search.padded(workload),
        "factors": search.rule,
    }


@cache
def _sources_digest() -> str:
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]  # toolkit/
    files = {path for pattern in _SOURCES for path in root.glob(pattern)}
    for path in sorted(files):
        if path.suffix in _SUFFIXES:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _record(cost: LayerCost) -> dict[str, Any]:
    return {
        "sizes": dict(cost.workload.sizes),
        "mapping": mapping_to_dict(cost.mapping),
        "energy_pj": cost.energy_pj,
        "latency_cycles": cost.latency_cycles,
        "compute_cycles": cost.compute_cycles,
        "utilization": cost.utilization,
        "levels": [list(astuple(level)) for level in cost.levels],
        "accesses": [list(astuple(entry)) for entry in cost.accesses],
        "evaluations": cost.evaluations,
        "bound": cost.bound,
        "notes": list(cost.notes),
        "objective": cost.objective,
        "stopped": cost.stopped,
    }


def _cost_from(record: dict[str, Any], arch: Architecture, workload: Workload) -> LayerCost:
    mapped = replace(workload, sizes={d: record["sizes"][d] for d in workload.sizes})
    return LayerCost(
        mapped,
        mapping_from_dict(record["mapping"], arch, mapped),
        float(record["energy_pj"]),
        float(record["latency_cycles"]),
        float(record["compute_cycles"]),
        float(record["utilization"]),
        tuple(LevelEnergy(*level) for level in record["levels"]),
        tuple(TensorAccesses(*entry) for entry in record["accesses"]),
        int(record["evaluations"]),
        None if record["bound"] is None else float(record["bound"]),
        tuple(map(str, record["notes"])),
        None if record["objective"] is None else float(record["objective"]),
        bool(record["stopped"]),
    )


def cache_at(place: bool | str | os.PathLike[str]) -> LayerCache | None:
    """Return the cache in a folder, in the default folder (True), or none (False)."""
    if isinstance(place, bool):
        return LayerCache(default_cache_folder()) if place else None
    return LayerCache(Path(place))
