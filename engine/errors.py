"""What can go wrong in words that a user can act on."""


class LabError(Exception):
    """An expected failure; its text is one line that says what to do."""


class BadInput(LabError):
    """Something from outside cannot be used: the line names the place, what was found and what is allowed."""


class Unwritable(LabError):
    """What is to be kept cannot be written for now: the disk is full, failing, or not to be written to."""


class InvariantViolated(LabError):
    """A law that every round must obey does not hold. The run stops.

    **Arguments:** `invariant`, what must hold; `layer` and `round`, where it does not; `found`, what was seen.
    """

    def __init__(self, invariant: str, *, round: int, layer: str | None, found: str):
        where = f"round {round}" if layer is None else f"layer {layer}, round {round}"
        super().__init__(f"guard broken at {where}: {invariant} ({found})")
        self.invariant, self.layer, self.round, self.found = invariant, layer, round, found
