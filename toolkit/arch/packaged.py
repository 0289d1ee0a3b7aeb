"""The architectures that come with the package: their names and files."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from toolkit.errors import ArchitectureError
from toolkit.yaml_files import parse_yaml


def arch_names() -> tuple[str, ...]:
    """List the architectures that come with the package, sorted.

    Examples
    --------
    >>> "eyeriss" in arch_names()
    True
    """
    files = (Path(entry.name) for entry in _folder().iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == ".yaml"))


def packaged_file(name: str) -> Traversable:
    """Find the file of an architecture that `arch_names` lists."""
    return _folder().joinpath(f"{name}.yaml")


def packaged_data(name: str) -> tuple[object, str]:
    """Read the data of an architecture that `arch_names` lists, and how messages call its file."""
    source = f"archs/{name}.yaml"
    data = packaged_file(name).read_bytes()
    return parse_yaml(data, source=source, error=ArchitectureError), source


def _folder() -> Traversable:
    """Find the packaged files; in a checkout that is not installed they lie next to `toolkit`."""
    try:
        return resources.files("toolkit.archs")
    except ModuleNotFoundError:
        return Path(__file__).parents[2] / "archs"
