"""The command `toolkit proxy`: a storage for workers that cannot reach it themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from toolkit.cli.arguments import AsJson
from toolkit.cli.output import print_json, print_text
from toolkit.cli.worker import StorageArgument, in_arguments

Host = Annotated[str, typer.Option(metavar="NAME", help="Name or address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def serve_storage(
    storage: StorageArgument,
    host: Host = "127.0.0.1",
    port: Port = 13000,
    json: AsJson = False,
) -> None:
    """Say where the proxy is, serve it until Ctrl-C."""
    from toolkit.study.hardware.shared import serve_proxy
    from toolkit.study.storage.opening import storage_name

    with in_arguments():
        name, url = storage_name(storage), f"grpc://{host}:{port}"
        if json:
            print_json({"storage": name, "url": url})
        else:
            print_text(f"{name} at {url}\nCtrl-C ends.\n")
        serve_proxy(storage, host, port)
