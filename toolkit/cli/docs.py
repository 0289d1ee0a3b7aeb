"""The command `toolkit docs`: the documentation of this version, without a network."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli.arguments import AsJson, Quiet

PathOnly = Annotated[bool, typer.Option("--path", help="Say where it is; open no browser.")]
Out = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="FOLDER", help="Build it anew in this folder.", show_default=False
    ),
]


def open_docs(
    path: PathOnly = False, out: Out = None, json: AsJson = False, quiet: Quiet = False
) -> None:
    """Build where that was not done yet, say where it is, open a browser."""
    import webbrowser

    from toolkit.cli.dashboard import has_screen
    from toolkit.cli.output import print_json, print_text
    from toolkit.cli.progress import Reporter
    from toolkit.cli.site.building import build_docs

    with Reporter(quiet).live(lambda: "building the documentation: a minute, once for a version"):
        first = build_docs(out)
    if json:
        print_json({"index": str(first)})
    else:
        print_text(f"{first}\n")
    if not (path or json) and has_screen():
        webbrowser.open(first.as_uri())
