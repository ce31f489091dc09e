"""The rounds of each trial in order: told when known, each compared with those before it."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from engine.analysis import (
    BIRD_RULE,
    CHANCE_RULE,
    COLLAPSE_RULE,
    STABLE_RULE,
    Ranked,
    chance_jaccard,
    jaccard,
    ranks_collapsed,
    spearman,
    spearman_all,
    stabilised,
)
from engine.experiment import Place, Plan, Round
from engine.networks import layer_of
from engine.pruning import magnitudes
from engine.runner.history import RunHistory
from engine.runner.lost import Lost
from engine.store import Diverged, Event, RoundFinished, RoundResult, Signal, SignalKind, Similarity, Store

# Ranks of that many rounds are kept at hand, the others are read again from the store.
_KEPT_RANKS = 64


class RoundReporter:
    """Follows the trials of all arms. A round is told when all before it in its trial are, so that the
    comparisons of a trial do not depend on the order in which rounds came to be known; what was told in the past is
    not told again."""

    def __init__(self, plan: Plan, store: Store, past: RunHistory, say: Callable[[Event], None]):
        self._plan, self._store, self._past = plan, store, past
        self._say: Callable[[Event], None] = lambda event: None if past.told(event) else say(event)
        self._done: dict[str, RoundResult] = {}
        self._diverged: set[str] = set()
        self._collapsed: set[str] = set()
        self._series: dict[tuple[str, int, str], list[float | None]] = {}
        self._owners: dict[str, Place] = {}
        self._trained: set[str] = set()
        self._told: dict[tuple[str, int], list[int]] = {}
        self._ranked = lru_cache(_KEPT_RANKS)(self._read)
        for place, key in plan.places.items():
            self._owners.setdefault(key, place)
            self._told.setdefault((place.arm, place.trial), [])

    def usable(self, item: Round) -> set[str]:
        """The rounds known so far that `item` may be made from: a diverged one cannot be pruned, nor, where that was
        asked for, a collapsed one."""
        known = set(self._done)
        if item.parent is None:
            return known
        known -= self._diverged
        return known - self._collapsed if item.stop_on_collapse else known

    def finish(self, key: str, result: RoundResult, *, trained: bool) -> None:
        """A round is known; tell it wherever it stands, and what waited for it. Raises Lost, once all else is told."""
        self._done[key] = result
        if trained:
            self._trained.add(key)
        if result.diverged:
            self._diverged.add(key)
        if result.collapsed:
            self._collapsed.add(key)
        lost = None
        for arm, trial in self._told:
            try:
                self._tell(arm, trial)
            except Lost as error:
                lost = error
        if lost is not None:
            raise lost

    def lose(self, key: str) -> None:
        """A round is no longer known; what was told stays, what is compared with it waits."""
        del self._done[key]

    def _tell(self, arm: str, trial: int) -> None:
        told = self._told[arm, trial]
        rounds = self._plan.arm_rounds(self._plan.study.named(arm))
        for number in rounds[len(told) :]:
            place = Place(arm, trial, number)
            key = self._plan.places[place]
            before = [self._plan.places[Place(arm, trial, earlier)] for earlier in told]
            if not self._done.keys() >= {key, *before}:
                return
            owned = self._owners[key] == place and key in self._trained
            finished = self._past.finished.get(place) or RoundFinished(
                arm=arm,
                trial=trial,
                round=number,
                key=key,
                reused=not owned,
                result=self._done[key],
                similarity=self._similarity(place, told),
            )
            self._say(finished)
            for signal in self._signals(finished):
                self._say(signal)
            if key in self._diverged:
                self._say(Diverged(arm=arm, trial=trial, round=number, key=key))
            told.append(number)

    def _signals(self, event: RoundFinished) -> Iterator[Signal]:
        """What the newest round of a trial says, each with its rule."""

        def signal(kind: SignalKind, text: str, layer: str | None = None) -> Signal:
            return Signal(kind=kind, arm=event.arm, trial=event.trial, round=event.round, layer=layer, text=text)

        for layer, similarity in event.similarity.items():
            series = self._series.setdefault((event.arm, event.trial, layer), [])
            series.append(similarity.alive[-1])
            if stabilised(series):
                yield signal("stabilised", f"the ranking of {layer} stabilised ({STABLE_RULE})", layer)
            if ranks_collapsed(series):
                yield signal("ranks-collapsed", f"the ranking of {layer} collapsed ({COLLAPSE_RULE})", layer)
        bird = event.result.early_bird
        if bird is not None and bird.found is not None:
            found = (
                f"an early-bird mask was found in epoch {bird.found}, at iteration {bird.iterations[bird.found - 1]}"
            )
            yield signal("early-bird", f"{found} ({BIRD_RULE})")
        before = [number for number in self._told[event.arm, event.trial] if self._collapsed_at(event, number)]
        if event.result.collapsed and not before:
            yield signal("collapsed", f"accuracy collapsed to chance ({CHANCE_RULE})")

    def _collapsed_at(self, event: RoundFinished, number: int) -> bool:
        return self._plan.places[Place(event.arm, event.trial, number)] in self._collapsed

    def _similarity(self, place: Place, earlier: list[int]) -> dict[str, Similarity]:
        if not earlier:
            return {}
        now = self._ranked(self._plan.places[place])
        before = [self._ranked(self._plan.places[Place(place.arm, place.trial, number)]) for number in earlier]
        return {
            name: Similarity(
                rounds=tuple(earlier),
                alive=tuple(spearman(layers[name], layer) for layers in before),
                all=tuple(spearman_all(layers[name], layer) for layers in before),
                jaccard=tuple(jaccard(layers[name].mask, layer.mask) for layers in before),
                chance=tuple(
                    chance_jaccard(int(layers[name].mask.sum()), int(layer.mask.sum()), layer.mask.size)
                    for layers in before
                ),
            )
            for name, layer in now.items()
        }

    def _read(self, key: str) -> dict[str, Ranked]:
        stored = self._store.rounds.read(key)
        if stored is None:
            raise Lost(key, self._store.rounds.path(key))
        found = magnitudes(stored.final.params, stored.masks)
        return {layer_of(name): Ranked(scores, stored.masks[name]) for name, scores in found.items()}
