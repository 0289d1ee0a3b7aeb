"""What waits on its own: tensors, or where stays overlap their transfers."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.model.plan import Plan, Transfer


@dataclass(frozen=True)
class Slot:
    """Transfers of one tensor of which one at a time can be under way.

    Parameters
    ----------
    tensor : int
        Its number.
    numbers : tuple of int
        Those of its transfers.
    transfers : tuple of Transfer
        These themselves.
    """

    tensor: int
    numbers: tuple[int, ...]
    transfers: tuple[Transfer, ...]

    @property
    def children(self) -> tuple[int | None, ...]:
        """Who holds the tensor inside of each."""
        return tuple(transfer.child for transfer in self.transfers)


def list_slots(plan: Plan) -> list[Slot]:
    """List what waits on its own, the outermost transfers of a tensor first.

    A stay ends at the top of its supplier at last, where the next one begins: tensors wait.
    Persistent stays go on outside of it, so that every transfer waits on its own (those to the
    lanes never do).
    """
    slots: list[Slot] = []
    for t, tensor in enumerate(plan.tensors):
        numbers, last = tuple(range(len(tensor.transfers))), 0
        if plan.conventions.transfers == "persistent":
            last = max(len(numbers) - 2, 0)
        for chosen in (*((number,) for number in numbers[:last]), numbers[last:]):
            slots.append(Slot(t, chosen, tuple(tensor.transfers[number] for number in chosen)))
    return slots
