"""Prune the weights that moved least towards their final value, by how far they could have moved."""

from engine.registry import criterion


@criterion("relative-movement", "|w - w0| / (|w0| + epsilon)", source="an example")
def relative_movement(w, *, epsilon: float = 1e-3):
    return abs(w.end - w.start) / (abs(w.start) + epsilon)
