"""Options of commands that read networks, and how their words are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from toolkit.search.result import Budget

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An ONNX file, or a network that toolkit list networks names, with a precision "
        "behind it if wanted: llama3-8b:int4.",
    ),
]
Strategy = Annotated[
    str,
    typer.Option(metavar="NAME", help="How to search; see: toolkit list strategies."),
]
Evaluations = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10**18,
        help="Most mappings to cost for one workload; 100,000 by default, unless --seconds or a "
        "strategy that proves the optimum ends the search.",
        show_default=False,
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(help="Longest time to search one workload.", show_default=False),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")]
Dims = Annotated[
    list[str],
    typer.Option(
        "--dim",
        metavar="NAME=SIZE",
        help="Size of a dynamic dimension, such as batch=1, of an axis of a tensor, such as "
        "images:0=1, or how often a Loop runs, such as LOOP:iterations=20; total=4096 says how "
        "much of a longer cache is in use; repeat for several.",
    ),
]
Unknown = Annotated[
    str,
    typer.Option(
        metavar="WAY", help="What becomes of unknown operators: error, free or elementwise."
    ),
]
FoldBatchNorm = Annotated[
    bool,
    typer.Option(
        "--fold-batch-norm", help="Fold batch normalizations into the layers before them."
    ),
]
Bits = Annotated[
    str,
    typer.Option(
        metavar="BITS",
        help="Bits of values: as the types in the file say (file), of all, such as 8, "
        "weight=4,activation=8,sum=32, or none, so that each takes a word (word).",
    ),
]
OverlapVector = Annotated[
    bool,
    typer.Option(
        "--overlap-vector",
        help="Run layers of the vector unit beside those of the array, where both are free.",
    ),
]
NoPad = Annotated[
    bool,
    typer.Option(
        "--no-pad", help="Refuse sizes that constraints do not divide, instead of rounding up."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Processes; as many as there are cores by default, 1 under --fusion.",
        show_default=False,
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Write tables as CSV and Parquet, and pictures as PNG and HTML.",
        show_default=False,
    ),
]
CacheFolder = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Keep results of searches here; by default in the user's cache folder "
        "(~/.cache/accel-search-toolkit/layers on Linux). The words in-place and copied mean "
        "--kv-cache instead.",
        show_default=False,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Search every layer, and keep nothing.")]


def read_cache(folder: str | None, no_cache: bool) -> bool | str:
    """Whether results of searches are kept, or in which folder.

    Raises
    ------
    InputError
        If both are given.
    """
    from toolkit.errors import InputError

    if folder is not None and no_cache:
        raise InputError("given with --no-cache; expected one of them", source="--cache")
    return not no_cache if folder is None else folder


def read_padding(words: Sequence[str], no_pad: bool) -> bool | tuple[str, ...] | str:
    """Dimensions whose padded size is chosen, or whether sizes may be rounded up.

    Raises
    ------
    InputError
        If both are given.
    """
    from toolkit.cli.problems import read_pad
    from toolkit.errors import InputError

    if words and no_pad:
        raise InputError("given with --no-pad; expected one of them", source="--pad")
    return read_pad(words) or not no_pad


def read_budget(evaluations: int | None, seconds: float | None) -> Budget | None:
    """Limits as the user gives them; None if he gives none.

    Raises
    ------
    InputError
        If one is not positive.
    """
    from toolkit.search.result import Budget

    given = evaluations is not None or seconds is not None
    return Budget(evaluations, seconds) if given else None


def read_dims(words: Sequence[str]) -> dict[str, int]:
    """Read sizes of dimensions, such as ``batch=1``.

    Raises
    ------
    InputError
        If a word is not of this form, or a name is given twice.

    Examples
    --------
    >>> read_dims(["batch=1", "images:0=4"])
    {'batch': 1, 'images:0': 4}
    """
    from toolkit.errors import InputError
    from toolkit.messages import describe

    sizes: dict[str, int] = {}
    for word in words:
        name, equals, size = word.rpartition("=")
        if not (name and equals and size.isascii() and size.isdigit() and len(size) < 19):
            raise InputError(f"expected NAME=SIZE, got {describe(word)}", source="--dim")
        if name in sizes:
            raise InputError(f"{describe(name)} is given twice", source="--dim")
        sizes[name] = int(size)
    return sizes


def read_bits(text: str) -> str | dict[str, int]:
    """Read bits of values, such as ``file``, ``8`` or ``weight=4,activation=8,sum=32``.

    Raises
    ------
    InputError
        If the text is not of one of these forms, or a key is given twice.

    Examples
    --------
    >>> read_bits("8,sum=32")
    {'weight': 8, 'activation': 8, 'sum': 32}
    """
    from toolkit.errors import InputError
    from toolkit.messages import describe

    if text in ("file", "word"):
        return text
    found: dict[str, int] = {}
    for word in text.split(","):
        key, equals, size = word.rpartition("=")
        keys = (key.strip(),) if equals else ("weight", "activation")
        size = size.strip()
        if not (size.isascii() and size.isdigit() and len(size) < 6 and all(keys)):
            raise InputError(
                f"expected file, word, a number, or some of weight=N,activation=N,sum=N, "
                f"got {describe(text)}",
                source="--bits",
            )
        for name in keys:
            if name in found:
                raise InputError(f"{describe(name)} is given twice", source="--bits")
            found[name] = int(size)
    return found
