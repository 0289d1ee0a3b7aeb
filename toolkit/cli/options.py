"""Arguments and options that several commands of the `toolkit` command share."""

from __future__ import annotations

from typing import Annotated

import typer

Arch = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A name (see: toolkit list archs) or a YAML file, also ZigZag's or Timeloop's, with "
        "parameters if it has any: gemmini-ws:side=32.",
    ),
]
WorkloadWords = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKLOAD",
        help="A name (see: toolkit list workloads), a specification such as "
        "gemm:M=128,K=768,N=512, a YAML file, also ZigZag's (net.yaml:Layer2) or Timeloop's, "
        "or three integers M K N.",
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
ConventionsName = Annotated[
    str,
    typer.Option(
        "--conventions",
        metavar="NAME",
        help="How costs are counted: exact, factorflow or timeloop.",
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
        metavar="DIM",
        help="Round this dimension up where a constraint does not divide it; "
        "repeat for several, or say all.",
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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
