"""Expected errors, with messages that a user can act on."""


class LabError(Exception):
    """Base class of expected errors. The message is one line that says what to do."""


class BadInput(LabError):
    """Invalid input. The message names the location, the value found and the values allowed."""


class Unwritable(LabError):
    """A file cannot be written: the disk is full, failing or read-only."""


class InvariantViolated(LabError):
    """An invariant does not hold. The run stops.

    **Arguments:** `invariant`, the statement that must hold; `layer` and `round`, where it fails; `found`, the value
    observed.
    """

    def __init__(self, invariant: str, *, round: int, layer: str | None, found: str):
        where = f"round {round}" if layer is None else f"layer {layer}, round {round}"
        super().__init__(f"guard broken at {where}: {invariant} ({found})")
        self.invariant, self.layer, self.round, self.found = invariant, layer, round, found
