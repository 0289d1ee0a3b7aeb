"""Capacities, bandwidths and energies of Timeloop's levels, and Accelergy's tables of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.arch.components import LevelEstimate
from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.arch.peers.estimates import MAC_PJ, estimated_pj
from toolkit.arch.peers.timeloop_dense import SPARSE_KEYS
from toolkit.arch.peers.timeloop_tree import Part
from toolkit.errors import ArchitectureError
from toolkit.messages import describe
from toolkit.peer_files import Node
from toolkit.yaml_files import read_yaml

_WORD_BITS = 16
"""Bits of a word where the file does not say, as in Timeloop."""

_ACTIONS = {
    "read": ("random_read", "read"),
    "write": ("random_fill", "random_write", "fill", "write"),
    "update": ("random_update", "update", "random_write", "write"),
    "compute": ("mac_random", "mult_random", "random_compute", "mac", "mult", "compute"),
    "leak": ("leak",),
}
_UNSUPPORTED = (
    "metadata_storage_width",
    "metadata_storage_depth",
    "compression_supported",
    "decompression_supported",
    "concordant_compressed_tile_traversal",
    "allow_overbooking",
    "min_utilization",
    "bandwidth_consumption_scale",
)

_SECTIONS = ("ERT", "ART")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a memory, per instance.

    Parameters
    ----------
    capacity_words : int or None
        None where the file does not say.
    block, cluster : int
        Words of one access, and accesses that share a row among neighbouring instances.
    word_bits : int
        Bits of a word.
    note : str
        What users should know of how they were read; empty mostly.
    """

    capacity_words: int | None
    block: int
    cluster: int
    word_bits: int
    note: str = ""


class Tables:
    """Accelergy's tables of energies (ERT) and areas (ART), by the last part of the name."""

    def __init__(self, document: Node) -> None:
        self._energies = _table(document.find("ERT"), "actions")
        self._areas = _table(document.find("ART"), "area")
        self.given = document.find("ERT") is not None

    def energy(self, part: Part, action: str) -> float | None:
        """Find the energy of an action in pJ: the largest, where arguments tell several apart."""
        actions = self._energies.get(_last(part.name))
        if actions is None:
            return None
        by_name: dict[str, float] = {}
        for entry in actions.items():
            name, energy = entry.get("name").text(), entry.get("energy").number()
            by_name[name] = max(energy, by_name.get(name, 0.0))
        return next((by_name[name] for name in _ACTIONS[action] if name in by_name), None)

    def area(self, part: Part) -> float | None:
        """Find the area of one instance in um^2."""
        found = self._areas.get(_last(part.name))
        return found.number() if found is not None else None


def _last(name: str) -> str:
    """The name that tables are looked up by: of all that a component lies in, itself alone."""
    return name.rpartition(".")[2].casefold()


def _table(section: Node | None, key: str) -> dict[str, Node]:
    found: dict[str, Node] = {}
    if section is None:
        return found
    for entry in section.get("tables").items():
        name = re.sub(r"\[[^\]]*\]", "", entry.get("name").text()).rpartition(".")[2]
        value = entry.find(key)
        if value is not None:
            found[name.casefold()] = value
    return found


def memory_figures(part: Part) -> Figures:
    """Read words, blocks and clusters as Timeloop does.

    Raises
    ------
    ArchitectureError
        If the figures contradict each other, or ask for what is not modelled.
    """
    for name in _UNSUPPORTED:
        given = part.own(name)
        if given is not None and given.value not in (False, 0, "no"):
            hint = "; the parameter dense=1 leaves it out" if name in SPARSE_KEYS else ""
            raise given.refuse(
                f"not modelled; expected 0, false or nothing, got {given.value!r}{hint}"
            )
    reduces = part.own("reduction_supported")
    if reduces is not None and reduces.value in (False, "no"):
        raise reduces.refuse("memories that cannot accumulate are not modelled; expected true")
    given = part.find("word_bits", "word_width", "datawidth")
    word_bits = given.integer(1, 4096) if given else _WORD_BITS
    block, cluster = _block(part, word_bits)
    capacity, note = _capacity(part, block, word_bits)
    return Figures(capacity, block, cluster, word_bits, note)


