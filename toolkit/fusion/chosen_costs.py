"""What parts of layers cost under the mappings that a trial chose, in place of searched ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.arch.architecture import Architecture
from toolkit.errors import DoesNotFitError
from toolkit.fusion.layer_costs import LayerCosts
from toolkit.search.network.cost import LayerCost, LayerSearch
from toolkit.search.network.lowering import lowerings
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.network.workloads import layer_cost, problem_of
from toolkit.workload.kernel import Workload


class ChosenCosts(LayerCosts):
    """Costs of parts of layers whose mappings are parameters.

    Parameters
    ----------
    arch : Architecture
        What they run on.
    search : LayerSearch
        What problems they are: objective, conventions, padding.
    mappings : TrialMappings
        How mappings are written.
    params : mapping of str to value
        Of a trial.
    """

    def __init__(
        self,
        arch: Architecture,
        search: LayerSearch,
        mappings: TrialMappings,
        params: Mapping[str, Any],
    ) -> None:
        super().__init__(arch, search, cache=False)
        self._mappings, self._params = mappings, params

    def _best(self, name: str, workload: Workload, arch: Architecture) -> LayerCost:
        """Round the mapping of the layer to its part, in the first way that it can run."""
        way = lowerings(arch, workload)[0]
        problem = problem_of(arch, way.workload, self.search)
        try:
            mapping = self._mappings.mapping(name, self._params, problem)
        except DoesNotFitError as cause:
            raise DoesNotFitError(str(cause), source=f"layer {name!r}") from None
        self.evaluations += 1
        return layer_cost(problem, way.workload, mapping)
