"""The `toolkit` command: it parses, calls the API and prints.

Exit statuses: 0 done, 1 nothing found or output closed early, 2 wrong input (one message on
standard error and nothing on standard output), 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import toolkit
from toolkit.cli.codesign import search_hardware
from toolkit.cli.compare import compare_strategies
from toolkit.cli.dashboard import show_dashboard
from toolkit.cli.names import list_names, show_definition
from toolkit.cli.network import map_whole_network
from toolkit.cli.options import (
    Arch,
    AsJson,
    BiasRead,
    ConventionsName,
    LatencyCorrection,
    MappingFile,
    MappingFormat,
    ObjectiveName,
    Pad,
    WorkloadWords,
)
from toolkit.cli.worker import join_studies, serve_storage
from toolkit.errors import InputError, ToolkitError

OUTPUT_CLOSED = 1
WRONG_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="toolkit",
    help="How DNN layers and networks should run on spatial accelerators, and what these should "
    "be: mappings, proofs, comparisons, fusion, hardware.",
    epilog="Every command takes --json and has its own --help with examples.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(toolkit.__version__)
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


@app.command(
    "map",
    help="Search for the best mapping of a workload on an architecture.",
    epilog="Examples:\n\n"
    "toolkit map eyeriss bert-large/KQV\n\n"
    "toolkit map simba 128 768 512 --objective latency\n\n"
    "toolkit map eyeriss-conv conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2 --save best.yaml\n\n"
    "toolkit map gemmini gemm:M=100,K=100,N=100 --pad all --strategy random "
    "--evaluations 100000 --json",
)
def map_workload(
    arch: Arch,
    workload: WorkloadWords,
    strategy: Annotated[
        str,
        typer.Option(metavar="NAME", help="How to search; see: toolkit list strategies."),
    ] = "greedy",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")] = 0,
    evaluations: Annotated[
        int | None,
        typer.Option(min=1, max=10**18, help="Most mappings to cost.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Longest time to search.", show_default=False)
    ] = None,
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    save: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the mapping: JSON if named .json, else YAML."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Search, save, print."""
    from toolkit.cli.input import check_writable, read_problem
    from toolkit.cli.output import print_json, print_report, result_record, result_report
    from toolkit.cli.progress import watched

    if save is not None:
        check_writable(save)
    budget = toolkit.Budget(evaluations=evaluations, seconds=seconds)
    problem = read_problem(arch, workload, objective, conventions, pad, bias_read)
    with watched(problem, strategy) as on_improvement:
        result = toolkit.search(
            problem, strategy, budget=budget, seed=seed, on_improvement=on_improvement
        )
    evaluation = _evaluate(result.mapping, problem)
    output = result_record(result, evaluation) if json else result_report(result, evaluation)
    if save is not None:
        toolkit.write_mapping(save, result.mapping)
    if isinstance(output, dict):
        print_json(output)
    else:
        print_report(output)


@app.command(
    "evaluate",
    help="Cost one mapping, as saved by: toolkit map --save FILE (or --json > FILE), or as "
    "Timeloop or ZigZag write it.",
    epilog="Examples:\n\n"
    "toolkit evaluate eyeriss bert-large/KQV best.yaml\n\n"
    "toolkit evaluate gemmini-ws resnet18/L1 timeloop-mapper.map.txt --format timeloop\n\n"
    "toolkit evaluate simba 128 768 512 best.json --conventions factorflow --json",
)
def evaluate_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: MappingFormat = "auto",
    conventions: ConventionsName = "exact",
    latency_correction: LatencyCorrection = None,
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    json: AsJson = False,
) -> None:
    """Read, evaluate, print."""
    from toolkit.cli.input import read_problem, read_valid_mapping
    from toolkit.cli.output import (
        evaluation_record,
        evaluation_report,
        print_json,
        print_report,
    )

    problem = read_problem(arch, workload, "edp", conventions, pad, bias_read)
    evaluation = _evaluate(read_valid_mapping(mapping, problem, format), problem)
    if latency_correction is not None:
        evaluation = toolkit.latency_correction(latency_correction).corrected(evaluation)
    if json:
        print_json(evaluation_record(problem, evaluation))
    else:
        print_report(evaluation_report(problem, evaluation))


@app.command(
    "explain",
    help="Say where a mapping's energy and cycles go, what binds, and which move would help.",
    epilog="Examples:\n\n"
    "toolkit explain eyeriss bert-large/KQV best.yaml\n\n"
    "toolkit explain gemmini-ws resnet18/L1 timeloop-mapper.map.txt --format timeloop\n\n"
    "toolkit explain simba 128 768 512 best.json --objective latency --json",
)
def explain_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: MappingFormat = "auto",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    json: AsJson = False,
) -> None:
    """Read, evaluate, try every single move, print."""
    from toolkit.cli.explain import explain_record, explain_report
    from toolkit.cli.input import read_problem, read_valid_mapping
    from toolkit.cli.output import print_json, print_report

    problem = read_problem(arch, workload, objective, conventions, pad, bias_read)
    evaluation = _evaluate(read_valid_mapping(mapping, problem, format), problem)
    if json:
        print_json(explain_record(problem, evaluation))
    else:
        print_report(explain_report(problem, evaluation))


