"""The way into the command: signals are answered before anything else is imported."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit status, as shells have it: 128 and SIGINT."""

_LATER_SECONDS = 0.05
"""Between two tries of an interruption that found no good moment; nobody feels it."""

_CAN_WAIT = hasattr(signal, "setitimer")
"""Windows has no alarms: what is asked for there is raised at once."""

_IMPORTING = ("<frozen importlib._bootstrap>", "_find_and_load")
"""File and function of a frame below which a module is being imported."""


class _Interruption:
    """Ctrl-C and SIGTERM: raised once, at a moment that can bear it; the second ends at once.

    Native libraries call Python while they are imported, and some abort the process when that
    raises; and Python drops what is raised in a destructor or a callback. So the first kind waits
    for the end of the import, and the second kind is raised again.
    """

    def __init__(self) -> None:
        self.asked = False
        self._unraisable = sys.unraisablehook

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
                signal.signal(number, self._stop)
        if _CAN_WAIT:
            signal.signal(signal.SIGALRM, self._raise)
            sys.unraisablehook = self._swallowed

    def end(self) -> bool:
        """Tell whether it was asked for; from now on, once is enough to end at once."""
        if _CAN_WAIT:
            signal.setitimer(signal.ITIMER_REAL, 0)
        asked, self.asked = self.asked, True  # What is left to do is not worth a traceback.
        return asked

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(INTERRUPTED)
        self.asked = True
        self._raise(number, frame)

    def _raise(self, _: int, frame: FrameType | None) -> None:
        while _CAN_WAIT and frame is not None:
            if (frame.f_code.co_filename, frame.f_code.co_name) == _IMPORTING:
                signal.setitimer(signal.ITIMER_REAL, _LATER_SECONDS)
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    def _swallowed(self, dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _LATER_SECONDS)
        else:
            self._unraisable(dropped)


def main() -> int:
    """Run the command line; Ctrl-C and SIGTERM end it with one line, twice at once.

    Returns
    -------
    int
        The exit status, 130 also where what the signal raised was swallowed on its way.
    """
    if sys.stderr is None:  # closed by whoever started this process
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    interruption = _Interruption()
    interruption.listen()
    status = 0
    try:
        from toolkit.cli.app import main as run

        status = run()
    except KeyboardInterrupt:
        pass
    except Exception:
        # Libraries that are interrupted while they tidy up fail in ways of their own.
        if not interruption.asked:
            raise
    interrupted = interruption.end()
    if interrupted and status != INTERRUPTED:
        print("toolkit: interrupted", file=sys.stderr)
    return INTERRUPTED if interrupted else status


if __name__ == "__main__":
    sys.exit(main())
