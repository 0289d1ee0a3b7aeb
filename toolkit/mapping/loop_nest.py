"""A mapping as the loop nest that it stands for, level by level: what pictures and texts show."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Memory
from toolkit.arch.packing import Footing, footing
from toolkit.mapping.bounds import Footprint, check_footprint, exact_tensor_words
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.kept import Keeping
from toolkit.mapping.last_rounds import cuts_off, last_rounds
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.workload.kernel import Tensor, Workload, subscript

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class NestLoop:
    """A loop of more than one iteration.

    Parameters
    ----------
    dimension : str
        What it runs over.
    iterations : int
        How often it turns.
    tile : int
        Extent of the dimension that one iteration covers.
    last_tile : int
        Extent of the very last tile: less than `tile` where it is cut off.
    last_round : int
        How often it turns in its last round: less than `iterations` where that is cut off.
    """

    dimension: str
    iterations: int
    tile: int
    last_tile: int
    last_round: int

    @property
    def ragged(self) -> bool:
        """Whether something of it is cut off."""
        return self.last_tile < self.tile or self.last_round < self.iterations

    @property
    def cut(self) -> str:
        """What is cut off, in words; empty if nothing is."""
        parts = []
        if self.last_tile < self.tile:
            parts.append(f"tiles of {self.tile}, the last {self.last_tile}")
        if self.last_round < self.iterations:
            parts.append(f"{self.last_round} in the last round")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class HeldTile:
    """What one instance of a memory holds of a tensor.

    Parameters
    ----------
    tensor : str
        Its name.
    words : float
        Words of the memory that the largest tile takes, or, where nothing outside holds the
        tensor, all that stays.
    stays : bool
        Whether it does so for the whole run.
    """

    tensor: str
    words: float
    stays: bool


@dataclass(frozen=True, slots=True)
class NestLevel:
    """One level of a mapping: what it holds, and its loops.

    Parameters
    ----------
    level : str
        Its name.
    spatial : bool
        Whether its loops run in parallel.
    loops : tuple of NestLoop
        Of more than one iteration, outermost first.
    held : tuple of HeldTile
        Of a memory.
    bypassed : tuple of str
        Tensors that pass a memory by.
    left_out : tuple of str
        Those of them that the mapping leaves out though it need not.
    total_words : int
        Words that all tiles of one instance take, one copy of each.
    capacity_words : int or None
        Of one instance of a memory; None is unlimited.
    copies : float
        Of each tile that have to fit.
    used, mesh : int
        Instances of a spatial level, those it uses and those there are.
    """

    level: str
    spatial: bool
    loops: tuple[NestLoop, ...]
    held: tuple[HeldTile, ...] = ()
    bypassed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    total_words: int = 0
    capacity_words: int | None = None
    copies: float = 1.0
    used: int = 1
    mesh: int = 1


def nest_levels(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    footprint: Footprint = "distinct",
    outermost_supplies: bool = False,
) -> tuple[NestLevel, ...]:
    """Work out the loop nest of a mapping, outermost level first.

    Parameters
    ----------
    mapping, arch, workload, footprint, outermost_supplies
        As `render` takes them.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`.
    PrecisionError
        If a window is too wide to be counted by enumeration.
    """
    check_footprint(footprint)
    factors, order = to_arrays(mapping, arch, workload)
    chosen = chosen_arch(arch, workload, mapping)
    columns: list[list[int]] = factors.T.tolist()
    pairs = zip(columns, workload.sizes.values(), strict=True)
    whole = [size if cuts_off(column, size) else prod(column) for column, size in pairs]
    rounds = [last_rounds(column, size) for column, size in zip(columns, whole, strict=True)]
    keeping = Keeping(chosen, workload, outermost_supplies)
    found = []
    for i, (level, usual) in enumerate(zip(chosen.levels, arch.levels, strict=True)):
        loops = []
        for d in order[i].tolist():
            if columns[d][i] > 1:
                tile = prod(columns[d][i + 1 :])
                rest = (whole[d] - 1) % tile + 1
                name = workload.dimensions[d]
                loops.append(NestLoop(name, columns[d][i], tile, rest, rounds[d][i]))
        if not (isinstance(level, Memory) and isinstance(usual, Memory)):
            used = prod(loop.iterations for loop in loops)
            assert not isinstance(level, Memory)
            found.append(NestLevel(level.name, True, tuple(loops), used=used, mesh=level.mesh))
            continue
        extents = [min(prod(x[i:]), most) for x, most in zip(columns, whole, strict=True)]
        m = chosen.memories.index(level)
        seen = keeping.seen(m, factors.astype(object))
        kept = {
            tensor.name: keeping.extents(m, t, extents, seen).tolist()
            for t, tensor in enumerate(workload.tensors)
            if keeping.tensors[m, t]
        }
        room = footing(chosen, workload, level)
        held, total = _held(level, workload, room, extents, kept, footprint)
        passing = [t for t in workload.tensors if not holds(level, t)]
        found.append(
            NestLevel(
                level.name,
                False,
                tuple(loops),
                held,
                tuple(t.name for t in passing),
                tuple(t.name for t in passing if holds(usual, t)),
                total,
                level.capacity_words,
                level.multiple_buffering,
            )
        )
    return tuple(found)


def _held(
    memory: Memory,
    workload: Workload,
    room: Footing,
    extents: list[int],
    kept: dict[str, list[int]],
    footprint: Footprint,
) -> tuple[tuple[HeldTile, ...], int]:
    """Tiles of one instance, and the words that all take together."""
    held = []
    total, one = 0, room.units_per_word
    for tensor, units in zip(workload.tensors, room.units, strict=True):
        if holds(memory, tensor):
            own = kept.get(tensor.name, extents)
            taken = exact_tensor_words(tensor, own, workload.dimensions, footprint) * units
            total += taken
            words = taken // one if taken % one == 0 else taken / one
            held.append(HeldTile(tensor.name, words, tensor.name in kept))
    return tuple(held), -(-total // one)


def render(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    footprint: Footprint = "distinct",
    outermost_supplies: bool = False,
) -> str:
    """Write a mapping as a readable loop nest.

    Every memory opens with the tensors it holds and the words of their largest tiles there (or,
    where nothing outside holds a tensor, of all that stays), and with those that the mapping
    leaves out though it need not, followed by its loops, outermost first; loops of one iteration
    are left out. Where factors reach a size instead of multiplying to it, a loop says how large
    its last tile is, and how often it turns in its last round.

    Parameters
    ----------
    mapping : Mapping
        What to show; it need not be valid.
    arch, workload : Architecture, Workload
        What it maps.
    footprint : {"distinct", "stride_blind", "bounding"}
        How tiles are counted.
    outermost_supplies : bool
        Whether the outermost memory supplies what it bypasses, too; see `MapSpace`.

    Returns
    -------
    str
        Lines of text, the last one ended.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`.
    PrecisionError
        If a window is too wide to be counted by enumeration.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> text = toolkit.render(best.mapping, best.problem.arch, best.problem.workload)
    >>> text.splitlines()[-1].strip()
    'output[m, n] += input[k, n] * weight[m, k]'
    """
    levels = nest_levels(
        mapping, arch, workload, footprint=footprint, outermost_supplies=outermost_supplies
    )
    lines: list[str] = []
    depth = 0
    for level, entry in zip(arch.levels, levels, strict=True):
        lines.append(_INDENT * depth + heading(entry))
        word = "parallel-for" if entry.spatial else "for"
        for loop in entry.loops:
            depth += 1
            cut = f"  # {loop.cut}" if loop.cut else ""
            name = loop.dimension.lower()
            lines.append(_INDENT * depth + f"{word} {name} in 0..{loop.iterations}{cut}")
        depth += 1
        if isinstance(level, Compute):
            lines.append(_INDENT * depth + statement(workload))
    return "\n".join(lines) + "\n"


def heading(entry: NestLevel) -> str:
    """Write what stands above the loops of a level: what it holds, or how much of it is used."""
    if entry.spatial:
        return f"{entry.level}: {entry.used} of {entry.mesh} instances"
    held = []
    for tile in entry.held:
        words = f"{tile.words:,}" if isinstance(tile.words, int) else f"{tile.words:,.10g}"
        held.append(f"{tile.tensor} {words}{' for the whole run' * tile.stays}")
    capacity = "unlimited" if entry.capacity_words is None else f"{entry.capacity_words:,}"
    times = f" x {entry.copies:g} copies" if entry.copies != 1 else ""
    whole = len(held) == 1 and entry.held[0].words == entry.total_words
    total = "" if not held or whole else f" = {entry.total_words:,}"
    left_out = f"; leaves out {', '.join(entry.left_out)}" if entry.left_out else ""
    tensors = " + ".join(held) or "nothing"
    return f"{entry.level}: {tensors}{total}{times} of {capacity} words{left_out}"


def statement(workload: Workload) -> str:
    """Write what the innermost loop does."""
    inputs = " * ".join(access(t) for t in workload.tensors if t.role != "output")
    return f"{access(workload.output)} += {inputs}"


def access(tensor: Tensor) -> str:
    """Write a tensor with its indices."""
    return f"{tensor.name}[{', '.join(subscript(index) for index in tensor.indices)}]"
