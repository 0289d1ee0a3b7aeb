"""Which of other tools' files read, and why the rest does not: a table over folders that you name.

    python studies/read_peers_files.py FOLDER ... [--value NAME=N ...] [--list]

Files are told by what they hold. Each is tried as it is, then with what its tool takes from
elsewhere and with each consent that our readers ask for (docs/peers.md explains them).
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import toolkit
from toolkit.errors import InputError
from toolkit.study.script import Arguments, run_script
from toolkit.workload.network import load_network

KINDS = {
    "ONNX models": (".onnx", rb""),
    "topologies (CSV)": (".csv", rb"(?i)\A(?:\xef\xbb\xbf)?[^\n]*layer(?!id)"),
    "configurations": (".cfg", rb"(?m)^\[architecture_presets\]"),
    "mappings": (".map.txt .map.yaml", rb""),
    "problems": (".yaml .yml", rb"(?m)^problem[ \t]*:"),
    "architectures": (".yaml .yml", rb"(?m)^(?:arch|architecture)[ \t]*:"),
    "accelerators and cores": (".yaml .yml", rb"(?m)^operational_array[ \t]*:|^type: *aie"),
    "chips": (".yaml .yml", rb"(?m)^cores[ \t]*:"),
    "layers": (".yaml .yml", rb"(?m)^- (?:id|equation|operator_type)[ \t]*:"),
    "einsums": (".yaml .yml", rb"(?m)^workload[ \t]*:"),
}
AS_IT_IS = "as it is"


@dataclass
class Row:
    """One line of the table."""

    tried: int = 0
    read: Counter[str] = field(default_factory=Counter)
    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def kinds(path: Path) -> list[str]:
    """Tell what a file holds: several things, or nothing that is read."""
    if not path.is_file():
        return []
    data = path.read_bytes()[: 1 << 20]
    return [
        kind
        for kind, (endings, pattern) in KINDS.items()
        if path.name.lower().endswith(tuple(endings.split())) and re.search(pattern, data)
    ]


def attempts(kind: str, path: Path, values: dict[str, int]) -> Iterator[tuple[str, Callable]]:
    """List the ways to read a file, and what each is called."""
    name = str(path)
    if kind == "problems":
        yield AS_IT_IS, lambda: toolkit.load_workload(name)
    elif kind == "mappings":
        yield "with the input beside it", lambda: mapping(path)
    elif kind in ("ONNX models", "topologies (CSV)", "layers", "einsums"):
        yield AS_IT_IS, lambda: load_network(name)
        if kind == "einsums" and values:
            yield "with --value", lambda: load_network(name, values)
    else:
        yield AS_IT_IS, lambda: toolkit.load_arch(name)
        for table in tables(path) if kind == "architectures" else ():
            joined = f"{name}+{table}"
            yield "with the tables shipped", lambda j=joined: toolkit.load_arch(j)
            yield "tables, dense=1", lambda j=joined: toolkit.load_arch(f"{j}:dense=1")
        variables = path.parent / "variables.yaml"
        if kind == "architectures" and variables.is_file():
            yield (
                "with variables beside it",
                lambda: toolkit.load_arch(f"{name}+{variables}:default_energies=1"),
            )
        for given in ("core=0", "nest=1", "core=0,nest=1", "default_energies=1"):
            yield given, lambda g=given: toolkit.load_arch(f"{name}:{g}")
        yield "dense=1", lambda: toolkit.load_arch(f"{name}:default_energies=1,dense=1")
        if kind == "accelerators and cores":
            yield "behind a core", lambda: behind_a_core(path)


def tables(path: Path) -> Iterator[Path]:
    """Find tables of energies below the folder of an architecture, or else below the next one."""
    for folder in (path.parent, path.parent.parent):
        found = sorted(folder.rglob("*ERT.yaml"), key=lambda p: (len(p.parts), p))
        if found:
            yield from found[:2]
            return


def mapping(path: Path) -> object:
    """Read a mapping with the architecture and the problem that lie beside it in one file."""
    found = [other for other in sorted(path.parent.glob("*.yaml")) if len(kinds(other)) > 1]
    if not found:
        raise InputError("no file with architecture and problem lies beside it")
    arch = toolkit.load_arch(f"{found[0]}:default_energies=1,dense=1")
    workload = toolkit.load_workload(found[0])
    text = path.read_text(encoding="utf-8")
    return toolkit.mapping_from_text(text, arch, workload, source=str(path))


def behind_a_core(path: Path) -> object:
    """Read a core that only holds memory as the memory around a core of its folder."""
    for core in sorted(path.parent.glob("*.yaml")):
        try:
            toolkit.load_arch(core)
        except InputError:
            continue
        return toolkit.load_arch(f"{core}+{path}")
    raise InputError("no core that computes lies beside it")


def reason(cause: InputError) -> str:
    """Shorten a message to what files of a kind share."""
    message = re.sub(r"'[^']*/[^']*'", "'...'", cause.message)
    message = re.sub(r"\d+", "N", " ".join(message.split()))
    key = re.sub(r"\[\d+\]|\d+", "", cause.key or "").rpartition(".")[2]
    shown = f"{key}: {message}" if key else message
    return shown if len(shown) <= 90 else f"{shown[:87]}..."


def tried(folder: Path, values: dict[str, int]) -> dict[str, Row]:
    """Try all files below a folder."""
    rows: dict[str, Row] = defaultdict(Row)
    places = (Path(place, file) for place, _, files in os.walk(folder) for file in files)
    for path in sorted(places):
        for kind in kinds(path):
            row = rows[kind]
            row.tried += 1
            causes = []
            for way, read in attempts(kind, path, values):
                try:
                    read()
                    row.read[way] += 1
                    break
                except InputError as cause:
                    causes.append(cause)
            else:
                # A consent that is missing says less than what stays when it is given.
                told = [cause for cause in causes if "parameter" not in cause.message]
                row.refused[reason((told or causes)[0])].append(str(path))
    return rows


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--value", action="append", default=[], help="a name that templates ask")
    parser.add_argument("--list", action="store_true", help="list the files that are refused")
    given = parser.parse_args()
    pairs = [re.fullmatch(r"(\w+)=([0-9]+)", text) for text in given.value]
    if None in pairs:
        raise InputError("--value: expected NAME=N, such as BATCH_SIZE=1")
    values = {pair[1]: int(pair[2]) for pair in pairs if pair}
    warnings.simplefilter("ignore", UserWarning)
    print(
        "| repository | kind | tried | read | how | refused, because |\n|---|---|---|---|---|---|"
    )
    for folder in given.folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: expected a folder")
        for kind, row in tried(folder, values).items():
            ways = "; ".join(f"{count} {way}" for way, count in row.read.most_common())
            causes = sorted(row.refused.items(), key=lambda item: -len(item[1]))
            why = "; ".join(f"{len(paths)} {cause}" for cause, paths in causes)
            cells = (folder.name, kind, row.tried, row.read.total(), ways, why.replace("|", "\\|"))
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
            for path in [p for _, paths in causes for p in paths] if given.list else ():
                print(f"<!-- {path} -->")


if __name__ == "__main__":
    run_script(main)
