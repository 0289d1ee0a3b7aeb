"""Published workloads by name: layers of BERT, VGG-16, ResNet-18 and kernel benchmarks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from pydantic import RootModel

from toolkit.errors import WorkloadError
from toolkit.workload.kernel import Workload
from toolkit.workload.spec import parse_spec
from toolkit.yaml_files import describe, parse_yaml


@cache
def _groups() -> dict[str, dict[str, str]]:
    data = resources.files("toolkit.workload").joinpath("library.yaml").read_bytes()
    groups = parse_yaml(data, source="library.yaml", error=WorkloadError)
    return RootModel[dict[str, dict[str, str]]].model_validate(groups).root


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
    hint = f"did you mean {', '.join(names[match] for match in close)}? " if close else ""
    raise WorkloadError(f"unknown workload {describe(name)}; {hint}groups: {', '.join(groups)}")
