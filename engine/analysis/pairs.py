"""Similarity of all pairs of rounds of a trial, computed from stored rounds on demand.

A pair is written once, in the file of its later round below `home/measures/pairs`, and found again by the keys of the
two. The files may be deleted at any time.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from pydantic import TypeAdapter

from engine.analysis.measures import FinishedRound, compare_rounds
from engine.errors import Unwritable
from engine.store.events import Similarity
from engine.store.files import write_atomic, writing
from engine.store.tensors import RoundStore

Pairs = dict[tuple[str, str], dict[str, Similarity]]
"""Similarity by layer, by the key of the later round and that of the earlier one."""

MOST_WEIGHTS = 20_000_000
"""Maximum weights in memory at once, about 30 bytes each."""
_FILE = TypeAdapter(dict[str, dict[str, Similarity]])


def all_pairs(rounds: RoundStore, keys: Sequence[str], home: Path, stop: Callable[[], bool] = lambda: False) -> Pairs:
    """Return every pair of the rounds of `keys`, which are in the order of the trial; those without a readable file are
    left out. Slow: call it in a thread; it ends early once `stop()` is true."""
    found = known_pairs(keys, home)
    missing = {pair for pair in _pairs(keys) if pair not in found}
    while missing and not stop():
        block = _block(rounds, sorted({earlier for _, earlier in missing}, key=keys.index))
        for later in keys:
            wanted = [earlier for earlier in block if (later, earlier) in missing]
            if stop():
                return found
            now = (block.get(later) or _read(rounds, later)) if wanted else None
            for earlier in wanted:
                missing.discard((later, earlier))
                before = block[earlier]
                if now is not None and before is not None:
                    found[later, earlier] = compare_rounds(now, before)
            if wanted:
                _keep(later, found, keys, home)
    return found


def known_pairs(keys: Sequence[str], home: Path) -> Pairs:
    """Return the pairs of the rounds of `keys` that were computed before."""
    found: Pairs = {}
    for later in keys:
        with suppress(OSError, ValueError):
            values = _FILE.validate_json(_path(later, home).read_bytes())
            found |= {(later, earlier): values[earlier] for earlier in keys if earlier in values}
    wanted = set(_pairs(keys))
    return {pair: values for pair, values in found.items() if pair in wanted}


def _pairs(keys: Sequence[str]) -> list[tuple[str, str]]:
    return [(later, earlier) for earlier, later in combinations(keys, 2)]


def _block(rounds: RoundStore, keys: Sequence[str]) -> dict[str, FinishedRound | None]:
    """The first of the rounds, as many as there is memory for; at least one."""
    found: dict[str, FinishedRound | None] = {}
    weights = 0
    for key in keys:
        if found and weights > MOST_WEIGHTS:
            break
        item = found[key] = _read(rounds, key)
        weights += sum(mask.size for mask in item.masks.values()) if item is not None else 0
    return found


def _read(rounds: RoundStore, key: str) -> FinishedRound | None:
    stored = rounds.read(key)
    return None if stored is None else FinishedRound(stored.masks, stored.final, stored.final)


def _keep(later: str, found: Pairs, keys: Sequence[str], home: Path) -> None:
    path = _path(later, home)
    values: dict[str, object] = {}
    with suppress(OSError, ValueError):
        values = json.loads(path.read_bytes())
    for earlier in keys:
        if (later, earlier) in found:
            values[earlier] = {layer: it.model_dump(mode="json") for layer, it in found[later, earlier].items()}
    with suppress(Unwritable), writing(path):
        write_atomic(path, json.dumps(values).encode())


def _path(key: str, home: Path) -> Path:
    return home / "measures" / "pairs" / f"{key}.json"
