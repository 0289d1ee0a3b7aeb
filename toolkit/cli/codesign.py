"""The command `toolkit codesign`: strategies search for hardware, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.amounts import read_amount
from toolkit.cli.arguments import (
    AsJson,
    BypassName,
    Estimates,
    Experts,
    FactorsName,
    KvCache,
    Pad,
    read_pad,
)

if TYPE_CHECKING:
    from toolkit.codesign.job import Job
    from toolkit.study.hardware.strategies import HardwareComparison
    from toolkit.study.storage.files import Results
    from toolkit.workload.network import LayerGraph

STORAGE = "codesign.journal"

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="ONNX files, or names that toolkit list networks knows; of several, each may have "
        "a weight: resnet18.onnx:0.5.",
    ),
]
Template = Annotated[
    str,
    typer.Option(
        metavar="ARCH", help="An architecture with ranges, by name or file.", show_default=False
    ),
]
Ranges = Annotated[
    list[str],
    typer.Option(
        "--range",
        metavar="NAME=VALUES",
        help="Values of a parameter, instead of those of the template: side=8..64, which "
        "doubles, side=8,12,16, or with units scratchpad_words=64KiB..1MiB, "
        "dram_bandwidth=8..64GB/s; repeat for several.",
    ),
]
AreaBudget = Annotated[
    str | None,
    typer.Option(metavar="MM2", help="Largest area in mm².", show_default=False),
]
PowerBudget = Annotated[
    str | None,
    typer.Option(
        metavar="MW", help="Most power that may be drawn, in mW or as 2W.", show_default=False
    ),
]
Node = Annotated[float, typer.Option(metavar="NM", help="Technology node, 3 to 90 nm.")]
Clock = Annotated[str, typer.Option(metavar="GHZ", help="Clock in GHz, or as 800MHz.")]
DramInterfaceName = Annotated[
    str,
    typer.Option(
        "--dram-interface",
        metavar="WHEN",
        help="When the chip's side of the bus to DRAM takes area and power: where its bandwidth "
        "is chosen, always, or never.",
    ),
]
Energies = Annotated[
    str,
    typer.Option(
        metavar="FROM", help="Where energies come from: the technology, or the template's figures."
    ),
]
Objective = Annotated[
    str,
    typer.Option(metavar="NAME", help="What to minimise: edp, edap, energy, latency or front."),
]
Strategies = Annotated[
    str, typer.Option(metavar="NAMES", help="Which to run, separated by commas.")
]
Samples = Annotated[int, typer.Option(min=1, help="Hardware points that each run scores.")]
Seconds = Annotated[
    float | None,
    typer.Option(help="Longest time that a run may take.", show_default=False),
]
RunEvaluations = Annotated[
    int | None,
    typer.Option(
        "--run-evaluations",
        min=1,
        max=10**15,
        help="Mappings that a run may cost in all, those of descents included.",
        show_default=False,
    ),
]
Within = Annotated[
    float,
    typer.Option(
        min=0.0,
        metavar="FRACTION",
        help="How far the best hardware of exact may be from its bound when it ends: 0.001 is "
        "0.1 %; 0 proves it.",
    ),
]
Seeds = Annotated[int, typer.Option(min=1, max=1000, help="Runs of each strategy.")]
Mapper = Annotated[str, typer.Option(metavar="NAME", help="Strategy that maps each layer.")]
Evaluations = Annotated[
    int, typer.Option(min=1, max=10**12, help="Mappings to cost per layer and point.")
]
Fusion = Annotated[
    str,
    typer.Option(metavar="NAME", help="How layers are fused: none, greedy, segments or exact."),
]
Dims = Annotated[
    list[str],
    typer.Option("--dim", metavar="NAME=SIZE", help="Size of a dynamic dimension; repeat."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="STORAGE",
        help="Where to record: a file, postgresql://HOST/NAME or grpc://HOST:PORT; by default "
        f"{STORAGE} in the folder of --out. toolkit worker can help with what is recorded.",
        show_default=False,
    ),
]
Name = Annotated[
    str, typer.Option(metavar="NAME", help="First part of the studies' names.", show_default=False)
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Processes; as many as cores.", show_default=False),
]
Out = Annotated[
    str, typer.Option(metavar="FOLDER", help="Folder for tables, pictures and the hardware.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Search every layer, keep nothing.")]


def search_hardware(
    models: Models,
    template: Template,
    range: Ranges = [],  # noqa: B006 - typer copies it
    area_budget: AreaBudget = None,
    power_budget: PowerBudget = None,
    node: Node = 45.0,
    clock: Clock = "1",
    dram_interface: DramInterfaceName = "chosen",
    energies: Energies = "technology",
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    objective: Objective = "edp",
    strategies: Strategies = "joint-gradient,two-step,tpe,fill-area,random",
    samples: Samples = 50,
    seconds: Seconds = None,
    run_evaluations: RunEvaluations = None,
    within: Within = 0.0,
    seeds: Seeds = 1,
    mapper: Mapper = "greedy",
    evaluations: Evaluations = 5_000,
    fusion: Fusion = "none",
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    dim: Dims = [],  # noqa: B006 - typer copies it
    kv_cache: KvCache = "in-place",
    experts: Experts = None,
    storage: Storage = None,
    name: Name = "",
    jobs: Jobs = None,
    out: Out = "codesign",
    no_cache: NoCache = False,
    json: AsJson = False,
) -> None:
    """Read, search, write tables, pictures and the hardware, print."""
    from toolkit.arch import load_template
    from toolkit.arch.technology import Technology, read_accelergy
    from toolkit.cli.output import NOTHING_FOUND, print_json, print_report
    from toolkit.cli.worker import show_sample
    from toolkit.codesign.job import JobSettings, make_job
    from toolkit.codesign.range_words import read_ranges
    from toolkit.errors import InputError
    from toolkit.study.hardware.strategies import compare_hardware
    from toolkit.study.storage.files import make_folder

    if energies not in ("technology", "template"):
        raise InputError(f"expected technology or template, got {energies!r}", source="--energies")
    clock_ghz = read_amount("--clock", clock, "hertz", 1e9) / 1e9
    ranges = read_ranges(range, load_template(template), clock_ghz) if range else {}
    settings = JobSettings(
        ranges,
        Technology(node, clock_ghz, estimates=read_accelergy(estimates)),
        energies == "technology",
        None
        if area_budget is None
        else 1e6 * read_amount("--area-budget", area_budget, "mm²", 1.0),
        None
        if power_budget is None
        else 1e3 * read_amount("--power-budget", power_budget, "watts", 1e-3),
        objective,
        mapper,
        evaluations,
        fusion=fusion,
        factors=factors,  # type: ignore[arg-type]  # It is checked there.
        bypass=bypass,  # type: ignore[arg-type]  # It is checked there.
        pad=("all",) if (dimensions := read_pad(pad)) == "all" else tuple(dimensions),
        dram_interface=dram_interface,  # type: ignore[arg-type]  # It is checked there.
    )
    job = make_job(template, _networks(models, dim, kv_cache, experts), settings)
    folder = make_folder(out)
    found = compare_hardware(
        job,
        [part.strip() for part in strategies.split(",") if part.strip()],
        storage=storage or os.path.join(out, STORAGE),
        samples=samples,
        seconds=seconds,
        evaluations=run_evaluations,
        within=within,
        seeds=seeds,
        jobs=jobs,
        name=name,
        cache=not no_cache,
        on_sample=show_sample,
    )
    written = write_codesign(found, folder)
    if json:
        print_json(codesign_record(found, written))
    else:
        print_report(codesign_report(found, written))
    if found.best is None:
        raise typer.Exit(NOTHING_FOUND)


def _networks(
    models: Sequence[str], dim: Sequence[str], kv_cache: str, experts: int | None
) -> list[Any]:
    import toolkit
    from toolkit.cli.network_options import read_dims
    from toolkit.codesign.evaluation import NetworkWeight
    from toolkit.errors import InputError

    dims = read_dims(dim)
    uses = []
    for word in models:
        path, colon, text = word.rpartition(":")
        weighted = bool(colon) and text.replace(".", "", 1).isdigit()
        weight = float(text) if weighted else 1.0
        if not weight > 0:
            raise InputError(f"{word}: expected a positive weight", source="MODEL")
        graph: LayerGraph = toolkit.load_network(
            path if weighted else word,
            dims,
            fold_batch_norm=True,
            # What a word is follows from the hardware that is looked for.
            bits="word",
            kv_cache=kv_cache,  # type: ignore[arg-type]  # It is checked there.
            experts=experts,
        )
        uses.append(NetworkWeight(graph, weight))
    return uses


def write_codesign(found: HardwareComparison, folder: Path) -> Results:
    """Write tables, pictures where their libraries are installed, and hardware as YAML.

    Each strategy's best hardware becomes ``STRATEGY.yaml``, and the best of all
    ``hardware.yaml``: architectures that every command takes.
    """
    import json

    from toolkit.study.storage.files import with_pictures, write_tables
    from toolkit.text_files import write_text_atomically

    tables = {"strategies": found.strategy_table(), "samples": found.sample_table()}
    files = list(write_tables(tables, folder))
    if found.proof is not None:
        files.append(folder / "certificate.json")
        write_text_atomically(files[-1], json.dumps(certificate_record(found), indent=1))
    best = {name: found.best_of(name) for name in found.strategies}
    for name, run in {**best, "hardware": found.best}.items():
        if run is not None and run.choice is not None:
            files.append(folder / f"{name}.yaml")
            text = hardware_yaml(found.job, run.choice, run.plan.strategy)
            write_text_atomically(files[-1], text)

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.hardware import write_codesign_pictures

        return tuple(write_codesign_pictures(found, folder))

    return with_pictures(files, draw)


def certificate_record(found: HardwareComparison) -> dict[str, Any]:
    """What is proved, with all boxes: first and last value of every parameter, bound, reason."""
    proof, ranges = found.proof, found.job.space.ranges
    assert proof is not None
    boxes = [
        {
            "values": {name: list(ends) for name, ends in entry.box.values(ranges).items()},
            "bound": entry.bound if entry.bound < float("inf") else None,
            "closed_by": entry.closing,
        }
        for entry in proof.boxes
    ]
    return {**proof_record(found), "boxes": boxes}


def proof_record(found: HardwareComparison) -> dict[str, Any]:
    """What is proved, and how many boxes and points each reason closed."""
    proof = found.proof
    assert proof is not None
    return {
        "objective": found.job.settings.objective,
        "bound": proof.bound if proof.bound < float("inf") else None,
        "best": None if proof.best is None else proof.best.value,
        "gap_fraction": proof.gap if proof.gap < float("inf") else None,
        "proved": proof.proved,
        "closed": {
            reason: {"boxes": boxes, "points": points}
            for reason, (boxes, points) in proof.closings().items()
        },
        "fronts_proved": proof.proofs,
        "seconds": proof.seconds,
        "notes": list(proof.notes),
    }


def hardware_yaml(job: Job, score: Any, strategy: str) -> str:
    """Write hardware as an architecture file."""
    import toolkit

    space, objective = job.space, job.objective
    value = objective.described(score.energy_pj, score.latency_cycles, score.area_um2)
    # Files are ASCII.
    found = f"{objective.heading} {value}".replace("·", "*").replace("²", "^2")
    return toolkit.arch_to_yaml(
        space.build(score.parameters).arch,
        description=f"for {job.title}, chosen by {strategy}: area "
        f"{score.area_um2 * 1e-6:.4g} mm^2, {found}",
        kernel=space.template.file(score.parameters).kernel,
    )


def codesign_record(found: HardwareComparison, written: Results) -> dict[str, Any]:
    """Everything as JSON-able data; what was not found is null."""
    import json

    best = found.best
    return {
        "title": found.job.title,
        "points": found.job.space.size,
        "strategies": json.loads(found.strategy_table().to_json(orient="records")),
        "best": None
        if best is None or best.choice is None
        else {**best.plan.record(), **best.choice.record()},
        "proof": None if found.proof is None else proof_record(found),
        **written.record(),
    }


def codesign_report(found: HardwareComparison, written: Results) -> list[Any]:
    """Lay out the table of strategies and the best hardware."""
    from toolkit.cli.output import aligned
    from toolkit.study.units import short_energy

    space, given, best = found.job.space, found.job.settings, found.best
    limits = [f"{space.size:,} points", f"{given.mapper_evaluations:,} mappings per layer"]
    limits += [f"fusion {given.fusion}"] if given.fusion != "none" else []
    limits += ["ragged factors"] if given.factors == "ragged" else []
    limits += [f"{given.bypass} bypasses"] if given.bypass != "permitted" else []
    limits += [f"padded {', '.join(given.pad)}"] if given.pad else []
    if space.area_budget_um2 is not None:
        limits.append(f"area up to {space.area_budget_um2 * 1e-6:g} mm²")
    if space.power_budget_mw is not None:
        limits.append(f"power up to {space.power_budget_mw * 1e-3:g} W")
    if space.interfaces:
        limits.append("with interfaces to DRAM")
    if free := space.free():
        limits.append(f"{', '.join(free)} at no cost")
    report: list[Any] = [
        f"{found.job.title}: {', '.join(limits)}; objective {given.objective}",
        "",
        _table(found),
        "",
    ]
    if best is None or best.choice is None:
        report.append("no point within the budgets was found; expected more samples")
    else:
        choice, objective = best.choice, found.job.objective
        costs = choice.energy_pj, choice.latency_cycles, choice.area_um2
        facts = [(name, str(value)) for name, value in choice.parameters.items()]
        facts += [
            (objective.heading, objective.described(*costs)),
            ("area", f"{choice.area_um2 * 1e-6:.4g} mm², up to {choice.power_mw * 1e-3:.4g} W"),
            ("energy", short_energy(choice.energy_pj)),
            ("latency", f"{choice.latency_cycles:,.0f} cycles"),
        ]
        groups = [len(group) for network in choice.networks for group in network.groups]
        facts += [("fused", f"{sum(groups)} layers in {len(groups)} groups")] if groups else []
        report += [f"Best: {best.plan.strategy}, seed {best.plan.seed}", *aligned(facts)]
    if found.proof is not None:
        report += ["", *_proof_lines(found)]
    return [*report, "", *written.lines()]


_CLOSED_BY = {
    "area": "too large",
    "power": "too much power",
    "unfit": "a layer does not run",
    "bound": "nothing better inside",
    "point": "optimum of the point known",
    "open": "open",
}


def _proof_lines(found: HardwareComparison) -> list[str]:
    """Say what is proved, and what closed how many of the points."""
    proof = found.proof
    assert proof is not None
    objective = found.job.objective
    if proof.best is None:
        head = "no hardware is known to do" if proof.bound < float("inf") else "no hardware does"
    elif proof.proved:
        head = f"proved: no hardware of these ranges has a lower {objective.name}"
    else:
        head = f"no hardware has a {objective.name} more than {proof.gap:.2%} below the best"
    closed = ", ".join(
        f"{points:,} in {boxes:,} boxes {_CLOSED_BY[reason]}"
        for reason, (boxes, points) in proof.closings().items()
    )
    return [head, f"points: {closed}", *proof.notes]


_COLUMNS = {
    "best": ("best_objective_value", ".5g"),
    "worst": ("worst_objective_value", ".5g"),
    "random\n/ this": ("baseline_ratio", ".3f"),
    "best baseline\n/ this": ("best_baseline_ratio", ".3f"),
    "latency\ncycles": ("latency_cycles", ",.0f"),
    "energy\nmJ": ("energy_pj", ".4g"),
    "area\nmm²": ("area_um2", ".4g"),
    "power\nW": ("power_mw", ".3g"),
    "gap to\nbound": ("gap_fraction", ".2%"),
    "samples": ("samples", ",.0f"),
    "mappings": ("evaluations", ".4g"),
    "seconds": ("seconds", ".3g"),
}
_EDP = {"EDP\nJ·cycle": ("edp_j_cycles", ".5g")}
_FACTORS = {"energy_pj": 1e-9, "area_um2": 1e-6, "power_mw": 1e-3}


def _table(found: HardwareComparison) -> Any:
    import math

    from toolkit.cli.output import empty_table

    objective = found.job.objective
    columns = {
        f"{objective.heading}\n{objective.shown_unit}": ("objective_value", ".5g"),
        **_COLUMNS,
    }
    # Where something else ranks, EDP stands beside it.
    columns |= {head: column for head, column in _EDP.items() if head not in columns}
    table = empty_table()
    table.add_column("strategy\nmedian of seeds")
    for head in columns:
        table.add_column(head, justify="right")
    table.add_column("hardware", overflow="fold")
    ranked = found.strategy_table().sort_values("objective_value", kind="stable")
    for row in ranked.to_dict("records"):
        cells = []
        for column, form in columns.values():
            value = row[column] * _FACTORS.get(column, 1.0)
            cells.append("-" if math.isnan(value) else format(value, form))
        table.add_row(row["strategy"], *cells, row["parameters"])
    return table
