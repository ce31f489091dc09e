"""Validate imported events and rounds against the study."""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from engine.networks import layer_of
from engine.spec import Study
from engine.store import (
    Diverged,
    EarlyBird,
    Event,
    Magnitudes,
    RoundFinished,
    RoundResult,
    RoundStarted,
    RunStarted,
    Signal,
    Similarity,
    StoredRound,
)
from engine.store.events import Model
from engine.store.run_db import LATEST
from engine.store.state import RunState

_KEY = r"^[0-9a-f]{40}$"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_ROUNDS = 100
_LONGEST_TEXT = 10_000
_LARGEST_NUMBER = 2**53
# Tolerance for values up to 1.
_ROUNDING = 1e-6


class EventLine(Model):
    """An event and its time, in seconds since the epoch."""

    time: Annotated[float, Field(ge=0, lt=LATEST, allow_inf_nan=False)]
    event: Annotated[Event, Field(discriminator="event")]


class Inconsistent(Exception):
    """An event or round is inconsistent with the study; the message says what was found."""


class EventValidator:
    """Validates the events of one run in order. `keys`: the results of finished rounds, by key."""

    def __init__(self, study: Study):
        self._study = study
        self._state = RunState()
        self.keys: dict[str, RoundResult] = {}

    def check(self, event: Event) -> None:
        """Check the next event. Raises Inconsistent."""
        _check_values(event.model_dump())
        match event:
            case RunStarted():
                self._check_start(event)
            case RoundStarted() | Diverged() | Signal():
                self._check_place(event)
            case RoundFinished():
                started = self._check_place(event)
                _check_result(event.result, started.layers)
                for name, similarity in event.similarity.items():
                    _check_similarity(similarity)
                    _expect(name in started.layers, f"a layer {name!r}")
                self.keys[event.key] = event.result
            case _:
                pass
        self._state.apply(event)

    def check_round(self, stored: StoredRound) -> None:
        """Check a round's arrays against each other and the events. Raises Inconsistent."""
        layers = self.keys[stored.key].layers
        named = {layer_of(name): mask for name, mask in stored.masks.items()}
        _expect(named.keys() == layers.keys(), f"masks of the layers {', '.join(stored.masks)}")
        for name, mask in named.items():
            _expect(mask.dtype == bool and mask.ndim in (2, 4), f"a mask of {mask.dtype} {mask.shape}")
            counted = (int(mask.sum()), mask.size)
            _expect(counted == (layers[name].survivors, layers[name].size), f"{counted[0]} weights of {counted[1]}")
        shapes = {name: array.shape for name, array in stored.final.params.items()}
        for snapshot in (stored.final, stored.best, *stored.snapshots.values()):
            _expect({name: it.shape for name, it in snapshot.params.items()} == shapes, "weights of several shapes")
            for name, array in (*snapshot.params.items(), *snapshot.state.items()):
                _expect(array.dtype == "float32", f"{name} of {array.dtype}")
            for name, mask in stored.masks.items():
                _expect(shapes.get(name) == mask.shape, f"{name} of {shapes.get(name)} under a mask of {mask.shape}")
        _expect(all(type(mark) is int and mark > 0 for mark in stored.snapshots), "a mark that is no iteration")
        for point in stored.curve:
            _check_values(point.model_dump())
            _expect(point.iteration >= 0, "an iteration below 0")
        _check_values(stored.result.model_dump())
        _check_result(stored.result, {name: mask.size for name, mask in named.items()})

    def _check_start(self, event: RunStarted) -> None:
        told = [(arm.name, arm.kind) for arm in event.arms]
        _expect(told == [(arm.name, arm.kind) for arm in self._study.arm], "arms that the study does not have")
        for arm, planned in zip(self._study.arm, event.arms, strict=True):
            copies = arm.copies
            _expect(len(planned.seeds) == self._study.trials * copies, f"{len(planned.seeds)} seeds of {arm.name!r}")
            rising = list(planned.rounds) == sorted(set(planned.rounds)) and planned.rounds[:1] == (0,)
            _expect(rising and planned.rounds[-1] <= _MOST_ROUNDS, f"the rounds of {arm.name!r}")
        _expect(0 < len(event.layers) <= _MOST_ROUNDS, f"{len(event.layers)} layers")
        for name, size in event.layers.items():
            _expect(bool(_NAME.fullmatch(name)) and size > 0, f"{size} weights of a layer {name[:64]!r}")
        before = self._state.started
        _expect(event.kinds.keys() <= event.layers.keys(), "kinds of layers that there are not")
        if before is not None:
            same = (event.arms, event.layers) == (before.arms, before.layers)
            _expect(same, "a second start with other arms or layers")

    def _check_place(self, event: RoundStarted | RoundFinished | Diverged | Signal) -> RunStarted:
        if self._state.started is None:
            raise Inconsistent("a round before the run started")
        arm = next((arm for arm in self._state.arms if arm.name == event.arm), None)
        found = arm is not None and 0 <= event.trial < len(arm.seeds) and event.round in arm.rounds
        _expect(found, f"arm {event.arm[:64]!r}, trial {event.trial}, round {event.round}")
        if not isinstance(event, Signal):
            _expect(bool(re.fullmatch(_KEY, event.key)), f"a key {event.key[:64]!r}")
        return self._state.started


