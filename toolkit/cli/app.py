"""The `toolkit` command: it parses, calls the API and prints.

Exit statuses: 0 done, 1 nothing found or output closed early, 2 wrong input (one message on
standard error and nothing on standard output), 130 interrupted.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from toolkit.__main__ import INTERRUPTED
from toolkit.errors import InputError, ToolkitError
from toolkit.version import __version__

OUTPUT_CLOSED = 1
WRONG_INPUT = 2


class LateCommand(NamedTuple):
    """A command, whose function is imported when it is run or its options are shown.

    Parameters
    ----------
    home : str
        ``module:function``.
    function : str
        The name of `toolkit` that does the same in Python.
    help, epilog : str
        What it does, and examples.
    """

    home: str
    function: str
    help: str
    epilog: str

    @property
    def in_python(self) -> str:
        """The last line of its help."""
        return f"In Python: toolkit.{self.function}(…)"


COMMANDS = {
    "map": LateCommand(
        "toolkit.cli.map:map_workload",
        "map",
        help="Search for the best mapping of a workload on an architecture.",
        epilog="Examples:\n\n"
        "toolkit map eyeriss bert-large/KQV\n\n"
        "toolkit map simba 128 768 512 --objective latency\n\n"
        "toolkit map eyeriss-conv conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2 --save best.yaml\n\n"
        "toolkit map gemmini gemm:M=100,K=100,N=100 --pad all --strategy random "
        "--evaluations 100000 --json",
    ),
    "evaluate": LateCommand(
        "toolkit.cli.evaluate:evaluate_mapping",
        "evaluate",
        help="Cost one mapping, as saved by: toolkit map --save FILE (or --json > FILE), or as "
        "Timeloop or ZigZag write it.",
        epilog="Examples:\n\n"
        "toolkit evaluate eyeriss bert-large/KQV best.yaml\n\n"
        "toolkit evaluate gemmini-ws resnet18/L1 timeloop-mapper.map.txt --format timeloop\n\n"
        "toolkit evaluate simba 128 768 512 best.json --conventions factorflow --json",
    ),
    "explain": LateCommand(
        "toolkit.cli.explain:explain_mapping",
        "explain",
        help="Say where a mapping's energy and cycles go, what binds, and which move would help.",
        epilog="Examples:\n\n"
        "toolkit explain eyeriss bert-large/KQV best.yaml\n\n"
        "toolkit explain gemmini-ws resnet18/L1 timeloop-mapper.map.txt --format timeloop\n\n"
        "toolkit explain simba 128 768 512 best.json --objective latency --json",
    ),
    "export": LateCommand(
        "toolkit.cli.export:export_mapping",
        "mapping_to_text",
        help="Write a mapping for another tool (or for this one, from another tool's). "
        "ZigZag cuts no tile off: for it, search with --factors perfect.",
        epilog="Examples:\n\n"
        "toolkit export eyeriss bert-large/KQV best.yaml --format timeloop\n\n"
        "toolkit export eyeriss bert-large/KQV best.yaml --format zigzag --save zigzag.yaml",
    ),
    "space": LateCommand(
        "toolkit.cli.space:measure_space",
        "problem_size",
        help="Measure the map space: all valid mappings of a workload on an architecture.",
        epilog="Examples:\n\n"
        "toolkit space eyeriss bert-large/KQV\n\n"
        "toolkit space gemmini-conv resnet18/L6 --json",
    ),
    "sample": LateCommand(
        "toolkit.cli.sample:sample_mappings",
        "sample_landscape",
        help="Draw random mappings: how their costs are distributed, and where descents from "
        "them lead.",
        epilog="Examples:\n\n"
        "toolkit sample eyeriss bert-large/KQV\n\n"
        "toolkit sample simba 128 768 512 --count 10000 --descend --prove\n\n"
        "toolkit sample gemmini-conv resnet18/L6 --csv samples.csv --picture samples.png",
    ),
    "compare": LateCommand(
        "toolkit.cli.compare:compare_strategies",
        "compare",
        help="Run strategies side by side: every one on every workload under every seed.",
        epilog="Examples:\n\n"
        "toolkit compare eyeriss bert-large/KQV\n\n"
        "toolkit compare simba bert-large/KQV bert-large/FF1 --strategies greedy,anneal "
        "--evaluations 20000 --seeds 5 --jobs 2 --out results",
    ),
    "dashboard": LateCommand(
        "toolkit.cli.dashboard:show_dashboard",
        "open_dashboard",
        help="Show in a browser, by optuna-dashboard, what toolkit compare recorded.",
        epilog="Examples:\n\n"
        "toolkit dashboard\n\n"
        "toolkit dashboard results/comparison.journal --port 0 --no-browser",
    ),
    "network": LateCommand(
        "toolkit.cli.network:map_whole_network",
        "map_network",
        help="Map a whole ONNX model: every distinct layer once, then totals of the network.",
        epilog="Examples:\n\n"
        "toolkit network resnet18 eyeriss-conv\n\n"
        "toolkit network llama3-8b:int4 simba --dim past=4095\n\n"
        "toolkit network vit.onnx simba --dim batch=1 --evaluations 20000 --jobs 2 --out results",
    ),
    "networks": LateCommand(
        "toolkit.cli.networks:compare_whole_networks",
        "compare_networks",
        help="Map several models on several architectures: one table, a row for each pair.",
        epilog="Examples:\n\n"
        "toolkit networks resnet18 mobilenet-v2 --arch eyeriss-conv --arch simba-conv\n\n"
        "toolkit networks llama3-8b llama3-8b:int4 --arch tensor-core-sm --dim past=8191 "
        "--out results",
    ),
    "codesign": LateCommand(
        "toolkit.cli.codesign:search_hardware",
        "search_hardware",
        help="Search for hardware: sizes of an architecture for networks, within budgets.",
        epilog="Example:\n\ntoolkit codesign resnet18 --template gemmini-ws --area-budget 2",
    ),
    "minimal-hardware": LateCommand(
        "toolkit.cli.minimal_hardware:find_minimal_hardware",
        "minimal_hardware",
        help="Find the least hardware that a network's mappings run on, none slower than now.",
        epilog="Examples:\n\ntoolkit minimal-hardware resnet18 gemmini-ws:side=32\n\n"
        "toolkit minimal-hardware resnet18 eyeriss-like --slower --save least.yaml",
    ),
    "worker": LateCommand(
        "toolkit.cli.worker:join_studies",
        "join_studies",
        help="Take part in searches over hardware that toolkit codesign began, on any machine.",
        epilog="Examples:\n\n"
        "toolkit worker postgresql://user@host/designs\n\n"
        "toolkit worker grpc://host:13000 --most 50",
    ),
    "proxy": LateCommand(
        "toolkit.cli.proxy:serve_storage",
        "serve_proxy",
        help="Serve a storage by Optuna's gRPC proxy, to workers that cannot reach it themselves.",
        epilog="Example:\n\ntoolkit proxy postgresql://user@localhost/designs --host 0.0.0.0",
    ),
    "list": LateCommand(
        "toolkit.cli.list:list_names",
        "listing",
        help="List what has a name.",
        epilog="Examples:\n\ntoolkit list archs\n\ntoolkit list networks\n\n"
        "toolkit list workloads --json",
    ),
    "show": LateCommand(
        "toolkit.cli.show:show_definition",
        "definition",
        help="Print an architecture or a workload as YAML, ready to be copied and changed.",
        epilog="Examples:\n\n"
        "toolkit show arch eyeriss > mine.yaml\n\n"
        "toolkit show workload conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2",
    ),
    "docs": LateCommand(
        "toolkit.cli.docs:open_docs",
        "build_docs",
        help="Open the documentation of this version, which needs no network.",
        epilog="Examples:\n\ntoolkit docs\n\ntoolkit docs --path",
    ),
    "warm-up": LateCommand(
        "toolkit.cli.warm_up:compile_all",
        "warm_up",
        help="Compile ahead whatever searches may need.",
        epilog="Examples:\n\ntoolkit warm-up\n\ntoolkit warm-up --json",
    ),
}
"""All commands by name, in the order of the help."""


_SHORT_HELP = {"help_option_names": ["--help", "-h"]}


class Commands(Mapping[str, Any]):
    """Builds a command when it is looked up, so that no run waits for the others' imports."""

    def __getitem__(self, name: str) -> Any:
        entry = COMMANDS[name]
        module, _, function = entry.home.partition(":")
        alone = typer.Typer(add_completion=False)
        epilog = f"{entry.epilog}\n\n{entry.in_python}"
        alone.command(name, help=entry.help, epilog=epilog, context_settings=_SHORT_HELP)(
            getattr(importlib.import_module(module), function)
        )
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": Commands()})


