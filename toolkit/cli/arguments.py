"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

import toolkit
from toolkit.compilation import unannounced
from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.processes import Jobs


Arch = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A name (see: toolkit list archs) or a YAML file, also ZigZag's or Timeloop's, with "
        "parameters if it has any: gemmini-ws:side=32; with --allow-python also a value in a "
        "Python file, arch.py:mine.",
    ),
]
WorkloadWords = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKLOAD",
        help="A name (see: toolkit list workloads), a specification such as "
        "gemm:M=128,K=768,N=512, a YAML file, also ZigZag's (net.yaml:Layer2) or Timeloop's, "
        "integers M K N of a GEMM or M P Q C R S of a convolution, with Pstride Qstride "
        "Rdilation Sdilation behind them if wanted; with --allow-python work.py:mine.",
    ),
]
ObjectiveName = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="What to minimise: edp, energy, latency or edp_per_utilization.",
    ),
]
LatencyCorrection = Annotated[
    str | None,
    typer.Option(
        "--latency-correction",
        metavar="NAME",
        help="Replace the latency by one fitted to RTL simulations: gemmini-rtl.",
        show_default=False,
    ),
]
Pad = Annotated[
    list[str],
    typer.Option(
        "--pad",
        metavar="DIMS",
        help="Dimensions that may be padded, such as M,N, or all: whole tiles of the size up to "
        "an eighth larger that is best under the objective.",
    ),
]
PadToMapping = Annotated[
    list[str],
    typer.Option(
        "--pad",
        metavar="DIMS",
        help="Dimensions that were padded, such as M,N, or all: to what the factors of the "
        "mapping multiply to.",
    ),
]
FactorsName = Annotated[
    str | None,
    typer.Option(
        "--factors",
        metavar="NAME",
        help="Tile factors: perfect, which multiply to the sizes, or ragged, where last tiles may "
        "be cut off; by default as the conventions say, perfect with --pad.",
        show_default=False,
    ),
]
BypassName = Annotated[
    str,
    typer.Option(
        "--bypass",
        metavar="NAME",
        help="What a mapping may leave out of a memory: what the architecture permits "
        "(may_bypass), any tensor of every memory but the outermost (free), or nothing (fixed).",
    ),
]
BiasRead = Annotated[
    bool, typer.Option("--bias-read", help="Outputs start from an initial value that is read.")
]
MappingFile = Annotated[
    str,
    typer.Argument(
        metavar="MAPPING", help="A file: this toolkit's YAML or JSON, Timeloop's or ZigZag's."
    ),
]
MappingFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="How the mapping is written: toolkit, timeloop or zigzag; auto looks at it.",
    ),
]
Estimates = Annotated[
    list[str],
    typer.Option(
        "--estimates",
        metavar="FILE",
        help="Accelergy's ERT or ART, whose figures replace ours; repeat for several.",
    ),
]
AllowPython = Annotated[
    bool,
    typer.Option(
        "--allow-python",
        help="Run Python files that name architectures or workloads, such as arch.py:mine: only "
        "those that you trust as you would trust any program.",
    ),
]
ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Run searches on the workers of a dask.distributed cluster, by the address of its "
        "scheduler, such as tcp://host:8786, instead of in processes of this machine.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
AsJsonLines = Annotated[
    bool,
    typer.Option(
        "--json-lines",
        help="Print a JSON object on a line whenever something happens, the result as the last.",
    ),
]


def _compile_quietly(context: typer.Context, quiet: bool) -> bool:
    """Announce nothing that is compiled until the command ends, if it is to be quiet."""
    if quiet:
        context.with_resource(unannounced())
    return quiet


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=_compile_quietly,
        help="Show no progress; warnings and errors stay.",
    ),
]
KvCache = Annotated[
    str,
    typer.Option(
        "--kv-cache",
        metavar="WAY",
        help="How caches of keys and values grow: in-place, or copied as a whole.",
    ),
]
Experts = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1 << 20,
        help="Experts per token of a mixture of experts; as the file says by default.",
        show_default=False,
    ),
]


def trusted(word: str, allow_python: bool) -> str | os.PathLike[str]:
    """Allow a word to name a value in a Python file, where the user says so."""
    from toolkit.python_files import TrustedPython, names_python

    return TrustedPython(word) if allow_python and names_python(word) else word


def read_jobs(
    context: typer.Context, jobs: int | None, cluster: str | None, default: int | None = None
) -> Jobs | None:
    """Read where searches run; a cluster is connected to, before any work, until the command ends.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    jobs : int or None
        Processes that the user asks for.
    cluster : str or None
        Address of a scheduler.
    default : int, optional
        What `jobs` is where he does not ask.

    Raises
    ------
    InputError
        If both are given, or the cluster cannot be used.
    """
    if cluster is None:
        return jobs
    if jobs != default:
        raise InputError("given with --jobs; expected one of them", source="--cluster")
    return context.with_resource(toolkit.Cluster(cluster).connected())
