"""Timeloop's problems (v0.2 to v0.4) as workloads; FORMATS.md says what carries over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.errors import WorkloadError
from toolkit.messages import describe, relocated
from toolkit.peer_files import Node
from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
from toolkit.workload.kinds import KINDS, MAX_SIZE, recognized_kernel

_COEFFICIENTS = [
    {"name": name, "default": 1} for name in ("Wstride", "Hstride", "Wdilation", "Hdilation")
]
_WINDOW = [
    [["N"]],
    [["C"]],
    [["R", "Wdilation"], ["P", "Wstride"]],
    [["S", "Hdilation"], ["Q", "Hstride"]],
]
_CONVOLUTION: dict[str, object] = {
    "name": "cnn-layer",
    "dimensions": ["R", "S", "P", "Q", "C", "K", "N"],
    "coefficients": _COEFFICIENTS,
    "data_spaces": [
        {"name": "Weights", "projection": [[["C"]], [["K"]], [["R"]], [["S"]]]},
        {"name": "Inputs", "projection": _WINDOW},
        {
            "name": "Outputs",
            "projection": [[["N"]], [["K"]], [["Q"]], [["P"]]],
            "read_write": True,
        },
    ],
}
_DEPTHWISE: dict[str, object] = {
    "name": "dw-cnn-layer",
    "dimensions": ["R", "S", "P", "Q", "C", "N"],
    "coefficients": _COEFFICIENTS,
    "data_spaces": [
        {"name": "Weights", "projection": [[["C"]], [["R"]], [["S"]]]},
        {"name": "Inputs", "projection": _WINDOW},
        {
            "name": "Outputs",
            "projection": [[["N"]], [["C"]], [["Q"]], [["P"]]],
            "read_write": True,
        },
    ],
}
_PRODUCT: dict[str, object] = {
    "name": "gemm_ABZ",
    "dimensions": ["M", "N", "K"],
    "data_spaces": [
        {"name": "A", "projection": [[["M"]], [["K"]]]},
        {"name": "B", "projection": [[["N"]], [["K"]]]},
        {"name": "Z", "projection": [[["M"]], [["N"]]], "read_write": True},
    ],
}
# What Timeloop and DOSA keep in files of these names.
_SHAPES = {
    "cnn-layer": _CONVOLUTION,
    "cnn_layer": _CONVOLUTION,
    "dw-cnn-layer": _DEPTHWISE,
    "gemm_ABZ": _PRODUCT,
}
_WORDS: dict[str, Role] = {
    **dict.fromkeys(("weight", "weights", "filter", "filters", "w"), "weight"),
    **dict.fromkeys(("input", "inputs", "activation", "activations", "i"), "input"),
    **dict.fromkeys(("output", "outputs", "o"), "output"),
}
# Sizes that some files note beside those of the dimensions; nothing is computed from them.
_NOTES = ("H", "W", "Hpad", "Wpad", "Hpadding", "Wpadding", "notes", "name", "type")
# By kernel, names of dimensions once `our_dimensions` has renamed them: they are ours.
_OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    kernel: {dimension: dimension for dimension in (*kind.dimensions, "N")}
    for kernel, kind in KINDS.items()
}
_DENSITIES = ("densities", "commonDensity")


def is_problem(data: object) -> bool:
    """Whether a file holds a problem of Timeloop's."""
    return isinstance(data, Mapping) and "problem" in data


def problem_workload(data: object, source: str, name: str) -> Workload:
    """Read the ``problem`` of a file.

    Parameters
    ----------
    data : object
        The file as plain data; what stands beside the problem does not matter.
    source : str
        The file, for messages.
    name : str
        Name of the workload.

    Raises
    ------
    WorkloadError
        Naming file, key, value and expectation.
    """
    problem = Node(data, source, WorkloadError).get("problem")
    shape = _shape(problem)
    shape.check_keys(("name", "dimensions", "coefficients", "data_spaces", "version"))
    instance = _instance(problem, shape)
    tensors, all_known = _tensors(shape, instance)
    ours = our_dimensions(instance.sizes)
    sizes = {ours[dimension]: size for dimension, size in instance.sizes.items()}
    tensors = tuple(_renamed(tensor, ours) for tensor in tensors)
    found = recognized_kernel(sizes, tensors, _OWN_NAMES, name) if all_known else None
    if found is not None:
        return found
    kind = shape.find("name")
    try:
        return Workload(name, kind.text() if kind else "custom", sizes, tensors)
    except WorkloadError as cause:
        raise relocated(cause, source, "problem.shape") from None


def our_dimensions(names: Mapping[str, object] | set[str] | tuple[str, ...]) -> dict[str, str]:
    """Translate Timeloop's dimensions: where there are K and C but no M, K is M.

    Examples
    --------
    >>> our_dimensions(("K", "C", "P"))
    {'K': 'M', 'C': 'C', 'P': 'P'}
    >>> our_dimensions(("M", "K", "N"))["K"]
    'K'
    """
    channels = "K" in names and "C" in names and "M" not in names
    return {name: "M" if channels and name == "K" else name for name in names}


def role_of(word: str) -> Role | None:
    """Find the role that the name of a data space stands for, if it tells.

    Examples
    --------
    >>> role_of("Weights"), role_of("A")
    ('weight', None)
    """
    return _WORDS.get(word.casefold())


def _shape(problem: Node) -> Node:
    shape = problem.find("shape")
    if shape is None:
        return Node(_CONVOLUTION, problem.source, problem.error, (*problem.path, "shape"))
    if not isinstance(shape.value, str):
        return shape
    if shape.value not in _SHAPES:
        raise shape.refuse(
            f"{describe(shape.value)} is a file of Timeloop's that is not here; expected the "
            f"shape itself, or one of {', '.join(_SHAPES)}"
        )
    return Node(_SHAPES[shape.value], shape.source, shape.error, shape.path)