app = typer.Typer(
    name="toolkit",
    cls=_Group,
    context_settings=_SHORT_HELP,
    help="How DNN layers and networks should run on spatial accelerators, and what these should "
    "be: mappings, proofs, comparisons, fusion, hardware.",
    epilog="Every command takes --json and has its own --help with examples; long ones also take "
    "--json-lines and --quiet.",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``toolkit``; those of this process by default.

    Returns
    -------
    int
        The exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:  # closed by whoever started this process
        return OUTPUT_CLOSED
    status = _run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except OSError:
        # What is still buffered has no reader; Python's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or OUTPUT_CLOSED
    return status


def _run(arguments: list[str]) -> int:
    try:
        status = app(args=arguments or ["--help"], prog_name="toolkit", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        print("toolkit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return OUTPUT_CLOSED
    except TyperException as error:
        message = getattr(error, "format_message", error.__str__)()
        print(f"toolkit: {' '.join(message.split())}", file=sys.stderr)
        return WRONG_INPUT
    except ToolkitError as error:
        print(f"toolkit: {_in_options(error)}", file=sys.stderr)
        return WRONG_INPUT
    if status == INTERRUPTED:  # what typer makes of Ctrl-C during a command
        print("toolkit: interrupted", file=sys.stderr)
    return status if isinstance(status, int) else 0


_OPTIONS = {
    "budget": "--evaluations or --seconds",
    "budget.seconds": "--seconds",
    "bypass": "--bypass",
    "cluster": "--cluster",
    "conventions": "--conventions",
    "latency_correction": "--latency-correction",
    "factors": "--factors",
    "format": "--format",
    "fusion": "--fusion",
    "host": "--host",
    "jobs": "--jobs",
    "objective": "--objective",
    "problems": "WORKLOAD",
    "pad": "--pad",
    "port": "--port",
    "seeds": "--seeds",
    "storage": "--storage",
    "strategies": "--strategies",
    "strategy": "--strategy",
    "switch": "--switch",
    "warm_starts": "--start",
}


def _in_options(error: ToolkitError) -> str:
    """Write the message of an error with options in place of the arguments of the API."""
    if isinstance(error, InputError) and error.source is None and error.key in _OPTIONS:
        return f"{_OPTIONS[error.key]}{str(error).removeprefix(error.key)}"
    return str(error)
