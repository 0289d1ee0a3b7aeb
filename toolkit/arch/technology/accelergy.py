"""Accelergy's tables of energies (ERT) and areas (ART), as figures that replace ours."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from toolkit.arch.peers.timeloop_figures import Tables
from toolkit.arch.peers.timeloop_tree import Part
from toolkit.arch.technology.technology import LevelEstimate
from toolkit.errors import ArchitectureError
from toolkit.peer_files import Node
from toolkit.yaml_files import read_yaml

_SECTIONS = ("ERT", "ART")


def read_accelergy(paths: Sequence[str | os.PathLike[str]]) -> dict[str, LevelEstimate]:
    """Read the figures of components from Accelergy's output.

    Parameters
    ----------
    paths : sequence of path-like
        Files with ``ERT`` and ``ART`` sections, each section once.

    Returns
    -------
    dict of str to LevelEstimate
        By the last part of the component's name, without its range and in lower case:
        ``system.chip.Scratchpad[1..4]`` is ``scratchpad``. Give it to `Technology` as
        ``estimates``.

    Raises
    ------
    ArchitectureError
        Naming file and key, if a file has neither section, a section comes twice, or something
        is not as Accelergy writes it.
    """
    found: dict[str, LevelEstimate] = {}
    seen: dict[str, str] = {}
    for path in paths:
        source = os.fspath(path)
        document = Node(read_yaml(path, error=ArchitectureError), source, ArchitectureError)
        sections = [name for name in _SECTIONS if document.find(name) is not None]
        if not sections:
            raise document.refuse("holds neither ERT nor ART; expected Accelergy's output")
        for section in sections:
            if section in seen:
                raise document.get(section).refuse(f"{seen[section]} gives this section too")
            seen[section] = source
        tables = Tables(document)
        for name in _names(document, sections):
            found[name] = _merged(found.get(name, LevelEstimate()), tables, name, document)
    return found


def _names(document: Node, sections: Sequence[str]) -> list[str]:
    names: dict[str, None] = {}
    for section in sections:
        for entry in document.get(section).get("tables").items():
            name = re.sub(r"\[[^\]]*\]", "", entry.get("name").text())
            names[name.rpartition(".")[2].casefold()] = None
    return list(names)


def _merged(known: LevelEstimate, tables: Tables, name: str, document: Node) -> LevelEstimate:
    part = Part("memory", name, document, (1, 1), "")

    def energy(*actions: str) -> float | None:
        found = (tables.energy(part, action) for action in actions)
        return next((value for value in found if value is not None), None)

    read = energy("read", "compute")
    write, leak, area = energy("write", "update"), energy("leak"), tables.area(part)
    return LevelEstimate(
        known.read_energy_pj if read is None else read,
        known.write_energy_pj if write is None else write,
        known.leakage_pj_per_cycle if leak is None else leak,
        known.area_um2 if area is None else area,
    )
