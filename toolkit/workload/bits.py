"""How many bits the values of a workload's tensors have.

Of a workload that says nothing of bits each value takes a word, whatever the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from toolkit.workload.kernel import Role, Tensor, Workload

ROLE_BITS: dict[str, Role] = {
    "input_bits": "input",
    "weight_bits": "weight",
    "output_bits": "output",
}
"""Keys of the bits of one role."""

BITS_KEYS = ("bits", *ROLE_BITS, "sum_bits")
"""Keys by which specifications and files say how many bits values have: of all tensors, those of
one role, and partial sums of the output."""


def with_bits(
    workload: Workload,
    bits: int | None = None,
    *,
    input_bits: int | None = None,
    weight_bits: int | None = None,
    output_bits: int | None = None,
    sum_bits: int | None = None,
) -> Workload:
    """Say how many bits the values of a workload have.

    Parameters
    ----------
    workload : Workload
        Whose other properties stay; a name that is a specification says the bits, too.
    bits : int, optional
        Of all tensors.
    input_bits, weight_bits, output_bits : int, optional
        Of the tensors of one role, whatever `bits` says.
    sum_bits : int, optional
        Of an output while it is summed up; by default as many as it has in the end.

    Raises
    ------
    WorkloadError
        If one is not a positive integer, or partial sums have fewer bits than results, or bits
        where these have none.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> with_bits(gemm(4, 2, 3), 8, sum_bits=32).name
    'gemm:M=4,K=2,N=3,bits=8,sum_bits=32'
    """
    values = (bits, input_bits, weight_bits, output_bits, sum_bits)
    given = {key: x for key, x in zip(BITS_KEYS, values, strict=True) if x is not None}
    tensors = tuple(tensor_with_bits(tensor, given) for tensor in workload.tensors)
    found = replace(workload, tensors=tensors)
    if not workload.name.startswith(f"{workload.kernel}:"):
        return found
    plain = workload.name.removesuffix(bits_suffix(workload))
    return replace(found, name=plain + bits_suffix(found))


def tensor_with_bits(tensor: Tensor, given: Mapping[str, int]) -> Tensor:
    """Say how many bits the values of a tensor have, of bits by the keys that give them."""
    bits = given.get(f"{tensor.role}_bits", given.get("bits", tensor.bits))
    sums = given.get("sum_bits") if tensor.role == "output" else None
    return replace(tensor, bits=bits, sum_bits=tensor.sum_bits if sums is None else sums)


def bits_suffix(workload: Workload) -> str:
    """Write the bits as the end of a specification, such as ``,bits=8``."""
    return "".join(f",{key}={value}" for key, value in (bits_of(workload) or {}).items())


def bits_of(workload: Workload) -> dict[str, int] | None:
    """Tell the bits by the keys that give them, as few as possible.

    Returns
    -------
    dict or None
        None if tensors of one role differ, which only a file that writes tensors out can say.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> bits_of(with_bits(gemm(4, 2, 3), 8, output_bits=32))
    {'bits': 8, 'output_bits': 32}
    """
    by_role: dict[str, set[int | None]] = {}
    for tensor in workload.tensors:
        by_role.setdefault(tensor.role, set()).add(tensor.bits)
    if any(len(values) > 1 for values in by_role.values()):
        return None
    own = {f"{role}_bits": next(iter(values)) for role, values in by_role.items()}
    found = {key: value for key in ROLE_BITS if (value := own.get(key)) is not None}
    operands = {value for key, value in own.items() if key != "output_bits"}
    common = next(iter(operands)) if len(operands) == 1 else None
    if common is not None and own["output_bits"] is not None:
        found = {"bits": common}
        if own["output_bits"] != common:
            found["output_bits"] = own["output_bits"]
    if workload.output.sum_bits is not None:
        found["sum_bits"] = workload.output.sum_bits
    return found


def given_bits(values: Mapping[str, int]) -> dict[str, int]:
    """Take the bits out of values by key."""
    return {key: value for key, value in values.items() if key in BITS_KEYS}
