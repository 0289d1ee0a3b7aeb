"""The exceptions users meet, all under one base class.

Every message says where the input came from (file or option), which key, which value, and what was
expected instead. The command line prints the message and exits with status 2.
"""

from __future__ import annotations


class ToolkitError(Exception):
    """Base class of every error that this package raises on purpose.

    Examples
    --------
    >>> import toolkit
    >>> issubclass(toolkit.InputError, toolkit.ToolkitError)
    True
    """


class InputError(ToolkitError):
    """Something the user gave cannot be used.

    Parameters
    ----------
    message : str
        What is wrong, naming the offending value and what was expected.
    source : str, optional
        The file, option or argument that held it.
    key : str, optional
        The path of the key inside `source`, such as ``levels[2].mesh``.

    Examples
    --------
    >>> import toolkit
    >>> try:
    ...     toolkit.Budget(evaluations=0)
    ... except toolkit.InputError as error:
    ...     print(error)
    budget.evaluations: 0 is not a positive number
    """

    def __init__(self, message: str, *, source: str | None = None, key: str | None = None) -> None:
        place = ": ".join(part for part in (source, key) if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.source = source
        self.key = key


class WorkloadError(InputError):
    """A workload that is malformed, unknown or unusable."""


class ArchitectureError(InputError):
    """An architecture that is malformed, unknown or unusable."""


class MappingError(InputError):
    """A mapping that does not describe its workload on its architecture."""


class DoesNotFitError(InputError):
    """No mapping exists: the constraints of the architecture exclude the workload."""


class BoundError(ToolkitError):
    """A mapping is better than what a strategy proved to be possible: the proof is wrong."""


class PrecisionError(ToolkitError):
    """A count is too large to be represented exactly, so no number is given at all."""


class LostProcessError(ToolkitError):
    """A process of a search ended before its result came; what others had found is kept."""


class MissingPackageError(InputError):
    """An optional package that was asked for is not installed."""
