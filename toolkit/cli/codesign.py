"""The command `toolkit codesign`: strategies search for hardware, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.__main__ import INTERRUPTED
from toolkit.cli.amounts import read_amount
from toolkit.cli.arguments import (
    AllowPython,
    AsJson,
    AsJsonLines,
    BypassName,
    ClusterAddress,
    Estimates,
    Experts,
    FactorsName,
    KvCache,
    Pad,
    Quiet,
    trusted,
)
from toolkit.cli.problems import read_pad
from toolkit.cli.report import check_output, check_pictures, finish
from toolkit.cli.serving import DEFAULT_DECODE, Batch, Decode, Prefill, check_serving, read_roles
from toolkit.study.hardware import DEFAULT_SAMPLES, DEFAULT_STRATEGIES

if TYPE_CHECKING:
    from toolkit.arch.quantities import Kind
    from toolkit.cli.progress import Reporter
    from toolkit.codesign.job import Job
    from toolkit.codesign.near_best import ParameterCurve
    from toolkit.study.hardware.comparison import HardwareComparison
    from toolkit.study.pictures.canvas import Drawing
    from toolkit.study.storage.files import Results

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
DramBudget = Annotated[
    str | None,
    typer.Option(
        metavar="BANDWIDTH",
        help="Most bandwidth of DRAM, in GB/s or as 800MB/s.",
        show_default=False,
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
        "0.1 %; 0 proves it. Of a front, by how much any trade-off may be missed.",
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
HardwareReport = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Also score what each parameter does near the best hardware, and write all that is "
        "printed, and pictures of it, as one page that needs no network.",
        show_default=False,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Search every layer, keep nothing.")]

_STRATEGIES = ",".join(DEFAULT_STRATEGIES)


def search_hardware(
    models: Models,
    template: Template,
    range: Ranges = [],  # noqa: B006 - typer copies it
    area_budget: AreaBudget = None,
    power_budget: PowerBudget = None,
    dram_budget: DramBudget = None,
    node: Node = 45.0,
    clock: Clock = "1",
    dram_interface: DramInterfaceName = "chosen",
    energies: Energies = "technology",
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    objective: Objective = "edp",
    strategies: Strategies = _STRATEGIES,
    samples: Samples = DEFAULT_SAMPLES,
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
    prefill: Prefill = None,
    decode: Decode = None,
    batch: Batch = None,
    storage: Storage = None,
    name: Name = "",
    jobs: Jobs = None,
    cluster: ClusterAddress = None,
    out: Out = "codesign",
    report: HardwareReport = None,
    no_cache: NoCache = False,
    allow_python: AllowPython = False,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Read, search, write tables, pictures and the hardware, print."""
    import toolkit
    from toolkit.arch import load_template
    from toolkit.arch.technology import Technology, read_accelergy
    from toolkit.cli.output import NOTHING_FOUND
    from toolkit.cli.progress import Reporter
    from toolkit.cli.worker import HardwareTold
    from toolkit.codesign.job import JobSettings, make_job
    from toolkit.codesign.range_words import read_ranges
    from toolkit.errors import InputError
    from toolkit.study.hardware.strategies import compare_hardware

    reporter = Reporter.of(quiet, json, json_lines)
    told = HardwareTold(reporter)
    if energies not in ("technology", "template"):
        raise InputError(f"expected technology or template, got {energies!r}", source="--energies")
    check_pictures(report)
    clock_ghz = read_amount("--clock", clock, "hertz", 1e9) / 1e9
    given = trusted(template, allow_python)
    settings = JobSettings(
        read_ranges(range, load_template(given), clock_ghz) if range else {},
        Technology(node, clock_ghz, estimates=read_accelergy(estimates)),
        energies == "technology",
        _limit("--area-budget", area_budget, "mm²", 1.0, 1e6),
        _limit("--power-budget", power_budget, "watts", 1e-3, 1e3),
        objective,
        mapper,
        evaluations,
        fusion=fusion,
        factors=factors,  # type: ignore[arg-type]  # It is checked there.
        bypass=bypass,  # type: ignore[arg-type]  # It is checked there.
        pad=("all",) if (dimensions := read_pad(pad)) == "all" else tuple(dimensions),
        dram_interface=dram_interface,  # type: ignore[arg-type]  # It is checked there.
        dram_budget_gb_per_s=_limit("--dram-budget", dram_budget, "bytes per second", 1e9, 1e-9),
    )
    answers = _answers(prefill, decode, batch)
    job = make_job(given, _networks(models, dim, kv_cache, experts, answers), settings)
    check_output(None, out)
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
        cluster=None if cluster is None else toolkit.Cluster(cluster),
        name=name,
        cache=not no_cache,
        on_sample=told.sample,
        on_box=told.box,
    )
    _show(found, reporter, report, out, cache=not no_cache)
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)
    if found.best is None:
        raise typer.Exit(NOTHING_FOUND)


