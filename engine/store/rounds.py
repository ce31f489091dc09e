"""Finished rounds by content key: one safetensors file each, shared by arms and runs."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.networks import Snapshot
from engine.store.arrays import Masks, flat, grouped, keyed, keys_in, read_arrays, snapshot_of, write_arrays
from engine.store.events import CurvePoint, RoundResult

CURVE = TypeAdapter(list[CurvePoint])


@dataclass(frozen=True)
class StoredRound:
    """What a round leaves behind.

    `masks`: by parameter, True where a weight is left. `final` and `best`: the network after the last iteration and at
    the lowest validation loss; `marks`: likewise, after the iterations that others rewind to.
    """

    key: str
    result: RoundResult
    curve: list[CurvePoint]
    masks: Masks
    final: Snapshot
    best: Snapshot
    marks: dict[int, Snapshot] = field(default_factory=dict)


class RoundStore:
    """The finished rounds in `folder`. A file that is not whole, or not what its digest says, does not count."""

    def __init__(self, folder: Path):
        self._folder = folder

    def path(self, key: str) -> Path:
        """Where the round of that key is kept. Raises ValueError for what is no key."""
        return keyed(self._folder, key)

    def kept(self) -> list[str]:
        """The keys of all rounds that there are files of."""
        return keys_in(self._folder)

    def has(self, key: str) -> bool:
        """Whether there is a file for that round; `read` alone proves it."""
        return self.path(key).is_file()

    def write(self, stored: StoredRound) -> int:
        """Keep a round, atomically; its size in bytes. Raises Unwritable."""
        arrays = grouped("mask", stored.masks) | flat("final", stored.final) | flat("best", stored.best)
        for iteration, snapshot in stored.marks.items():
            arrays |= flat(f"at{iteration}", snapshot)
        facts = {
            "key": stored.key,
            "masked": json.dumps(list(stored.masks)),
            "marks": json.dumps(list(stored.marks)),
            "result": stored.result.model_dump_json(),
            "curve": CURVE.dump_json(stored.curve).decode(),
        }
        return write_arrays(self.path(stored.key), arrays, facts)

    def read(self, key: str) -> StoredRound | None:
        """The round of that key; None when there is none that can be believed."""
        try:
            found = read_arrays(self.path(key))
            if found is None or found[1]["key"] != key:
                return None
            arrays, facts = found
            return StoredRound(
                key=key,
                result=RoundResult.model_validate_json(facts["result"]),
                curve=CURVE.validate_json(facts["curve"]),
                masks={name: arrays[f"mask/{name}"] for name in json.loads(facts["masked"])},
                final=snapshot_of(arrays, "final"),
                best=snapshot_of(arrays, "best"),
                marks={mark: snapshot_of(arrays, f"at{mark}") for mark in json.loads(facts["marks"])},
            )
        except (KeyError, ValueError, TypeError, RecursionError, ValidationError):
            return None
