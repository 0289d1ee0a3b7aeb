"""A search over hardware, described completely: what any worker needs to take part in it.

Networks are part of the description, so that a worker on another machine needs no file of theirs.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toolkit.arch.files import arch_definition, load_template
from toolkit.arch.technology import LevelEstimate, Technology
from toolkit.arch.template import make_template
from toolkit.arguments import check_integer, plain_number, store_plain_numbers
from toolkit.codesign.evaluation import HardwareObjective, NetworkWeight, hardware_objective
from toolkit.codesign.space import DramInterface, HardwareSpace, hardware_space
from toolkit.errors import InputError
from toolkit.mapping.bypasses import Bypass, check_bypass_rule
from toolkit.mapping.space import Factors
from toolkit.messages import describe, suggest
from toolkit.model.conventions import EXACT
from toolkit.search.problem import factors_rule
from toolkit.search.registry import STRATEGIES
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload
from toolkit.workload.network import Layer, LayerGraph, TensorInfo
from toolkit.yaml_files import parse_yaml

FUSIONS = ("none", "greedy", "segments", "exact")
"""How layers of networks may be fused on every point."""

MAPPER_EVALUATIONS = 5_000
"""Mappings per distinct layer and point by default: within some percent of what is found by
hundreds of thousands, in a hundredth of the time."""

_OLDER: dict[str, Any] = {
    "factors": "perfect",
    "bypass": "permitted",
    "pad": [],
    "dram_interface": "never",
    "dram_budget_gb_per_s": None,
}
"""Settings of jobs that say nothing of them."""

_MAX_BYTES = 1 << 28
"""Of a network once decompressed: far more than any has, far less than what exhausts memory."""


@dataclass(frozen=True)
class JobSettings:
    """Everything of a job but its template and its networks.

    Parameters
    ----------
    ranges : mapping of str to list of number
        That replace those of the template.
    technology : Technology
        Gives areas, and energies if `energies`.
    energies : bool
        Whether energies follow from the technology; otherwise the template's own stay.
    area_budget_um2, power_budget_mw : float or None
        Upper limits.
    objective : str
        A key of `toolkit.codesign.evaluation.HARDWARE_OBJECTIVES`.
    mapper : str
        Searches every layer; a key of `toolkit.STRATEGIES`.
    mapper_evaluations : int
        Of each of these searches.
    mapper_seed : int
        Of each of them.
    fusion : str
        One of `FUSIONS`; how layers are fused on every point.
    fusion_layers : int
        Most layers of a fused group.
    factors : {"perfect", "ragged"}, optional
        Tile factors that the mapper tries; by default what the conventions say, perfect with
        `pad`.
    bypass : {"permitted", "free", "fixed"}
        Which tensors the mapper may leave out of memories, see `toolkit.make_problem`.
    pad : tuple of str
        Dimensions whose padded size is chosen for every point (see `toolkit.map_network`);
        ``("all",)`` is all of them. Not together with fusion.
    dram_interface : {"chosen", "always", "never"}
        When the chip's side of the bus to DRAM counts in area and power, see
        `toolkit.codesign.space.hardware_space`.
    dram_budget_gb_per_s : float or None
        Upper limit of the bandwidth of DRAM.

    Raises
    ------
    InputError
        If one of them is not as expected.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.JobSettings(area_budget_um2=2e6, fusion="greedy").objective
    'edp'
    """

    ranges: Mapping[str, Sequence[int | float]] = field(default_factory=dict)
    technology: Technology = field(default_factory=Technology)
    energies: bool = True
    area_budget_um2: float | None = None
    power_budget_mw: float | None = None
    objective: str = "edp"
    mapper: str = "greedy"
    mapper_evaluations: int = MAPPER_EVALUATIONS
    mapper_seed: int = 0
    fusion: str = "none"
    fusion_layers: int = 4
    factors: Factors | None = None
    bypass: Bypass = "permitted"
    pad: tuple[str, ...] = ()
    dram_interface: DramInterface = "chosen"
    dram_budget_gb_per_s: float | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)
        plain = {name: tuple(map(plain_number, given)) for name, given in self.ranges.items()}
        object.__setattr__(self, "ranges", plain)
        hardware_objective(self.objective)
        if self.mapper not in STRATEGIES:
            raise InputError(
                f"unknown strategy {describe(self.mapper)}{suggest(str(self.mapper), STRATEGIES)}"
                f"; expected one of {', '.join(STRATEGIES)}",
                key="mapper",
            )
        Budget(evaluations=self.mapper_evaluations)
        check_integer(self.mapper_seed, 0, "mapper_seed")
        if self.fusion not in FUSIONS:
            raise InputError(
                f"unknown way to fuse {describe(self.fusion)}{suggest(str(self.fusion), FUSIONS)}"
                f"; expected one of {', '.join(FUSIONS)}",
                key="fusion",
            )
        if type(self.fusion_layers) is not int or self.fusion_layers < 2:
            raise InputError(
                f"expected an integer from 2, got {describe(self.fusion_layers)}",
                key="fusion_layers",
            )
        check_bypass_rule(self.bypass)
        object.__setattr__(self, "pad", tuple(self.pad))
        # Kept as it is decided here: a worker of another version may have another default.
        rule = factors_rule(EXACT, self.factors, padded=bool(self.pad))
        object.__setattr__(self, "factors", rule)
        if self.pad and self.fusion != "none":
            raise InputError(
                f"not with fusion {self.fusion}, whose tiles have sizes of their own", key="pad"
            )


@dataclass(frozen=True, eq=False)
class Job:
    """What is built, what runs on it, what it may cost, and how a point is scored.

    Two strategies on one job answer the same question.

    Parameters
    ----------
    template_name, template_text : str
        An architecture file with parameters: what messages call it, and its content.
    networks : tuple of NetworkWeight
        What runs on it.
    settings : JobSettings
        All the rest.
    """

    template_name: str
    template_text: str
    networks: tuple[NetworkWeight, ...]
    settings: JobSettings = field(default_factory=JobSettings)

    @cached_property
    def space(self) -> HardwareSpace:
        """Where points come from.

        Raises
        ------
        InputError
            If the template, a range or a budget cannot be used.
        """
        data = parse_yaml(self.template_text.encode(), source=self.template_name)
        given = self.settings
        return hardware_space(
            make_template(data, self.template_name),
            ranges={name: list(values) for name, values in given.ranges.items()},
            technology=given.technology,
            area_budget_um2=given.area_budget_um2,
            power_budget_mw=given.power_budget_mw,
            energies=given.energies,
            bypass=given.bypass,
            dram_interface=given.dram_interface,
            dram_budget_gb_per_s=given.dram_budget_gb_per_s,
        )

    @property
    def objective(self) -> HardwareObjective:
        """What is minimised."""
        return hardware_objective(self.settings.objective)

    @property
    def title(self) -> str:
        """The networks and the template, for people."""
        names = [use.graph.graph.get("name") or "network" for use in self.networks]
        return f"{' + '.join(names)} on {self.template_name}"

    def record(self) -> dict[str, Any]:
        """Write the job as plain data."""
        given = self.settings
        # What is a read-only mapping in there cannot be copied by asdict.
        settings = asdict(replace(given, technology=Technology(), ranges={}))
        settings["ranges"] = {name: list(values) for name, values in given.ranges.items()}
        settings["technology"] = {
            "node_nm": given.technology.node_nm,
            "clock_ghz": given.technology.clock_ghz,
            "operators": given.technology.operators,
            "estimates": {n: asdict(e) for n, e in given.technology.estimates.items()},
        }
        settings["pad"] = list(given.pad)
        # Jobs of versions that knew perfect factors alone say nothing of them, and go on.
        for key, older in _OLDER.items():
            if settings[key] == older:
                del settings[key]
        return {
            "template": {"name": self.template_name, "text": self.template_text},
            "networks": [
                {"text": network_text(use.graph), "weight": use.weight} for use in self.networks
            ],
            "settings": settings,
        }


def make_job(
    template: str | os.PathLike[str],
    networks: Sequence[LayerGraph | NetworkWeight],
    settings: JobSettings | None = None,
) -> Job:
    """State a job and check it.

    Parameters
    ----------
    template : str or path-like
        Name of an architecture with ranges, or its file.
    networks : sequence of LayerGraph or NetworkWeight
        At least one.
    settings : JobSettings, optional
        Everything else.

    Raises
    ------
    InputError
        If the template cannot be used, a range is empty, nothing meets the budgets, or there is
        no network.

    Examples
    --------
    >>> job = make_job("gemmini-ws", [LayerGraph.from_layers([], name="nothing")])
    >>> job.title, job_from_record(job.record(), "here").record() == job.record()
    ('nothing on gemmini-ws', True)
    """
    uses = tuple(use if isinstance(use, NetworkWeight) else NetworkWeight(use) for use in networks)
    if not uses:
        raise InputError("expected at least one network", key="networks")
    load_template(template)
    name = os.fspath(template).removesuffix(".yaml").rpartition("/")[2]
    job = Job(name, arch_definition(template), uses, settings or JobSettings())
    _ = job.space
    return job


def job_from_record(record: Mapping[str, Any], source: str) -> Job:
    """Read what `Job.record` wrote.

    Parameters
    ----------
    source : str
        Where it stood, for messages.

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        settings = {**_OLDER, **record["settings"]}
        technology = dict(settings.pop("technology"))
        technology["estimates"] = {
            name: LevelEstimate(**figures) for name, figures in technology["estimates"].items()
        }
        return Job(
            str(record["template"]["name"]),
            str(record["template"]["text"]),
            tuple(
                NetworkWeight(network_from_text(entry["text"], source), float(entry["weight"]))
                for entry in record["networks"]
            ),
            JobSettings(technology=Technology(**technology), **settings),
        )
    except (KeyError, TypeError, AttributeError) as cause:
        raise InputError(
            f"describes no job of this version: {type(cause).__name__}: {cause}", source=source
        ) from None


