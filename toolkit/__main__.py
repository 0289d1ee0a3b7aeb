"""The way into the command: signals are answered before anything else is imported."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit status, as shells have it: 128 and SIGINT."""


def main() -> int:
    """Run the command line; Ctrl-C and SIGTERM end it with one line, twice at once.

    Returns
    -------
    int
        The exit status, 130 also where what the signal raised was swallowed on its way.
    """
    asked = False
    if sys.stderr is None:  # closed by whoever started this process
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(INTERRUPTED)
        asked = True
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, stop)
    try:
        from toolkit.cli.app import main as run

        status = run()
    except KeyboardInterrupt:
        status = 0
    interrupted, asked = asked, True  # What is left to do is not worth a traceback.
    if interrupted and status != INTERRUPTED:
        print("toolkit: interrupted", file=sys.stderr)
    return INTERRUPTED if interrupted else status


if __name__ == "__main__":
    sys.exit(main())
