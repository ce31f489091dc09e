"""Rounds on their way by content key: one safetensors file each, until the round is finished."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from engine.networks import Snapshot
from engine.store.arrays import (
    Arrays,
    Masks,
    flat,
    group_of,
    grouped,
    keyed,
    keys_in,
    read_arrays,
    snapshot_of,
    write_arrays,
)
from engine.store.events import CurvePoint, EarlyBird
from engine.store.files import PART
from engine.store.rounds import CURVE


@dataclass(frozen=True)
class Checkpoint:
    """All that a round needs to go on bit for bit.

    `state`: what training changes, as it is after `iteration` steps, under the names of the lanes; `ended`: likewise
    where the round ended before its time, None while it goes on. `seconds` of training and the `curve` so far; `marks`:
    weights after the iterations that others rewind to. Where masks are drawn after each epoch, `early_bird` is what
    they said so far and `recent` are the newest ones.
    """

    key: str
    iteration: int
    seconds: float
    state: Arrays
    ended: Arrays | None
    curve: list[CurvePoint]
    marks: dict[int, Snapshot]
    early_bird: EarlyBird | None
    recent: list[Masks]


class CheckpointStore:
    """The checkpoints in `folder`. What is not whole, or not what its digest says, does not count and is removed."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, key: str) -> Path:
        """Where the checkpoint of the round of that key is kept. Raises ValueError for what is no key."""
        return keyed(self._folder, key)

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, atomically, in place of the one before. Raises Unwritable."""
        arrays = grouped("state", checkpoint.state)
        if checkpoint.ended is not None:
            arrays |= grouped("ended", checkpoint.ended)
        for iteration, snapshot in checkpoint.marks.items():
            arrays |= flat(f"at{iteration}", snapshot)
        for place, masks in enumerate(checkpoint.recent):
            arrays |= grouped(f"mask{place}", masks)
        bird = checkpoint.early_bird
        facts = {
            "key": checkpoint.key,
            "iteration": str(checkpoint.iteration),
            "seconds": repr(checkpoint.seconds),
            "curve": CURVE.dump_json(checkpoint.curve).decode(),
            "marks": json.dumps(list(checkpoint.marks)),
            "early_bird": "" if bird is None else bird.model_dump_json(),
            "recent": str(len(checkpoint.recent)),
        }
        write_arrays(self.path(checkpoint.key), arrays, facts)

    def kept(self) -> list[str]:
        """The keys of all rounds that there are checkpoints of."""
        return keys_in(self._folder)

    def sound(self, key: str) -> bool:
        """Whether the checkpoint of that round can be believed."""
        return self._believed(key) is not None

    def read(self, key: str) -> Checkpoint | None:
        """The checkpoint of that round; None, and its file removed, when there is none that can be believed."""
        found = self._believed(key)
        if found is None:
            self.remove(key)
        return found

    def remove(self, key: str) -> None:
        """The round is finished, or its checkpoint of no use. One that cannot be removed does no harm."""
        path = self.path(key)
        for left in (path, *path.parent.glob(f".{path.name}.*{PART}")):
            with suppress(OSError):
                left.unlink()

    def _believed(self, key: str) -> Checkpoint | None:
        found = read_arrays(self.path(key))
        if found is not None:
            arrays, facts = found
            try:
                if facts["key"] == key:
                    marks: list[int] = json.loads(facts["marks"])
                    return Checkpoint(
                        key=key,
                        iteration=int(facts["iteration"]),
                        seconds=float(facts["seconds"]),
                        state=group_of(arrays, "state"),
                        ended=group_of(arrays, "ended") or None,
                        curve=CURVE.validate_json(facts["curve"]),
                        marks={at: snapshot_of(arrays, f"at{at}") for at in marks},
                        early_bird=EarlyBird.model_validate_json(facts["early_bird"]) if facts["early_bird"] else None,
                        recent=[group_of(arrays, f"mask{place}") for place in range(int(facts["recent"]))],
                    )
            except (KeyError, ValueError, TypeError, RecursionError, ValidationError):
                pass
        return None
