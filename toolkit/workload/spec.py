"""Workloads written on one line, such as ``conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2``."""

from __future__ import annotations

import re

from toolkit.errors import WorkloadError
from toolkit.workload.kernel import Workload
from toolkit.workload.kinds import MAX_SIZE, build_kernel, find_kind
from toolkit.yaml_files import describe

_MAX_LENGTH = 1000


def parse_spec(text: str, *, name: str | None = None) -> Workload:
    """Read a specification ``KERNEL:KEY=SIZE,...``.

    Parameters
    ----------
    text : str
        A kernel of `toolkit.workload.KINDS` and all its sizes as plain integers; convolutions
        also take ``N``, ``stride``, ``dilation``, ``Pstride``, ``Qstride``, ``Rdilation`` and
        ``Sdilation``.
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
