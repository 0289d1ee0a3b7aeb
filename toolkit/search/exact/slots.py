"""What waits on its own: tensors, or where stays overlap their transfers."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.model.plan import Plan


@dataclass(frozen=True)
class Slot:
    """Transfers of one tensor of which one at a time can be under way."""

    tensor: int
    numbers: tuple[int, ...]


def list_slots(plan: Plan) -> list[Slot]:
    """List what waits on its own, the outermost transfers of a tensor first.

    A stay ends at the top of its supplier at last, where the next one begins: tensors wait.
    Persistent stays go on outside of it, so that every transfer waits on its own (those to the
    lanes never do).
    """
    slots: list[Slot] = []
    for t, tensor in enumerate(plan.tensors):
        numbers = range(len(tensor.transfers))
        if plan.conventions.transfers != "persistent":
            slots.append(Slot(t, tuple(numbers)))
            continue
        waiting = max(len(numbers) - 1, 1)
        slots += [Slot(t, (number,)) for number in range(waiting - 1)]
        slots.append(Slot(t, tuple(numbers[waiting - 1 :])))
    return slots
