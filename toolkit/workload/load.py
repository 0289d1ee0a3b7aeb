"""One way in for every form in which a user names a workload: by name, by sizes, in a file.

Named are layers of BERT, VGG-16, ResNet-18 and kernel benchmarks, as published (library.yaml).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

from toolkit.errors import WorkloadError
from toolkit.messages import describe
from toolkit.python_files import TrustedPython, refuse_untrusted
from toolkit.text_files import is_file, lies_there
from toolkit.workload.kernel import Workload
from toolkit.workload.kinds import MAX_SIZE, build_kernel, find_kind
from toolkit.yaml_files import parse_yaml

# Far longer than all keys of a kernel with the largest sizes.
_MAX_LENGTH = 1000


def load_workload(text_or_path: str | os.PathLike[str]) -> Workload:
    """Find or build a workload.

    Parameters
    ----------
    text_or_path : str or path-like
        A name that `workload_names` lists, alone or with more keys, as in
        ``bert-base/KQV:bits=8``, a specification such as ``gemm:M=4,K=2,N=3``, or a
        YAML file (a path object, text ending in .yaml or .yml, or an existing file). The file may
        be of our own form, or hold a problem of Timeloop or layers of ZigZag; as text it may go
        on with the name of one layer, such as ``resnet18.yaml:Layer2``. A CSV file is a topology
        of SCALE-Sim's. `toolkit.TrustedPython` names a workload in a Python file, or a mapping
        with the keys of a YAML file.

    Raises
    ------
    WorkloadError
        If it is none of these or cannot be used.

    Examples
    --------
    >>> load_workload("gemm:M=4,K=2,N=3").macs
    24
    """
    refuse_untrusted(text_or_path, WorkloadError)
    if isinstance(text_or_path, TrustedPython):
        from toolkit.workload.files import python_workload

        return python_workload(text_or_path)
    if not isinstance(text_or_path, str):
        return _read(text_or_path)
    text = text_or_path.strip()
    if Path(text).suffix.lower() in (".yaml", ".yml", ".csv"):
        return _read(text)
    place, colon, layer = _split_layer(text)
    if colon:
        return _read(place, layer)
    name, colon, keys = text.partition(":")
    group, _, member = name.partition("/")
    if colon and group in workload_groups():
        named_workload(name)  # Says so if there is none.
        return parse_spec(f"{_groups()[group][member]},{keys}", name=text)
    if colon:
        try:
            return parse_spec(text)
        except WorkloadError:
            _refuse_network(name)
            raise
    if text not in workload_names() and is_file(text):
        return _read(text)
    try:
        return named_workload(text)
    except WorkloadError as cause:
        if text.partition("/")[0] in workload_groups():
            raise
        _refuse_network(text)
        accepted = "sizes such as gemm:M=4,K=2,N=3, or a YAML file"
        raise WorkloadError(f"{cause}; also accepted: {accepted}") from None


def _read(path: str | os.PathLike[str], layer: str | None = None) -> Workload:
    from toolkit.workload.files import read_workload  # Names need no readers of files.

    return read_workload(path, layer)


def _refuse_network(text: str) -> None:
    """Say of the name of a network, which has no single workload, what takes it."""
    from toolkit.workload.network import network_names

    name = text.partition("/")[0]
    if name in network_names():
        raise WorkloadError(
            f"{name!r} is a network, whose layers `toolkit network` and `toolkit.map_network` map "
            "and list; expected one workload, such as gemm:M=4,K=2,N=3"
        )


def _split_layer(text: str) -> tuple[str, str, str]:
    """Take the name of a layer off a file; names may hold colons, too."""
    match = re.match(r"(?i)(.*?\.(?:ya?ml|csv)):(.*)", text)
    return (match[1], ":", match[2]) if match else (text, "", "")


@cache
def _groups() -> dict[str, dict[str, str]]:
    data = resources.files("toolkit.workload").joinpath("library.yaml").read_bytes()
    groups = parse_yaml(data, source="library.yaml", error=WorkloadError)
    return cast(dict[str, dict[str, str]], groups)


def workload_groups() -> Mapping[str, tuple[str, ...]]:
    """List the groups of named workloads and their members' full names."""
    return {
        group: tuple(f"{group}/{member}" for member in members)
        for group, members in _groups().items()
    }


