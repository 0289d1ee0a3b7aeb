"""The command `toolkit warm-up`: compiles ahead of the first search."""

from __future__ import annotations

from toolkit.cli.arguments import AsJson, Quiet
from toolkit.cli.output import aligned, print_json, print_text


def compile_all(json: AsJson = False, quiet: Quiet = False) -> None:
    """Compile, print."""
    from toolkit.compilation import WarmUp, cache_folder, warm_up

    done = warm_up()
    folder = str(cache_folder())
    if json:
        print_json({"folder": folder, "kernels": [kernel._asdict() for kernel in done]})
        return

    def state(kernel: WarmUp) -> str:
        return "was there" if kernel.was_there else f"compiled in {kernel.seconds:.1f} s"

    lines = aligned([(kernel.what, state(kernel)) for kernel in done])
    print_text("\n".join((f"Compiled for this machine, in {folder}", *lines)) + "\n")
