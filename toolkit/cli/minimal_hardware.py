"""The command `toolkit minimal-hardware`: the least hardware that a network's mappings run on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.amounts import read_amount
from toolkit.cli.arguments import (
    AllowPython,
    AsJson,
    AsJsonLines,
    BypassName,
    FactorsName,
    Quiet,
    trusted,
)
from toolkit.cli.codesign import Clock, Ranges
from toolkit.cli.network_options import Dims, Evaluations, Model, NoCache, Seconds, Seed, Strategy
from toolkit.cli.problems import check_writable
from toolkit.cli.report import ReportFile, check_pictures, write_pictures

if TYPE_CHECKING:
    from toolkit.arch.expressions import Number
    from toolkit.codesign.minimal import MinimalHardware, Use
    from toolkit.codesign.space import HardwarePoint, HardwareSpace
    from toolkit.study.pictures.canvas import Drawing

Template = Annotated[
    str,
    typer.Argument(
        metavar="TEMPLATE",
        help="An architecture with ranges, by name or file, with the sizes that the mappings are "
        "made for: gemmini-ws:side=32.",
    ),
]
Node = Annotated[float, typer.Option(metavar="NM", help="Technology node, 3 to 90 nm.")]
Slower = Annotated[
    bool,
    typer.Option(
        "--slower",
        help="Let mappings be slower than on the given hardware: capacities and meshes as small "
        "as they can be first, then bandwidths that slow nothing further.",
    ),
]
Save = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Write the hardware as YAML.", show_default=False),
]


def find_minimal_hardware(
    model: Model,
    template: Template,
    range: Ranges = [],  # noqa: B006 - typer copies it
    slower: Slower = False,
    node: Node = 45.0,
    clock: Clock = "1",
    strategy: Strategy = "greedy",
    evaluations: Evaluations = None,
    seconds: Seconds = None,
    seed: Seed = 0,
    dim: Dims = [],  # noqa: B006 - typer copies it
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    save: Save = None,
    no_cache: NoCache = False,
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Map, shrink, draw, print."""
    import toolkit
    from toolkit.cli.network import watched
    from toolkit.cli.network_options import read_budget, read_dims
    from toolkit.cli.output import print_report
    from toolkit.cli.progress import Reporter
    from toolkit.codesign.minimal import minimal_hardware
    from toolkit.text_files import write_text_atomically

    reporter = Reporter.of(quiet, json, json_lines)
    if save is not None:
        check_writable(save)
    check_pictures(report)
    clock_ghz = read_amount("--clock", clock, "hertz", 1e9) / 1e9
    space, parameters = _given(template, range, node, clock_ghz, bypass, allow_python)
    given = space.build(parameters)
    with watched(reporter, kept=not no_cache) as on_layer:
        result = toolkit.map_network(
            toolkit.load_network(model, read_dims(dim), fold_batch_norm=True, bits="word"),
            given.arch,
            strategy,
            budget=read_budget(evaluations, seconds),
            seed=seed,
            factors=factors,  # type: ignore[arg-type]  # It is checked there.
            cache=not no_cache,
            on_layer=on_layer,
        )
    uses: list[Use] = [
        (layer.cost.mapping, layer.cost.workload)
        for layer in result.layers
        if layer.cost is not None
    ]
    found = minimal_hardware(space, uses, None if slower else parameters)
    if save is not None:
        text = toolkit.arch_to_yaml(
            found.point.arch, description=f"the least hardware for {model} as mapped on {template}"
        )
        write_text_atomically(save, text)
    title = f"{model} on {template}"
    written = write_pictures(
        report,
        None,
        f"{title}: the least hardware",
        lambda: _drawings(given, found.point),
        lambda: minimal_report(space, given, found, title),
    )
    if reporter.json:
        reporter.print_json({**minimal_record(space, given, found), **written.asked()})
    else:
        print_report([*minimal_report(space, given, found, title), *written.lines()])


def _drawings(given: HardwarePoint, least: HardwarePoint) -> Sequence[Drawing]:
    from toolkit.study.pictures.hardware_drawings import minimal_drawings

    return minimal_drawings(given.arch, least.arch)


def _given(
    template: str,
    words: list[str],
    node_nm: float,
    clock_ghz: float,
    bypass: str,
    allow_python: bool,
) -> tuple[HardwareSpace, dict[str, Number]]:
    """The space, and the hardware in it that mappings are made for."""
    from toolkit.arch import load_arch_file, load_template
    from toolkit.arch.parameters import parse_settings
    from toolkit.arch.technology import Technology
    from toolkit.codesign.range_words import read_ranges
    from toolkit.codesign.space import hardware_space
    from toolkit.errors import InputError

    name, _, settings = template.rpartition(":") if "=" in template else (template, "", "")
    opened = load_template(trusted(name, allow_python))
    chosen = load_arch_file(trusted(template, allow_python)).parameters
    written = parse_settings(settings, name) if settings else {}
    fixed = {key: [chosen[key]] for key in written if key not in opened.ranges}
    ranges = {**fixed, **read_ranges(words, opened, clock_ghz)}
    space = hardware_space(
        opened,
        ranges=ranges,
        technology=Technology(node_nm, clock_ghz),
        bypass=bypass,  # type: ignore[arg-type]  # It is checked there.
    )
    parameters: dict[str, Number] = {}
    for key, found in space.ranges.items():
        value = chosen[key] if key in written else found.round_up(chosen[key])
        parameters[key] = found.values[-1] if value is None else value
        if parameters[key] not in found.values:
            raise InputError(
                f"{key}={parameters[key]} is not in the range {found}; expected a value of it, "
                "or another --range",
                source="TEMPLATE",
            )
    return space, parameters


def minimal_record(
    space: HardwareSpace, given: HardwarePoint, found: MinimalHardware
) -> dict[str, Any]:
    """Describe the least hardware, and that which the mappings were made for."""

    def record(point: HardwarePoint) -> dict[str, Any]:
        return {
            "parameters": dict(point.parameters),
            "area_um2": point.area_um2,
            "power_mw": point.power_mw,
        }

    return {
        "template": space.template.source,
        "given": record(given),
        "least": record(found.point),
        "requirements": [
            {
                "level": need.level,
                "kind": need.kind,
                "amount": need.amount,
                "workload": need.workload,
            }
            for need in found.requirements
        ],
    }


def minimal_report(
    space: HardwareSpace, given: HardwarePoint, found: MinimalHardware, title: str
) -> list[Any]:
    """Lay out what mappings ask for, and the least sizes of the ranges that give it."""
    from toolkit.cli.output import aligned, table

    needs = [
        (need.level, need.workload, f"{need.amount:,} {need.kind}") for need in found.requirements
    ]
    sizes = [
        (name, f"{given.parameters[name]:,}", f"{least:,}", str(space.ranges[name]))
        for name, least in found.point.parameters.items()
    ]
    points = (("given", given), ("least", found.point))
    facts = [
        (name, f"{point.area_um2 * 1e-6:.4g} mm², up to {point.power_mw * 1e-3:.4g} W")
        for name, point in points
    ]
    return [
        f"{title}: what its mappings need",
        table(("level", "most for", "needed"), needs, gap=3),
        "",
        "The least hardware of the ranges",
        table(("parameter", "given", "least", "range"), sizes, gap=3),
        "",
        *aligned(facts),
    ]
