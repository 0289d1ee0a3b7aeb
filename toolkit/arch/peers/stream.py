"""Stream's cores and chips: one core with the memories further out, as ZigZag's accelerator.

A core is an accelerator of ZigZag's with a ``type``; cores that only hold memory have an array of
no multipliers. A chip lists cores and what connects them. What links cost is not carried over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key
from toolkit.peer_files import Document, Node, read_document

PARAMETER = "core"
"""Parameter that chooses a core of a chip, by its number."""

_MAX_CORES = 4096
_Data = dict[str, object]


def is_chip(data: object) -> bool:
    """Whether a file holds a chip of Stream's."""
    return isinstance(data, Mapping) and {"cores", "core_connectivity"} <= data.keys()


def only_holds(data: object) -> bool:
    """Whether a core only holds memory: its array has no multipliers."""
    array = data.get("operational_array") if isinstance(data, Mapping) else None
    sizes = array.get("sizes") if isinstance(array, Mapping) else None
    return isinstance(sizes, list) and bool(sizes) and all(size == 0 for size in sizes)


def refuse_without_costs(data: object, source: str) -> None:
    """Refuse a core of an AI engine, of which Stream's files only give the memory."""
    if isinstance(data, Mapping) and "memory" in data and str(data.get("type")).startswith("aie"):
        raise ArchitectureError(
            "cores of AI engines give neither energies nor multipliers; expected a core with "
            "memories and operational_array",
            source=source,
            key="type",
        )


def joined_cores(documents: Sequence[Document]) -> Document:
    """Put the memories of cores that only hold some around the first core.

    Parameters
    ----------
    documents : sequence of Document
        A core, then cores that only hold memory, inner ones first.

    Raises
    ------
    ArchitectureError
        Naming the file that is out of place.
    """
    first, *others = documents
    for document in documents:
        refuse_without_costs(document.data, document.source)
    for document, holds in ((first, False), *((other, True) for other in others)):
        if only_holds(document.data) != holds:
            raise ArchitectureError(
                "expected a core with multipliers first, then cores that only hold memory, "
                "such as core.yaml+offchip.yaml",
                source=document.source,
                key="operational_array.sizes",
            )
    core = Node(first.data, first.source, ArchitectureError)
    array = core.get("operational_array").get("dimensions").value
    memories = dict(_mapping(core.get("memories")))
    for document in others:
        node = Node(document.data, document.source, ArchitectureError)
        for name, memory in _mapping(node.get("memories")).items():
            place = Node(memory, document.source, ArchitectureError, ("memories", name))
            own = name if name not in memories else f"{name}_{len(memories)}"
            # Every multiplier is served by it, however its own file numbers them.
            memories[own] = {**_mapping(place), "served_dimensions": array}
    data = {**_mapping(core), "memories": memories}
    return Document(data, "+".join(d.source for d in documents), first.used)


def chip_core(chip: Document, path: str, given: Mapping[str, object]) -> Document:
    """Take one core of a chip, with the memories between it and the outside.

    Parameters
    ----------
    chip : Document
        The chip's file.
    path : str
        Where it lies; cores are files below its folder.
    given : mapping
        Parameters, of which `PARAMETER` may choose the core.

    Raises
    ------
    ArchitectureError
        If the core is not chosen, not there, cannot be read, or several memories lie around it.
    """
    node = Node(chip.data, chip.source, ArchitectureError)
    files = {number: entry for number, entry in _mapping(node.get("cores")).items()}
    if len(files) > _MAX_CORES:
        raise node.get("cores").refuse(f"more than {_MAX_CORES} cores")
    read: dict[str, Document] = {}

    def core(number: str) -> Document:
        place = Node(files[number], chip.source, ArchitectureError, ("cores", number))
        if isinstance(place.value, dict):
            source = f"{chip.source}: {format_key(place.path)}"
            return Document(place.value, source)
        name = place.text()
        if name not in read:
            read[name] = read_document(_core_path(place, path), ArchitectureError)
        return read[name]

    chosen = _chosen(node, files, given, core)
    outside = str(node.get("offchip_core_id").integer(0))
    inner = _between(node, chosen, outside, files, core)
    around = [core(number) for number in (*inner, outside) if number in files]
    joined = joined_cores([core(chosen), *around])
    called = Node(core(chosen).data, chip.source, ArchitectureError).get("name").text()
    named = {"name": f"{node.get('name').text()}-{called}"}
    data = _mapping(Node(joined.data, chip.source, ArchitectureError))
    return Document({**data, **named}, chip.source, frozenset({PARAMETER}))


def _core_path(place: Node, path: str) -> str:
    """Find the file of a core: in the folder of the chip, or in the folder ``cores`` there."""
    folder = Path(os.path.realpath(path)).parent
    name = place.text()
    # Some are written from the folder that Stream was started in.
    last = name.rpartition("/")[2]
    for candidate in (folder / "cores" / name, folder / name, folder / "cores" / last):
        real = Path(os.path.realpath(candidate))
        if not real.is_relative_to(folder):
            raise place.refuse(f"{describe(name)} lies outside of the folder of the chip")
        if real.suffix.lower() in (".yaml", ".yml") and real.is_file():
            return str(candidate)
    raise place.refuse(f"no file {describe(name)} beside the chip, nor in the folder cores there")


def _chosen(
    chip: Node,
    files: Mapping[str, object],
    given: Mapping[str, object],
    core: Callable[[str], Document],
) -> str:
    computing = [number for number in files if not only_holds(core(number).data)]
    if PARAMETER not in given and len(computing) == 1:
        return computing[0]
    number = str(given.get(PARAMETER))
    if number in computing:
        return number
    listed = ", ".join(computing[:40]) or "none"
    if PARAMETER in given:
        raise chip.get("cores").refuse(
            f"no core that computes is called {describe(number)}; expected one of {listed}"
        )
    raise chip.get("cores").refuse(
        f"holds {len(computing)} cores that compute; choose one with the parameter {PARAMETER}, "
        f"such as {Path(chip.source).name}:{PARAMETER}={computing[0] if computing else 0}, of "
        f"{listed}"
    )


def _between(
    chip: Node,
    chosen: str,
    outside: str,
    files: Mapping[str, object],
    core: Callable[[str], Document],
) -> list[str]:
    """Find the core that holds memory and is connected to the chosen one, if there is one."""
    aliases = chip.find("memory_aliases")
    for group in aliases.items() if aliases else ():
        if any(word.startswith(f"{chosen}.") for word in _words(group)):
            return []  # The core has the shared memory as its own.
    found: dict[str, None] = {}
    for connection in chip.get("core_connectivity").items():
        members = _words(connection.get("cores"))
        if chosen in members:
            found.update(
                dict.fromkeys(
                    number
                    for number in members
                    if number in files
                    and number not in (chosen, outside)
                    and only_holds(core(number).data)
                )
            )
    if len(found) > 1:
        raise chip.get("core_connectivity").refuse(
            f"core {chosen} is connected to several memories ({', '.join(found)}), which are no "
            "chain of levels; join the files that you mean, such as core.yaml+offchip.yaml"
        )
    return list(found)


def _words(node: Node) -> list[str]:
    return [str(item.value) for item in node.items()]


def _mapping(node: Node) -> _Data:
    if not isinstance(node.value, dict):
        raise node.refuse(f"expected a mapping, got {describe(node.value)}")
    return node.value
