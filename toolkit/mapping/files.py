"""Mappings as YAML or JSON, strictly checked on the way in."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Level, Memory
from toolkit.arguments import plain_integer
from toolkit.errors import MappingError
from toolkit.mapping.bypasses import chosen_holds
from toolkit.mapping.factors import SIZE_LIMIT
from toolkit.mapping.mapping import LevelMapping, Mapping
from toolkit.mapping.orders import order_rule
from toolkit.messages import describe, suggest
from toolkit.records import Record, validate
from toolkit.text_files import write_text_atomically
from toolkit.workload.kernel import Workload
from toolkit.yaml_files import dump_yaml, read_yaml

_Factor = Annotated[int, BeforeValidator(plain_integer), Field(ge=1, le=SIZE_LIMIT)]


class LevelEntry(Record):
    """What one level iterates, and leaves out; factors left out are 1."""

    level: str
    factors: dict[str, _Factor] = {}
    order: list[str] | None = None
    bypasses: list[str] | None = None


class MappingFile(Record):
    """A whole file."""

    architecture: str | None = None
    workload: str | None = None
    levels: list[LevelEntry]


def mapping_to_dict(mapping: Mapping) -> dict[str, Any]:
    """Write a mapping as plain data; factors of 1 and bypasses not chosen are left out.

    Examples
    --------
    >>> mapping_to_dict(Mapping((LevelMapping("DRAM", (("M", 4), ("K", 1)), ("M", "K")),)))
    {'levels': [{'level': 'DRAM', 'factors': {'M': 4}, 'order': ['M', 'K']}]}
    """
    levels = []
    for entry in mapping.levels:
        record: dict[str, Any] = {"level": entry.level}
        record["factors"] = {d: factor for d, factor in entry.factors if factor != 1}
        if entry.order:
            record["order"] = list(entry.order)
        if entry.bypasses is not None:
            record["bypasses"] = list(entry.bypasses)
        levels.append(record)
    return {"levels": levels}


def mapping_from_dict(
    data: object, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    """Read a mapping from plain data.

    Every level must be listed, outermost first. Factors left out are 1. An order may leave
    out dimensions that iterate once; they, or a whole order left out, are filled in as the
    memory's loop-order constraint admits, in the workload's order and outside of the others.
    Bypasses list all tensors, by name or role, that a memory does not hold; left out, it holds
    what the architecture says.

    Parameters
    ----------
    data : object
        ``{"levels": [{"level": name, "factors": {dimension: factor}, "order": [...],
        "bypasses": [...]}]}``; ``architecture`` and ``workload`` may be given beside ``levels``
        and must then match.
    arch, workload : Architecture, Workload
        What the mapping maps.
    source : str, optional
        How messages call the data.

    Raises
    ------
    MappingError
        Naming `source` and the key, if the data do not describe such a mapping. Whether the
        mapping is valid is another question: see `toolkit.mapping.violations`.
        Bypasses that the architecture does not permit are refused here.
    """
    record = validate(MappingFile, data, source=source or "mapping", error=MappingError)
    _check_name(record.architecture, arch.name, "architecture", source)
    _check_name(record.workload, workload.name, "workload", source)
    _check_levels([entry.level for entry in record.levels], arch, source)
    mapping = Mapping(
        tuple(
            _level_mapping(entry, level, workload, source, f"levels[{i}]")
            for i, (entry, level) in enumerate(zip(record.levels, arch.levels, strict=True))
        )
    )
    try:
        chosen_holds(mapping, arch, workload)
    except MappingError as cause:
        raise MappingError(cause.message, source=source, key=cause.key) from None
    return mapping


def read_mapping(path: str | os.PathLike[str], arch: Architecture, workload: Workload) -> Mapping:
    """Read a mapping from a YAML or JSON file; see `mapping_from_dict`.

    Raises
    ------
    MappingError
        Naming the file and the key, if it cannot be read or is not such a mapping.

    Examples
    --------
    >>> import toolkit
    >>> arch, layer = toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)
    >>> best = toolkit.map(arch, layer, evaluations=100)
    >>> toolkit.write_mapping("best.yaml", best.mapping)
    >>> toolkit.read_mapping("best.yaml", arch, layer) == best.mapping
    True
    """
    data = read_yaml(path, error=MappingError)
    return mapping_from_dict(data, arch, workload, source=os.fspath(path))


def write_mapping(path: str | os.PathLike[str], mapping: Mapping) -> None:
    """Write a mapping as JSON if the file's name ends in ``.json``, else as YAML.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> toolkit.write_mapping("best.yaml", best.mapping)
    >>> toolkit.load_arch("eyeriss").levels[0].name in open("best.yaml").read()
    True
    """
    data = mapping_to_dict(mapping)
    is_json = os.fspath(path).endswith(".json")
    text = json.dumps(data, indent=2) + "\n" if is_json else dump_yaml(data)
    write_text_atomically(path, text)


def _check_name(given: str | None, expected: str, key: str, source: str | None) -> None:
    if given is not None and given != expected:
        raise MappingError(
            f"the mapping is for {given!r}, expected {expected!r}", source=source, key=key
        )


def _check_levels(given: list[str], arch: Architecture, source: str | None) -> None:
    names = [level.name for level in arch.levels]
    if given == names:
        return
    unknown = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    if unknown:
        problem = f"unknown level {describe(unknown[0])}{suggest(unknown[0], names)}"
    elif missing:
        problem = f"missing {', '.join(missing)}"
    else:
        problem = "levels repeat or are out of order"
    raise MappingError(
        f"{problem}; expected the levels of {arch.name}, outermost first: {', '.join(names)}",
        source=source,
        key="levels",
    )


def _level_mapping(
    entry: LevelEntry, level: Level, workload: Workload, source: str | None, key: str
) -> LevelMapping:
    for dimension in (*entry.factors, *(entry.order or ())):
        if dimension not in workload.sizes:
            part = "factors" if dimension in entry.factors else "order"
            raise MappingError(
                f"unknown dimension {dimension!r}; "
                f"{workload.name} has {', '.join(workload.dimensions)}",
                source=source,
                key=f"{key}.{part}",
            )
    factors = tuple((d, entry.factors.get(d, 1)) for d in workload.dimensions)
    bypasses = None if entry.bypasses is None else _tensors(entry.bypasses, workload)
    if not isinstance(level, Memory):
        if entry.order is not None:
            raise MappingError(
                f"{level.name} is not a memory, so it has no loop order",
                source=source,
                key=f"{key}.order",
            )
        return LevelMapping(level.name, factors, (), bypasses)
    order = _full_order(entry, level, workload, source, f"{key}.order")
    return LevelMapping(level.name, factors, order, bypasses)


def _tensors(words: list[str], workload: Workload) -> tuple[str, ...]:
    """Name the tensors that a list of names and roles means, in the workload's order.

    What is neither is kept, to be refused as an unknown tensor.
    """
    names = {tensor.name for tensor in workload.tensors}
    roles = {word for word in words if word not in names}
    found = [t for t in workload.tensors if t.name in words or t.role in roles]
    unknown = roles - {tensor.role for tensor in found}
    return (*(tensor.name for tensor in found), *sorted(unknown))


def _full_order(
    entry: LevelEntry, memory: Memory, workload: Workload, source: str | None, key: str
) -> tuple[str, ...]:
    rule = order_rule(memory, workload.dimensions)
    if entry.order is None:
        wanted: list[int] = []
    else:
        repeated = sorted({d for d in entry.order if entry.order.count(d) > 1})
        if repeated:
            raise MappingError(
                f"{', '.join(repeated)} repeated; each dimension may appear once",
                source=source,
                key=key,
            )
        missing = [d for d, f in entry.factors.items() if f > 1 and d not in entry.order]
        if missing:
            raise MappingError(
                f"{', '.join(missing)} missing, but every dimension that iterates more than "
                "once must be listed",
                source=source,
                key=key,
            )
        wanted = [workload.dimensions.index(d) for d in entry.order]
    return tuple(workload.dimensions[d] for d in rule.complete(wanted))
