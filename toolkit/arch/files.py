"""Architectures as YAML files: reading them, and those that come with the package."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.native_numbers import native_numbers
from toolkit.arch.packaged import arch_names, packaged_data, packaged_file
from toolkit.arch.parameters import parse_settings
from toolkit.arch.peers import own_form, read_arch_data
from toolkit.arch.quantities import Quantity
from toolkit.arch.schema import ArchitectureFile
from toolkit.arch.template import ArchitectureTemplate, make_template
from toolkit.arch.writing import arch_to_yaml
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, shown_path, suggest
from toolkit.python_files import TrustedPython, plain_data, refuse_untrusted
from toolkit.yaml_files import dump_yaml, parse_yaml


def load_arch(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None = None
) -> Architecture:
    """Load an architecture.

    Parameters
    ----------
    name_or_path : str or path-like
        A name that `arch_names` lists, or a YAML file (a path object, text ending in .yaml or
        .yml, or an existing file), also an accelerator of ZigZag or an architecture of Timeloop
        (`toolkit.arch.peers`; several files of Timeloop's may be joined, as in
        ``arch.yaml+ERT.yaml``). As text it may go on with parameters, such as
        ``gemmini-ws:side=32,dram_bandwidth=16``. `toolkit.TrustedPython` names an architecture
        in a Python file, or a mapping with the keys of a YAML file.
    parameters : mapping of str to number, optional
        Parameters of the architecture that shall differ from their defaults.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation, if it is unknown, unreadable or malformed, or
        has no such parameters.

    Examples
    --------
    >>> load_arch("eyeriss").compute.mac_energy_pj
    0.21
    >>> load_arch("gemmini-ws", {"side": 32}) == load_arch("gemmini-ws:side=32")
    True
    """
    template, given = _open(name_or_path, parameters)
    return template.architecture(given)


def load_arch_file(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None = None
) -> ArchitectureFile:
    """Load what `load_arch` loads, with the file's description, kernel and parameters.

    Examples
    --------
    >>> load_arch_file("eyeriss-conv").kernel
    'conv'
    """
    template, given = _open(name_or_path, parameters)
    return template.file(given)


def load_template(name_or_path: str | os.PathLike[str]) -> ArchitectureTemplate:
    """Load an architecture with its parameters left open, to build many hardware points from.

    Parameters
    ----------
    name_or_path : str or path-like
        As `load_arch` takes it, without parameters.

    Raises
    ------
    ArchitectureError
        As `load_arch` does: the defaults must make a valid architecture.

    Examples
    --------
    >>> template = load_template("gemmini-ws")
    >>> [template.architecture({"side": side}).fanouts[0].mesh for side in (8, 64)]
    [8, 64]
    """
    template, given = _open(name_or_path, None)
    if given:
        raise ArchitectureError(
            f"{describe(os.fspath(name_or_path))} gives parameters; expected a name or a file "
            "alone"
        )
    template.architecture()
    return template


def arch_definition(name_or_path: str | os.PathLike[str]) -> str:
    """Write an architecture as YAML that is ready to be copied and changed.

    A file with parameters comes back as it was written, with its expressions and comments; if
    `name_or_path` gives parameters, or the file has none, with all figures filled in.

    Raises
    ------
    ArchitectureError
        As `load_arch` does.
    """
    template, given = _open(name_or_path, None)
    file = template.file(given)
    if template.parameters and not given:
        if isinstance(name_or_path, TrustedPython):
            return dump_yaml(_python_data(name_or_path))
        written = _packaged(name_or_path) or Path(name_or_path)
        return written.read_text(encoding="utf-8-sig")
    return arch_to_yaml(file.architecture(), description=file.description, kernel=file.kernel)


def _open(
    name_or_path: str | os.PathLike[str], parameters: Mapping[str, Number] | None
) -> tuple[ArchitectureTemplate, Mapping[str, Number]]:
    """Read a file, and the parameters that stand behind its name or beside it."""
    place, settings = _split(name_or_path)
    given: Mapping[str, Number] = {} if parameters is None else parameters
    if not isinstance(given, Mapping):  # which the template refuses
        data, source = _read(place, {})[:2]
        return make_template(data, source), given
    written: Mapping[str, Number | Quantity] = {}
    if settings is not None:
        shown = f"archs/{place}.yaml" if _packaged(place) else _shown(place)
        written = parse_settings(settings, shown)
        _check_given_once(written, given, name_or_path, shown)
    numbers = {name: value for name, value in written.items() if isinstance(value, int | float)}
    data, source, used = _read(place, {**given, **numbers})
    content = data if isinstance(data, dict) else {}
    given = {**given, **native_numbers(content, source, written)}
    data, given = own_form(data, source, given, used)
    return make_template(data, source), given


def _check_given_once(
    written: Mapping[str, object],
    given: Mapping[str, Number],
    name_or_path: str | os.PathLike[str],
    source: str,
) -> None:
    for name in written:
        if name in given:
            raise ArchitectureError(
                f"given as {describe(name_or_path)} and again in parameters; expected one of them",
                source=source,
                key=f"parameters.{name}",
            )


def _split(name_or_path: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], str | None]:
    """Take parameters off the end of a text; what exists or ends like a file has none."""
    refuse_untrusted(name_or_path, ArchitectureError)
    if isinstance(name_or_path, TrustedPython):
        return name_or_path, name_or_path.settings or None
    if not isinstance(name_or_path, str) or _is_path(name_or_path) or _is_file(name_or_path):
        return name_or_path, None
    place, colon, settings = name_or_path.rpartition(":")
    found = "=" in settings or _is_path(place) or _packaged(place) or _is_file(place)
    return (place, settings) if colon and found else (name_or_path, None)


def _read(
    name_or_path: str | os.PathLike[str], given: Mapping[str, Number]
) -> tuple[object, str, frozenset[str]]:
    """Read the data of a file, how messages call it, and which parameters were used for that."""
    name = os.fspath(name_or_path)
    if isinstance(name_or_path, TrustedPython):
        return _python_data(name_or_path), _shown(name_or_path), frozenset()
    if _packaged(name_or_path):
        return *packaged_data(name), frozenset()
    if _is_path(name_or_path) or _is_file(name):
        document = read_arch_data(name_or_path, given)
        return document.data, document.source, document.used
    names = arch_names()
    raise ArchitectureError(
        f"unknown architecture {describe(name)}{suggest(name, names)}; "
        f"expected a YAML file or one of {', '.join(names)}"
    )


def _shown(place: str | os.PathLike[str]) -> str:
    return shown_path(place.path if isinstance(place, TrustedPython) else os.fspath(place))


def _python_data(spec: TrustedPython) -> object:
    """The architecture in a Python file, or its plain data, as a YAML file would have it."""
    value = spec.value(ArchitectureError)
    source = _shown(spec)
    if isinstance(value, Architecture):
        return parse_yaml(arch_to_yaml(value).encode(), source=source, error=ArchitectureError)
    if not isinstance(value, Mapping):
        raise ArchitectureError(
            f"expected an Architecture, or a mapping with the keys of a YAML file, got "
            f"{describe(type(value).__name__)}",
            source=source,
            key=spec.name,
        )
    return plain_data(value, source, ArchitectureError)


def _packaged(name_or_path: str | os.PathLike[str]) -> Traversable | None:
    if _is_path(name_or_path) or name_or_path not in arch_names():
        return None
    return packaged_file(os.fspath(name_or_path))


def _is_path(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether it can be nothing but a file, be it there or not."""
    if not isinstance(name_or_path, str):
        return True
    return Path(name_or_path).suffix.lower() in (".yaml", ".yml")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