def _block(part: Part, word_bits: int) -> tuple[int, int]:
    """Words of one access, and accesses that share a row among neighbouring instances."""
    block = part.own("block_size", "n_words")
    cluster = part.own("cluster_size")
    width = part.own("width", "memory_width", "data_storage_width")
    words = block.integer(1, 2**31) if block else 1
    together = cluster.integer(1, 2**31) if cluster else 1
    if width is None:
        return words, together
    bits = width.integer(1, 2**31)
    if bits % (word_bits * words * together):
        raise width.refuse(
            f"{bits} bits are no multiple of {word_bits * words * together}, which is word bits "
            f"({word_bits}) times block size ({words}) times cluster size ({together})"
        )
    whole = bits // word_bits
    if block is None:
        return whole // together, together
    return words, whole // words


def _capacity(part: Part, block: int, word_bits: int) -> tuple[int | None, str]:
    """Words of one instance, None where the file does not say, and what to know of them."""
    entries, kib = part.own("entries"), part.own("sizeKB")
    depth = part.own("depth", "memory_depth", "data_storage_depth")
    rows = None if depth is None else depth.integer(0) * block
    size = None if kib is None else int(kib.number() * 1024 * 8) // word_bits
    words = None if entries is None else entries.integer(0)
    if size is not None and {rows, words} - {size, None}:
        raise part.node.refuse(
            "gives sizes that differ; expected one of entries, depth, sizeKB, or equal ones"
        )
    if words is None:
        return (size if rows is None else rows), ""
    if rows is None or rows == words:
        return words, ""
    # Timeloop takes the entries and leaves depth and width to Accelergy.
    return words, f"{words} entries count, as in Timeloop, not depth times width ({rows} words)"


def bandwidths(part: Part) -> tuple[float, float]:
    """Words per cycle read and written; a shared bandwidth is half and half."""
    shared = part.own("shared_bandwidth", "bandwidth")
    half = shared.number(1e-9) / 2 if shared else UNLIMITED_BANDWIDTH
    read, write = part.own("read_bandwidth"), part.own("write_bandwidth")
    return (
        read.number(1e-9, UNLIMITED_BANDWIDTH) if read else half,
        write.number(1e-9, UNLIMITED_BANDWIDTH) if write else half,
    )


def memory_energies(
    part: Part, figures: Figures, tables: Tables, only_outputs: bool, default: bool
) -> Mapping[str, float]:
    """Find the energies of a memory, pJ per word, and its leakage per cycle.

    Raises
    ------
    ArchitectureError
        If neither a table nor the file gives them, and no defaults were asked for.
    """
    words = figures.block * figures.cluster
    write = "update" if only_outputs else "write"
    found = {action: tables.energy(part, action) for action in ("read", write, "leak")}
    own = part.own("vector_access_energy")
    if found["read"] is not None and found[write] is not None:
        read_pj, write_pj = found["read"] / words, (found[write] or 0.0) / words
    elif own is not None:
        read_pj = write_pj = own.number() / figures.block
    elif default:
        dram = "dram" in part.category
        read_pj = write_pj = estimated_pj(figures.capacity_words, figures.word_bits, off_chip=dram)
    else:
        raise _no_energy(part, tables, "read and write", "vector-access-energy")
    leak = found["leak"] or 0.0
    return {
        "read_energy_pj": read_pj,
        "write_energy_pj": write_pj,
        **({"leakage_pj_per_cycle": leak} if leak else {}),
    }


def compute_energies(part: Part, tables: Tables, default: bool) -> Mapping[str, float]:
    """Find the energy of a multiply-accumulate in pJ, and the leakage per cycle.

    Raises
    ------
    ArchitectureError
        As `memory_energies` does.
    """
    energy = tables.energy(part, "compute")
    own = part.own("energy_per_op")
    if energy is None and own is not None:
        energy = own.number()
    if energy is None and default:
        energy = MAC_PJ
    if energy is None:
        raise _no_energy(part, tables, "compute", "energy-per-op")
    leak = tables.energy(part, "leak") or 0.0
    return {"mac_energy_pj": energy, **({"leakage_pj_per_cycle": leak} if leak else {})}


def _no_energy(part: Part, tables: Tables, actions: str, attribute: str) -> Exception:
    table = (
        f"the table does not give {actions} of {part.name}"
        if tables.given
        else "Timeloop takes energies from Accelergy's table"
    )
    return part.node.refuse(
        f"no energy for {describe(part.name)}: {table}. Append the table, such as "
        f"arch.yaml+timeloop-mapper.ERT.yaml, or give {attribute} here, or accept estimates "
        "with the parameter default_energies=1"
    )


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

    Examples
    --------
    >>> import toolkit
    >>> toolkit.read_accelergy([])
    {}
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