@dataclass(frozen=True, slots=True)
class _Instance:
    """Sizes of dimensions, values of coefficients and where these are given."""

    sizes: dict[str, int]
    coefficients: dict[str, int]
    places: dict[str, Node]


def _instance(problem: Node, shape: Node) -> _Instance:
    dimensions = [entry.name() for entry in shape.get("dimensions").items()]
    if len(set(dimensions)) != len(dimensions):
        raise shape.get("dimensions").refuse("names a dimension twice")
    listed = shape.find("coefficients")
    defaults = {
        entry.get("name").text(): entry.get("default")
        for entry in (listed.items() if listed else ())
    }
    instance = problem.find("instance")
    # The old place of the sizes is the problem itself.
    if instance is None:
        instance = problem
        beside: tuple[str, ...] = ("shape", "version", "instance")
    else:
        problem.check_keys(("version", "shape", "instance", "name"))
        beside = ()
    other = [key for key in instance.keys() for name in defaults if _same(key, name)]  # noqa: SIM118
    instance.check_keys((*dimensions, *defaults, *_DENSITIES, *_NOTES, *beside, *other))
    for name in _DENSITIES:
        _check_dense(instance.find(name))
    places = {
        name: _coefficient(instance, default, [name, *(key for key in other if _same(key, name))])
        for name, default in defaults.items()
    }
    return _Instance(
        {d: instance.get(d).integer(1, MAX_SIZE) for d in dimensions},
        {name: place.integer(0, MAX_SIZE) for name, place in places.items()},
        places,
    )


def _same(key: str, name: str) -> bool:
    return key.casefold() == name.casefold()


def _coefficient(instance: Node, default: Node, spellings: list[str]) -> Node:
    """Find what gives a coefficient, also in a spelling (HStride) that Timeloop overlooks."""
    given = [found for key in spellings if (found := instance.find(key)) is not None]
    # Merged bases give all of them, so that a default there says nothing.
    telling = [node for node in given if node.value != default.value]
    if any(node.value != telling[0].value for node in telling):
        raise telling[-1].refuse(f"{telling[0].path[-1]} gives another value")
    return (telling or given or [default])[0]


def _check_dense(densities: Node | None) -> None:
    if densities is None:
        return
    given = densities.value
    values = list(given.values()) if isinstance(given, dict) else [given]
    if any(value != 1 for value in values):
        raise densities.refuse(
            "sparse tensors are not modelled; leave densities out for dense ones"
        )


def _tensors(shape: Node, instance: _Instance) -> tuple[tuple[Tensor, ...], bool]:
    """Read the data spaces, and whether all of their names tell the role."""
    spaces = list(shape.get("data_spaces").items())
    roles: list[Role | None] = []
    for space in spaces:
        space.check_keys(("name", "projection", "read_write", "ranks"))
        written = space.find("read_write")
        role = role_of(space.get("name").name())
        if written is not None and written.flag():
            role = "output"
        elif role == "output":
            role = None
        roles.append(role)
    if roles.count("output") != 1:
        raise shape.get("data_spaces").refuse(
            f"expected exactly one data space with read_write: true, found {roles.count('output')}"
        )
    tensors = []
    for space, role in zip(spaces, _completed(roles), strict=True):
        axes = list(space.get("projection").items())
        # [[]] is a tensor of one value.
        indices = tuple(_index(axis, instance) for axis in axes if axis.value != [])
        tensors.append(Tensor(space.get("name").name(), role, indices))
    return tuple(tensors), None not in roles


def _completed(roles: list[Role | None]) -> list[Role]:
    """Give nameless operands a role: the first is the weight, as Timeloop lists them."""
    completed: list[Role] = []
    for role in roles:
        free = "weight" not in roles and "weight" not in completed
        completed.append(role or ("weight" if free else "input"))
    return completed


def _index(axis: Node, instance: _Instance) -> Index:
    if isinstance(axis.value, str):
        return (_term(axis, [axis], instance),)
    return tuple(_term(term, list(term.items()), instance) for term in axis.items())


def _term(term: Node, words: list[Node], instance: _Instance) -> Term:
    """Read ``[P]`` or ``[P, Wstride]``."""
    if not 1 <= len(words) <= 2:
        raise term.refuse("expected [dimension] or [dimension, coefficient]")
    dimension = words[0].text()
    if dimension not in instance.sizes:
        raise words[0].refuse(
            f"unknown dimension {describe(dimension)}; expected one of {', '.join(instance.sizes)}"
        )
    if len(words) == 1:
        return Term(dimension)
    coefficient = words[1].text()
    if coefficient not in instance.coefficients:
        raise words[1].refuse(
            f"unknown coefficient {describe(coefficient)}; "
            f"expected one of {', '.join(instance.coefficients) or 'none'}"
        )
    size, value = instance.sizes[dimension], instance.coefficients[coefficient]
    if value == 0 and size > 1:
        raise instance.places[coefficient].refuse(
            f"with 0 all {size} iterations of {dimension} read the same value; "
            "expected 1 for neighbours, or more"
        )
    return Term(dimension, max(value, 1))


def _renamed(tensor: Tensor, names: Mapping[str, str]) -> Tensor:
    indices = tuple(
        tuple(Term(names[term.dimension], term.coefficient) for term in index)
        for index in tensor.indices
    )
    return Tensor(tensor.name, tensor.role, indices)
