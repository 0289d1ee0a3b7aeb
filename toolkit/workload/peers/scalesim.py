"""SCALE-Sim's topologies (CSV) as workloads, one a row; FORMATS.md says what carries over."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import WorkloadError
from toolkit.messages import describe, shown_path, suggest
from toolkit.text_files import decode, read_bytes
from toolkit.workload.kernel import Workload
from toolkit.workload.kinds import MAX_SIZE
from toolkit.workload.ready_made import conv2d, depthwise_conv2d, gemm, grouped_conv2d

_WINDOW = (
    "IFMAP Height",
    "IFMAP Width",
    "Filter Height",
    "Filter Width",
    "Channels",
    "Num Filter",
)
_PRODUCT = ("M", "N", "K")
_MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class TopologyRow:
    """A layer of a topology.

    Parameters
    ----------
    name : str
        As the file calls it, with a number behind names that come again.
    workload : Workload
        What it computes.
    """

    name: str
    workload: Workload


def read_topology(path: str) -> tuple[TopologyRow, ...]:
    """Read a topology.

    Columns count by their place, as in SCALE-Sim, whatever their titles say: convolutions have
    the height and width of the input and of the filter, channels, filters and one or two strides;
    products have M, N and K.

    Raises
    ------
    WorkloadError
        Naming file, line, column, value and expectation.
    """
    source = shown_path(path)
    text = decode(read_bytes(path, WorkloadError), source, WorkloadError)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter="," if "," in first else "\t")
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as cause:
        raise WorkloadError(f"line {reader.line_num}: not CSV: {cause}", source=source) from None
    written = [(number, row) for number, row in lines if any(row)]
    title = written[0][1] if written else []
    if not title or "layer" not in title[0].casefold():
        raise WorkloadError(
            "is no topology of SCALE-Sim's; expected a first line with Layer name, IFMAP Height, "
            "... or with Layer, M, N, K",
            source=source,
        )
    if len(written) > _MAX_ROWS:
        raise WorkloadError(f"more than {_MAX_ROWS} layers", source=source)
    products = tuple(cell.upper() for cell in title[1:4]) == _PRODUCT
    second = title[1] if len(title) > 1 else ""
    if not products and not second.casefold().startswith("ifmap"):
        raise WorkloadError(
            f"is no topology of SCALE-Sim's: the second column is {describe(second)}; expected "
            "IFMAP Height, or M",
            source=source,
        )
    rows: list[TopologyRow] = []
    names: dict[str, int] = {}
    for number, row in written[1:]:
        rows.append(_row(row, number, products, names, title, source))
    return tuple(rows)


def topology_workload(path: str, layer: str | None) -> Workload:
    """Take one layer of a topology.

    Raises
    ------
    WorkloadError
        As `read_topology` does, or naming the layers if none of them is called `layer`.
    """
    rows = {row.name: row.workload for row in read_topology(path)}
    if layer is None and len(rows) == 1:
        return next(iter(rows.values()))
    listed = ", ".join(list(rows)[:40]) + (f" and {len(rows) - 40} more" if len(rows) > 40 else "")
    if layer is None:
        raise WorkloadError(
            f"holds {len(rows)} layers where one workload is expected; name one, such as "
            f"{path}:{next(iter(rows), 'Conv1')}, or read all with load_network. Layers: {listed}",
            source=shown_path(path),
        )
    if layer not in rows:
        raise WorkloadError(
            f"no layer {describe(layer)}{suggest(layer, rows)}; expected one of {listed}",
            source=shown_path(path),
        )
    return rows[layer]


def _row(
    row: Sequence[str],
    number: int,
    products: bool,
    names: dict[str, int],
    title: Sequence[str],
    source: str,
) -> TopologyRow:
    columns = _PRODUCT if products else (*_WINDOW, "Strides")
    if len(row) <= len(columns):
        raise WorkloadError(
            f"line {number}: expected a name and {', '.join(columns)}, got {len(row)} columns",
            source=source,
        )
    name = row[0] or f"Layer{number}"
    names[name] = names.get(name, 0) + 1
    unique = name if names[name] == 1 else f"{name}_{names[name]}"

    def integer(place: int, column: str) -> int:
        cell = row[place]
        if not re.fullmatch(r"[0-9]{1,10}", cell) or not 1 <= int(cell) <= MAX_SIZE:
            raise WorkloadError(
                f"line {number}: {column}: expected an integer from 1 to {MAX_SIZE}, got "
                f"{describe(cell)}",
                source=source,
            )
        return int(cell)

    if products:
        m, n, k = (integer(i + 1, column) for i, column in enumerate(columns))
        # Rows of the input are what our products call N, filters are M.
        return TopologyRow(unique, gemm(n, k, m, name=unique))
    sizes = [integer(i + 1, column) for i, column in enumerate(columns)]
    down = sizes[6]
    across = integer(8, "second stride") if _has_second_stride(row, title) else down
    return TopologyRow(unique, _convolution(unique, sizes, (down, across), number, source))


def _has_second_stride(row: Sequence[str], title: Sequence[str]) -> bool:
    """Whether the ninth column is one: some files note other things there, such as #dw."""
    told = title[8].casefold() if len(title) > 8 else ""
    given = len(row) > 8 and row[8] != "" and not row[8].startswith("#")
    return given and ("stride" in told or not told)


def _convolution(
    name: str, sizes: Sequence[int], stride: tuple[int, int], number: int, source: str
) -> Workload:
    height, width, r, s, channels, filters, _ = sizes
    if r > height or s > width:
        raise WorkloadError(
            f"line {number}: a filter of {r} x {s} is larger than its input of {height} x {width}",
            source=source,
        )
    # SCALE-Sim rounds up: the last window may reach over the edge.
    p, q = -(-(height - r + stride[0]) // stride[0]), -(-(width - s + stride[1]) // stride[1])
    if "DP" in name:  # SCALE-Sim's mark of one set of filters for each channel.
        if filters == 1:
            return depthwise_conv2d(channels, p, q, r, s, stride=stride, name=name)
        return grouped_conv2d(channels, filters, 1, p, q, r, s, stride=stride, name=name)
    return conv2d(filters, channels, p, q, r, s, stride=stride, name=name)