def network_text(graph: LayerGraph) -> str:
    """Write a network, without its weights, as compressed text of some kilobytes."""
    record = {
        "name": graph.graph.get("name", ""),
        "inputs": [asdict(tensor) for tensor in graph.inputs],
        "outputs": [asdict(tensor) for tensor in graph.outputs],
        "warnings": list(graph.warnings),
        "layers": [_layer_record(graph.nodes[name]["layer"]) for name in graph],
    }
    data = json.dumps(record, separators=(",", ":")).encode()
    return base64.b85encode(zlib.compress(data, 9)).decode()


def network_from_text(text: str, source: str) -> LayerGraph:
    """Read what `network_text` wrote.

    Raises
    ------
    InputError
        If it is something else.

    Examples
    --------
    >>> graph = LayerGraph.from_layers([Layer("a", "Relu", "elementwise")], name="tiny")
    >>> network_from_text(network_text(graph), "here").layers == graph.layers
    True
    """
    try:
        data = zlib.decompressobj().decompress(base64.b85decode(text), _MAX_BYTES)
        record = json.loads(data)
        layers, tensors = _adapters()
        return LayerGraph.from_layers(
            layers.validate_python(record["layers"]),
            name=record["name"],
            inputs=tensors.validate_python(record["inputs"]),
            outputs=tensors.validate_python(record["outputs"]),
            warnings=record["warnings"],
        )
    except (ValueError, KeyError, TypeError, zlib.error, ValidationError) as cause:
        raise InputError(f"holds no network: {type(cause).__name__}", source=source) from None


def _layer_record(layer: Layer) -> dict[str, Any]:
    record = asdict(replace(layer, workload=None))
    if layer.workload is not None:
        record["workload"] = _workload_record(layer.workload)
    return record


def _workload_record(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "kernel": workload.kernel,
        "sizes": dict(workload.sizes),
        "tensors": [asdict(tensor) for tensor in workload.tensors],
    }


@cache
def _adapters() -> tuple[TypeAdapter[Sequence[Layer]], TypeAdapter[Sequence[TensorInfo]]]:
    return TypeAdapter(tuple[Layer, ...]), TypeAdapter(tuple[TensorInfo, ...])