def _answers(prefill: int | None, decode: int | None, batch: int | None) -> dict[str, int] | None:
    """What decoders answer, where they serve."""
    if not check_serving(prefill, decode, batch):
        return None
    return {"prompt": prefill or 1, "decode": decode or DEFAULT_DECODE, "batch": batch or 1}


def _show(
    found: HardwareComparison, reporter: Reporter, report: str | None, out: str, *, cache: bool
) -> None:
    """Write tables, pictures and the hardware, and print."""
    from toolkit.cli.codesign_report import codesign_record, codesign_report
    from toolkit.study.storage.files import has_pictures

    # Curves cost points that nobody has scored yet.
    curves = _curves(found, cache=cache) if report and not found.interrupted else ()
    shown = _drawings(found, curves) if report or has_pictures() else ()
    finish(
        reporter,
        report,
        found.job.title,
        lambda: shown,
        partial(codesign_report, found),
        partial(codesign_record, found),
        write_codesign(found, Path(out), shown),
    )


def _limit(option: str, text: str | None, kind: Kind, plain: float, scale: float) -> float | None:
    """Read a budget as `read_amount` does, if one is given, and scale it."""
    return None if text is None else scale * read_amount(option, text, kind, plain)


def _drawings(found: HardwareComparison, curves: Sequence[ParameterCurve]) -> tuple[Drawing, ...]:
    from toolkit.study.pictures.hardware_drawings import hardware_drawings

    return hardware_drawings(found, curves)


def _networks(
    models: Sequence[str],
    dim: Sequence[str],
    kv_cache: str,
    experts: int | None,
    answers: dict[str, int] | None,
) -> list[Any]:
    import toolkit
    from toolkit.codesign.evaluation import NetworkWeight
    from toolkit.codesign.serving import serving_mix
    from toolkit.errors import InputError
    from toolkit.workload.network.decoding import find_decoder

    dims = read_roles(list(dim))
    uses = []
    for word in models:
        path, colon, text = word.rpartition(":")
        weighted = bool(colon) and text.replace(".", "", 1).isdigit()
        weight = float(text) if weighted else 1.0
        if not weight > 0:
            raise InputError(f"{word}: expected a positive weight", source="MODEL")
        model = path if weighted else word
        load = partial(
            toolkit.load_network,
            model,
            fold_batch_norm=True,
            # What a word is follows from the hardware that is looked for.
            bits="word",
            kv_cache=kv_cache,  # type: ignore[arg-type]  # It is checked there.
            experts=experts,
        )
        if answers is None:
            uses.append(NetworkWeight(load(dims=_sizes(dims)), weight))
        else:
            decoder = find_decoder(model, dims)
            uses += serving_mix(decoder, load, weight=weight, **answers)
    return uses


def _sizes(dims: dict[str, int | str]) -> dict[str, int]:
    """Refuse roles of dimensions where nothing serves."""
    from toolkit.errors import InputError

    sizes = {name: size for name, size in dims.items() if isinstance(size, int)}
    if len(sizes) < len(dims):
        name = next(name for name in dims if name not in sizes)
        raise InputError(f"{name}={dims[name]}: expected a size without --prefill", source="--dim")
    return sizes


def _curves(found: HardwareComparison, *, cache: bool) -> tuple[ParameterCurve, ...]:
    """What each parameter does near the best hardware; nothing if none was found."""
    from toolkit.codesign.near_best import parameter_curves
    from toolkit.codesign.scoring import Scorer

    if found.best is None or found.best.choice is None:
        return ()
    scorer = Scorer(found.job, cache=cache)
    return parameter_curves(scorer, found.best.choice.parameters, found.proof)


def write_codesign(
    found: HardwareComparison, folder: Path, shown: Sequence[Drawing] = ()
) -> Results:
    """Write tables, what is drawn of them, and hardware as YAML.

    What is proved is ``certificate.json``, trade-offs of a proved front also ``front.csv``.

    Each strategy's best hardware becomes ``STRATEGY.yaml``, and the best of all
    ``hardware.yaml``: architectures that every command takes.
    """
    import json

    from toolkit.cli.codesign_report import certificate_record
    from toolkit.study.storage.files import with_pictures, write_tables
    from toolkit.text_files import write_text_atomically

    tables = {"strategies": found.strategy_table(), "samples": found.sample_table()}
    files = list(write_tables(tables, folder))
    if found.front is not None:
        files += write_tables({"front": found.front_table()}, folder)
    if found.proof is not None or found.front is not None:
        files.append(folder / "certificate.json")
        write_text_atomically(files[-1], json.dumps(certificate_record(found), indent=1))
    best = {name: found.best_of(name) for name in found.strategies}
    for name, run in {**best, "hardware": found.best}.items():
        if run is not None and run.choice is not None:
            files.append(folder / f"{name}.yaml")
            text = hardware_yaml(found.job, run.choice, run.plan.strategy)
            write_text_atomically(files[-1], text)

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.canvas import write_drawings
        from toolkit.study.pictures.hardware import write_codesign_page

        return (*write_drawings(shown, folder), write_codesign_page(found, folder))

    return with_pictures(files, draw)


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
