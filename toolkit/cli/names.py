"""The commands `toolkit list` and `toolkit show`: what has a name, and what it stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from toolkit.cli.options import AsJson


class ListKind(StrEnum):
    """What `toolkit list` can list."""

    archs = "archs"
    workloads = "workloads"
    strategies = "strategies"
    conventions = "conventions"


class ShowKind(StrEnum):
    """What `toolkit show` can show."""

    arch = "arch"
    workload = "workload"


def list_names(
    kind: Annotated[ListKind, typer.Argument(help="What to list.")], json: AsJson = False
) -> None:
    """Look up, print."""
    from toolkit.cli.listing import listing, listing_text
    from toolkit.cli.output import print_json, print_text

    entries = listing(kind.value)
    if json:
        print_json({kind.value: entries})
    else:
        print_text(listing_text(kind.value, entries))


def show_definition(
    kind: Annotated[ShowKind, typer.Argument(help="What to show.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or a YAML file.")],
    json: AsJson = False,
) -> None:
    """Load, print."""
    from toolkit.cli.listing import definition
    from toolkit.cli.output import print_json, print_text
    from toolkit.yaml_files import parse_yaml

    text = definition(kind.value, name)
    if json:
        print_json({kind.value: parse_yaml(text.encode(), source=name)})
    else:
        print_text(text)
