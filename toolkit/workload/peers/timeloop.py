"""Timeloop's problems (v0.2 to v0.4) as workloads; FORMATS.md says what carries over."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.errors import WorkloadError
from toolkit.messages import describe, relocated
from toolkit.peer_files import Node
from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
from toolkit.workload.kinds import KINDS, MAX_SIZE, recognized_kernel

_CONVOLUTION: dict[str, object] = {
    "name": "cnn-layer",
    "dimensions": ["R", "S", "P", "Q", "C", "K", "N"],
    "coefficients": [
        {"name": name, "default": 1} for name in ("Wstride", "Hstride", "Wdilation", "Hdilation")
    ],
    "data_spaces": [
        {"name": "Weights", "projection": [[["C"]], [["K"]], [["R"]], [["S"]]]},
        {
            "name": "Inputs",
            "projection": [
                [["N"]],
                [["C"]],
                [["R", "Wdilation"], ["P", "Wstride"]],
                [["S", "Hdilation"], ["Q", "Hstride"]],
            ],
        },
        {
            "name": "Outputs",
            "projection": [[["N"]], [["K"]], [["Q"]], [["P"]]],
            "read_write": True,
        },
    ],
}
_SHAPES = {"cnn-layer": _CONVOLUTION, "cnn_layer": _CONVOLUTION}
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
    sizes, coefficients = _instance(problem, shape)
    tensors, all_known = _tensors(shape, sizes, coefficients)
    ours = our_dimensions(sizes)
    sizes = {ours[dimension]: size for dimension, size in sizes.items()}
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


def _instance(problem: Node, shape: Node) -> tuple[dict[str, int], dict[str, int]]:
    """Sizes of dimensions and values of coefficients."""
    dimensions = [entry.name() for entry in shape.get("dimensions").items()]
    if len(set(dimensions)) != len(dimensions):
        raise shape.get("dimensions").refuse("names a dimension twice")
    listed = shape.find("coefficients")
    coefficients: dict[str, int] = {}
    for entry in listed.items() if listed else ():
        coefficients[entry.get("name").text()] = entry.get("default").integer(1, MAX_SIZE)
    instance = problem.find("instance")
    # The old place of the sizes is the problem itself.
    known = (*dimensions, *coefficients, *_DENSITIES, *_NOTES)
    if instance is None:
        instance = problem
        instance.check_keys((*known, "shape", "version", "instance"))
    else:
        problem.check_keys(("version", "shape", "instance", "name"))
        instance.check_keys(known)
    for name in _DENSITIES:
        _check_dense(instance.find(name))
    sizes = {d: instance.get(d).integer(1, MAX_SIZE) for d in dimensions}
    for name in coefficients:
        given = instance.find(name)
        if given is not None:
            coefficients[name] = given.integer(1, MAX_SIZE)
    return sizes, coefficients


def _check_dense(densities: Node | None) -> None:
    if densities is None:
        return
    given = densities.value
    values = list(given.values()) if isinstance(given, dict) else [given]
    if any(value != 1 for value in values):
        raise densities.refuse(
            "sparse tensors are not modelled; leave densities out for dense ones"
        )


def _tensors(
    shape: Node, sizes: Mapping[str, int], coefficients: Mapping[str, int]
) -> tuple[tuple[Tensor, ...], bool]:
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
        indices = tuple(
            _index(entry, sizes, coefficients) for entry in space.get("projection").items()
        )
        tensors.append(Tensor(space.get("name").name(), role, indices))
    return tuple(tensors), None not in roles


def _completed(roles: list[Role | None]) -> list[Role]:
    """Give nameless operands a role: the first is the weight, as Timeloop lists them."""
    completed: list[Role] = []
    for role in roles:
        free = "weight" not in roles and "weight" not in completed
        completed.append(role or ("weight" if free else "input"))
    return completed


def _index(entry: Node, sizes: Mapping[str, int], coefficients: Mapping[str, int]) -> Index:
    if isinstance(entry.value, str):
        return (_term(entry, [entry], sizes, coefficients),)
    terms = tuple(_term(term, list(term.items()), sizes, coefficients) for term in entry.items())
    if not terms:
        raise entry.refuse("expected at least one term, such as [[C]] or [[R], [P]]")
    return terms


def _term(
    term: Node, words: list[Node], sizes: Mapping[str, int], coefficients: Mapping[str, int]
) -> Term:
    """Read ``[P]`` or ``[P, Wstride]``."""
    if not 1 <= len(words) <= 2:
        raise term.refuse("expected [dimension] or [dimension, coefficient]")
    dimension = words[0].text()
    if dimension not in sizes:
        raise words[0].refuse(
            f"unknown dimension {describe(dimension)}; expected one of {', '.join(sizes)}"
        )
    if len(words) == 1:
        return Term(dimension)
    coefficient = words[1].text()
    if coefficient not in coefficients:
        raise words[1].refuse(
            f"unknown coefficient {describe(coefficient)}; "
            f"expected one of {', '.join(coefficients) or 'none'}"
        )
    return Term(dimension, coefficients[coefficient])


def _renamed(tensor: Tensor, names: Mapping[str, str]) -> Tensor:
    indices = tuple(
        tuple(Term(names[term.dimension], term.coefficient) for term in index)
        for index in tensor.indices
    )
    return Tensor(tensor.name, tensor.role, indices)