@app.command(
    "export",
    help="Write a mapping for another tool (or for this one, from another tool's).",
    epilog="Examples:\n\n"
    "toolkit export eyeriss bert-large/KQV best.yaml --format timeloop\n\n"
    "toolkit export eyeriss bert-large/KQV best.yaml --format zigzag --save zigzag.yaml",
)
def export_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="timeloop, zigzag or toolkit.", show_default=False)
    ],
    pad: Pad = [],  # noqa: B006 - typer copies it
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write to a file instead.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Read, write."""
    from toolkit.cli.export import export_record, save_export
    from toolkit.cli.input import check_writable, read_problem, read_valid_mapping
    from toolkit.cli.output import print_json, print_text

    if save is not None:
        check_writable(save)
    problem = read_problem(arch, workload, "edp", "exact", pad, False)
    read = read_valid_mapping(mapping, problem)
    record = export_record(problem, read, format)
    if save is not None:
        save_export(save, record, read)
    if json:
        print_json(record)
    elif save is None:
        print_text(record["text"])


@app.command(
    "space",
    help="Measure the map space: all valid mappings of a workload on an architecture.",
    epilog="Examples:\n\n"
    "toolkit space eyeriss bert-large/KQV\n\n"
    "toolkit space gemmini-conv resnet18/L6 --json",
)
def measure_space(
    arch: Arch,
    workload: WorkloadWords,
    conventions: ConventionsName = "exact",
    pad: Pad = [],  # noqa: B006 - typer copies it
    json: AsJson = False,
) -> None:
    """Count, print."""
    from toolkit.cli.input import read_problem
    from toolkit.cli.output import print_json, print_report, space_record, space_report

    problem = read_problem(arch, workload, "edp", conventions, pad, False)
    size = toolkit.space_size(problem.space)
    if json:
        print_json(space_record(problem, size))
    else:
        print_report(space_report(problem, size))


app.command(
    "compare",
    help="Run strategies side by side: every one on every workload under every seed.",
    epilog="Examples:\n\n"
    "toolkit compare eyeriss bert-large/KQV\n\n"
    "toolkit compare simba bert-large/KQV bert-large/FF1 --strategies greedy,anneal "
    "--evaluations 20000 --seeds 5 --jobs 2 --out results",
)(compare_strategies)
app.command(
    "dashboard",
    help="Show in a browser, by optuna-dashboard, what toolkit compare recorded.",
    epilog="Examples:\n\n"
    "toolkit dashboard\n\n"
    "toolkit dashboard results/comparison.journal --port 0 --no-browser",
)(show_dashboard)
app.command(
    "network",
    help="Map a whole ONNX model: every distinct layer once, then totals of the network.",
    epilog="Examples:\n\n"
    "toolkit network resnet18.onnx eyeriss-conv\n\n"
    "toolkit network vit.onnx simba --dim batch=1 --evaluations 20000 --jobs 2 --out results",
)(map_whole_network)
app.command(
    "codesign",
    help="Search for hardware: sizes of an architecture for networks, within budgets.",
    epilog="Example:\n\ntoolkit codesign resnet18.onnx --template gemmini-ws --area-budget 2",
)(search_hardware)
app.command(
    "worker",
    help="Take part in searches over hardware that toolkit codesign began, on any machine.",
    epilog="Examples:\n\n"
    "toolkit worker postgresql://user@host/designs\n\ntoolkit worker grpc://host:13000 --most 50",
)(join_studies)
app.command(
    "proxy",
    help="Serve a storage by Optuna's gRPC proxy, to workers that cannot reach it themselves.",
    epilog="Example:\n\ntoolkit proxy postgresql://user@localhost/designs --host 0.0.0.0",
)(serve_storage)
app.command(
    "list",
    help="List what has a name.",
    epilog="Examples:\n\ntoolkit list archs\n\ntoolkit list workloads --json",
)(list_names)
app.command(
    "show",
    help="Print an architecture or a workload as YAML, ready to be copied and changed.",
    epilog="Examples:\n\n"
    "toolkit show arch eyeriss > mine.yaml\n\n"
    "toolkit show workload conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2",
)(show_definition)


def _evaluate(mapping: toolkit.Mapping, problem: toolkit.Problem) -> toolkit.Evaluation:
    return toolkit.evaluate(
        mapping,
        problem.arch,
        problem.workload,
        conventions=problem.conventions,
        bias_read=problem.bias_read,
    )


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
    "conventions": "--conventions",
    "latency_correction": "--latency-correction",
    "format": "--format",
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
}


def _in_options(error: ToolkitError) -> str:
    """Write the message of an error with options in place of the arguments of the API."""
    if isinstance(error, InputError) and error.source is None and error.key in _OPTIONS:
        return f"{_OPTIONS[error.key]}{str(error).removeprefix(error.key)}"
    return str(error)