def workload_names() -> tuple[str, ...]:
    """List all named workloads.

    Examples
    --------
    >>> workload_names()[0]
    'bert-base/KQV'
    """
    return tuple(name for members in workload_groups().values() for name in members)


def named_workload(name: str) -> Workload:
    """Look up a named workload.

    Parameters
    ----------
    name : str
        ``GROUP/MEMBER`` as `workload_names` lists them.

    Raises
    ------
    WorkloadError
        If there is none of that name; the message suggests near ones, or lists the members
        when `name` is a group.

    Examples
    --------
    >>> dict(named_workload("bert-large/KTQ").sizes)
    {'M': 4096, 'K': 64, 'N': 4096}
    """
    groups = _groups()
    group, _, member = name.partition("/")
    if group in groups and member in groups[group]:
        return parse_spec(groups[group][member], name=name)
    if group in groups:
        message = f"no workload {describe(member)}" if member else "names a group"
        raise WorkloadError(
            f"{message}; members of {group}: {', '.join(workload_groups()[group])}",
            source=name[:80],
        )
    names = {known.lower(): known for known in (*workload_names(), *groups)}
    close = difflib.get_close_matches(name.lower()[:80], names, n=3)
    unknown = f"unknown workload {describe(name)}{lies_there(name)}"
    hint = f"did you mean {', '.join(names[match] for match in close)}? " if close else ""
    raise WorkloadError(f"{unknown}; {hint}groups: {', '.join(groups)}")


def parse_spec(text: str, *, name: str | None = None) -> Workload:
    """Read a specification ``KERNEL:KEY=SIZE,...``.

    Parameters
    ----------
    text : str
        A kernel of `toolkit.workload.KINDS` and all its sizes as plain integers; convolutions
        also take ``N``, ``stride``, ``dilation``, ``Pstride``, ``Qstride``, ``Rdilation`` and
        ``Sdilation``. All take ``bits`` of their values; those of one role alone as
        ``input_bits``, ``weight_bits``, ``output_bits``, and of partial sums ``sum_bits``.
    name : str, optional
        Name of the workload; the specification in its shortest form if left out.

    Raises
    ------
    WorkloadError
        If the kernel or a key is unknown, a dimension is missing or given twice, or a size is
        not a plain integer from 1 to 2**31.

    Examples
    --------
    >>> dict(parse_spec("gemm:M=128,K=768,N=512").sizes)
    {'M': 128, 'K': 768, 'N': 512}
    """
    source = _shorten(text)
    if len(text) > _MAX_LENGTH:
        raise WorkloadError(f"longer than {_MAX_LENGTH} characters", source=source)
    kernel, colon, rest = (part.strip() for part in text.partition(":"))
    kind = find_kind(kernel, source=source)
    if not rest:
        example = ",".join(f"{d}=1" for d in kind.dimensions)
        raise WorkloadError(
            f"expected sizes after {kernel}:, such as {kernel}:{example}", source=source
        )
    values: dict[str, int] = {}
    for item in rest.split(","):
        key, equals, digits = (part.strip() for part in item.partition("="))
        if not equals or not key:
            raise WorkloadError(f"expected KEY=SIZE, got {describe(item)}", source=source)
        if key in values:
            raise WorkloadError("given twice", source=source, key=key)
        values[key] = _integer(digits, key, source)
    return build_kernel(kernel, values, source=source, name=name)


def _integer(digits: str, key: str, source: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,10}", digits):
        raise WorkloadError(
            f"expected a plain integer from 1 to {MAX_SIZE}, got {describe(digits)}",
            source=source,
            key=_shorten(key),
        )
    return int(digits)


def _shorten(text: str) -> str:
    return text if 0 < len(text) <= 80 and text.isprintable() else describe(text)
