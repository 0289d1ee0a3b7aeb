"""The command `toolkit dashboard`: what comparisons recorded, in a browser."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from toolkit.cli.arguments import AsJson
from toolkit.cli.compare import STORAGE

StorageArgument = Annotated[
    str,
    typer.Argument(
        metavar="[STORAGE]",
        help="What toolkit compare recorded in: a file, a folder with "
        f"{STORAGE} in it, or a URL of an Optuna storage.",
    ),
]
Host = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Name or address to listen on. Whoever reaches it may also delete studies.",
    ),
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")
]
Browser = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open a browser, where there is a screen.")
]


def show_dashboard(
    storage: StorageArgument = STORAGE,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    browser: Browser = True,
    json: AsJson = False,
) -> None:
    """Check the storage, say where the dashboard is, serve it until Ctrl-C."""
    from toolkit.cli.output import print_json, print_text
    from toolkit.errors import InputError
    from toolkit.study.storage.dashboard import open_dashboard
    from toolkit.study.storage.opening import storage_name

    place = os.path.join(storage, STORAGE) if os.path.isdir(storage) else storage
    try:
        with open_dashboard(place, host=host, port=port) as dashboard:
            name = storage_name(place)
            if json:
                record = {"url": dashboard.url, "storage": name, "studies": dashboard.studies}
                print_json(record)
            else:
                count = f"{dashboard.studies} {'study' if dashboard.studies == 1 else 'studies'}"
                print_text(f"{count} of {name} at {dashboard.url}\nCtrl-C ends.\n")
            if browser and has_screen():
                _open_browser(dashboard.url)
            dashboard.server.serve_forever()
    except InputError as error:
        if error.key != "storage":
            raise
        raise InputError(str(error).removeprefix("storage: "), key="STORAGE") from error


def has_screen() -> bool:
    """Whether a browser would open in a window, not in this terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_browser(url: str) -> None:
    """Open a browser from a thread: some only return when they are closed."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