def _expect(so: bool, otherwise: str) -> None:
    if not so:
        raise Inconsistent(otherwise)


def _check_values(value: Any) -> None:
    """Check the size of all numbers and texts, recursively."""
    for item in _plain(value):
        if isinstance(item, str):
            _expect(len(item) <= _LONGEST_TEXT, f"a text of {len(item)} characters")
        elif isinstance(item, float):
            _expect(math.isfinite(item), f"a number {item}")
        elif isinstance(item, int):
            _expect(abs(item) <= _LARGEST_NUMBER, "a number of too many digits")


def _plain(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _plain(item)
    else:
        yield value


def _check_result(result: RoundResult, layers: dict[str, int]) -> None:
    told = {name: layer.size for name, layer in result.layers.items()}
    _expect(told == layers, "other layers than the run's")
    _expect(all(0 <= layer.survivors <= layer.size for layer in result.layers.values()), "more weights than there are")
    _expect(result.survivors > 0, "no weight left")
    _expect(result.iterations >= 0 and result.seconds >= 0, "a time below 0")
    _expect((result.early_stop_iteration or 0) >= 0, "an iteration below 0")
    for name, value in result.model_dump().items():
        if "accuracy" in name and value is not None:
            _expect(0 <= value <= 1, f"{name} {value}")
    for name, magnitudes in result.magnitudes.items():
        _expect(name in layers, f"a layer {name[:64]!r}")
        _check_magnitudes(magnitudes)
    for name, values in result.measures.items():
        _expect(all(layer in layers or not layer for layer in values), f"a layer of the measure {name[:64]!r}")
    if result.early_bird is not None:
        _check_early_bird(result.early_bird)


def _check_magnitudes(found: Magnitudes) -> None:
    counts = (*found.start, *found.end)
    _expect(bool(found.start and found.end) and min(counts) >= 0, "a histogram without bins, or with counts below 0")
    _expect(min(found.start_top, found.end_top) >= 0, "a magnitude below 0")
    distances = (found.start_distance, found.end_distance)
    _expect(all(0 <= item <= 1 + _ROUNDING for item in distances), f"distances {distances}")


def _check_early_bird(found: EarlyBird) -> None:
    epochs = len(found.iterations)
    _expect(len(found.distances) == max(epochs - 1, 0), f"{len(found.distances)} distances of {epochs} masks")
    _expect(found.found is None or 1 <= found.found <= epochs, f"an early bird in epoch {found.found} of {epochs}")


def _check_similarity(found: Similarity) -> None:
    values = (value for value in (found.alive, found.all, found.jaccard, found.chance) if value is not None)
    _expect(all(abs(value) <= 1 + _ROUNDING for value in values), "a similarity above 1")
