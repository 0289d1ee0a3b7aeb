"""The command `toolkit proxy`: a storage for workers that cannot reach it themselves."""

from __future__ import annotations

import ipaddress
import sys
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

    def tell() -> None:
        name, url = storage_name(storage), f"grpc://{host}:{port}"
        if json:
            print_json({"storage": name, "url": url})
        else:
            print_text(f"{name} at {url}\nCtrl-C ends.\n")
        if not _is_local(host):
            print(
                f"toolkit: whoever reaches {host}:{port} can read and change all of {name}: there "
                "is no password and no encryption; where not all are trusted, serve 127.0.0.1 and "
                f"let workers tunnel: ssh -L {port}:127.0.0.1:{port} THIS-MACHINE",
                file=sys.stderr,
            )

    with in_arguments():
        serve_proxy(storage, host, port, tell)


def _is_local(host: str) -> bool:
    """Whether only this machine can reach a name or an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
