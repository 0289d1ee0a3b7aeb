"""What the readers of other tools' architectures share."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.errors import ArchitectureError
from toolkit.records import suggest
from toolkit.yaml_files import describe

UNLIMITED = 5e14
"""Words per cycle of a port whose bandwidth the file does not limit."""


def settings(given: Mapping[str, object], known: Mapping[str, int], source: str) -> dict[str, int]:
    """Complete parameters by their defaults.

    Raises
    ------
    ArchitectureError
        If one is unknown or no integer from 0.
    """
    for name, value in given.items():
        if name not in known:
            raise ArchitectureError(
                f"unknown parameter{suggest(name, known)}; expected some of "
                f"{', '.join(f'{key} (default {value})' for key, value in known.items())}",
                source=source,
                key=name,
            )
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ArchitectureError(
                f"expected an integer from 0, got {describe(value)}", source=source, key=name
            )
    return {**known, **{name: value for name, value in given.items() if isinstance(value, int)}}
