"""Invariants that hold in every round. Each check raises InvariantViolated with the layer and the round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvariantViolated
from engine.networks import layer_of
from engine.pruning.masks import Masks, Weights, counts_of
from engine.pruning.schedule import PruningSchedule

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int32, UInt32


def pruned_are_zero(what: str, weights: Weights, masks: Masks, number: int) -> None:
    """Check that pruned weights are exactly zero. `what` names the arrays: weights or optimizer moments."""
    for name, mask in masks.items():
        # NaN counts as nonzero.
        alive = np.count_nonzero(weights[name][~mask] != 0)
        if alive:
            raise InvariantViolated(
                f"pruned {what} are exactly zero", round=number, layer=layer_of(name), found=f"{alive} are not"
            )


def starts_from(started: Weights, named: Weights, masks: Masks, number: int) -> None:
    """Check, bit for bit, that survivors and unmasked parameters start at the treatment's weights, and pruned weights
    at zero."""
    for name, source in named.items():
        unequal = _bits(started[name]) != _bits(source)
        differ = np.count_nonzero(unequal[masks[name]] if name in masks else unequal)
        if differ:
            invariant = "survivors start at the weights that the treatment names"
            raise InvariantViolated(invariant, round=number, layer=layer_of(name), found=f"{differ} differ")
    pruned_are_zero("weights", started, masks, number)


def same_masks(
    invariant: str, masks: Mapping[str, Bool[NDArray[np.bool_], " ..."]], expected: Masks, number: int
) -> None:
    """Check that two sets of masks are equal, bit for bit. `invariant`: the statement in the error."""
    for name, mask in expected.items():
        differ = np.count_nonzero(masks[name] != mask)
        if differ:
            raise InvariantViolated(invariant, round=number, layer=layer_of(name), found=f"{differ} places differ")


def same_counts(masks: Masks, ticket: Masks, number: int) -> None:
    """Check that a random mask has as many survivors in each layer as the ticket."""
    expected = counts_of(ticket)
    for name, count in counts_of(masks).items():
        if count != expected[name]:
            found = f"{count} instead of {expected[name]}"
            raise InvariantViolated(
                "a random mask has the ticket's layer counts", round=number, layer=layer_of(name), found=found
            )


def on_schedule(masks: Masks, schedule: PruningSchedule, number: int) -> None:
    """Check that a round has exactly the survivors of the schedule."""
    counts = counts_of(masks)
    for group, target in zip(schedule.groups, schedule.survivors[number], strict=True):
        found = sum(counts[name] for name in group)
        if found != target:
            raise InvariantViolated(
                "a round has exactly the schedule's survivors",
                round=number,
                layer="+".join(map(layer_of, group)),
                found=f"{found} instead of {target}",
            )


def only_shrinks(masks: Masks, before: Masks, number: int) -> None:
    """Check that every pruned weight stays pruned."""
    for name, mask in masks.items():
        revived = np.count_nonzero(mask & ~before[name])
        if revived:
            raise InvariantViolated(
                "no pruned weight comes back", round=number, layer=layer_of(name), found=f"{revived} did"
            )


def validation_unseen(
    order: Int32[NDArray[np.int32], "iterations batch"],
    validation: Int32[NDArray[np.int32], " V"],
    examples: int,
    number: int,
) -> None:
    """Check that no validation example is in a training batch. `order`: examples of each step `[iterations, batch]`."""
    held_out = np.zeros(examples, np.bool_)
    held_out[validation] = True
    seen = int(np.count_nonzero(held_out[order]))
    if seen:
        invariant = "validation examples are in no training batch"
        raise InvariantViolated(invariant, round=number, layer=None, found=f"{seen} places hold one")


def all_pruned_zero(what: str, many: Iterable[Weights], masks: Masks, number: int) -> None:
    """Run `pruned_are_zero` on several sets of arrays."""
    for weights in many:
        pruned_are_zero(what, weights, masks, number)


def _bits(array: Float32[NDArray[np.float32], "*shape"]) -> UInt32[NDArray[np.uint32], "*shape"]:
    return np.ascontiguousarray(array, np.float32).view(np.uint32)
