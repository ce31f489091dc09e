"""One run of a study, from the first round to the last."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from engine.errors import GuardBroken, LabError
from engine.lanes import Program, machine, prepare_jax
from engine.places import cache_folder
from engine.plan import Plan, Round
from engine.plan.forecast import rate_name
from engine.runner.bench import Bench
from engine.runner.chains import Chains
from engine.runner.past import Past
from engine.runner.pilot import Pilot
from engine.store import (
    ArmPlan,
    Checkpoint,
    DatasetFacts,
    GuardFailed,
    Progress,
    RoundStarted,
    RunFinished,
    RunFolder,
    RunResumed,
    RunStarted,
    Stamped,
    Store,
    StoredRound,
)

Report = Callable[[Stamped], None]


def run(folder: RunFolder, store: Store, report: Report | None = None) -> str:
    """Execute the study in `folder` to its end; "done", or "stopped" when that was asked for.

    Every fact goes into the folder as an event, and then to `report`. A run that did not come to its end goes on where
    it was: what is missing is done and told, and in the end all is as if it had never been interrupted. Raises
    LabError after a broken guard or for a study that this machine cannot run; the run is then marked failed, as it is
    after any other error. Raises BadInput, and changes nothing, while another process has the run, and where it cannot
    go on here with the same bits.
    """
    folder.own()
    try:
        past = Past(folder)
        if past.status == "done":
            return "done"
        prepare_jax(cache_folder(store.home))
        bench = Bench(folder.study(), store) if past.started else None
        if bench is not None:
            past.refuse_unlike(bench.plan, machine().tag)
        return _execute(folder, store, past, bench, report)
    finally:
        folder.release()


def _execute(folder: RunFolder, store: Store, past: Past, bench: Bench | None, report: Report | None) -> str:
    begun = time.perf_counter()
    pilot = Pilot(folder, report)
    folder.set_progress(Progress(state="preparing"))
    if past.status != "new":
        pilot.say(RunResumed())
    work: _Walk | None = None
    status: Literal["done", "stopped", "failed"] = "failed"
    message = ""
    try:
        work = _Walk(bench or Bench(folder.study(), store), store, past, pilot)
        status = "done" if work.walk() else "stopped"
    except LabError as error:
        if isinstance(error, GuardBroken):
            pilot.say(GuardFailed(law=error.law, layer=error.layer, round=error.round, found=error.found))
        message = str(error)
        raise
    except KeyboardInterrupt:
        status = "stopped"
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        trained, reused = (work.trained, work.reused) if work else (0, 0)
        seconds = past.seconds + time.perf_counter() - begun
        pilot.say(RunFinished(status=status, trained=trained, reused=reused, seconds=seconds, message=message))
    return status


class _Walk:
    """The way through the plan: stored rounds are taken as they are, the others trained in packs.

    A run that is taken up again goes the same way once more, pack by pack, past what it had trained already: so all
    comes to be known in the order of a run that was never interrupted.
    """

    def __init__(self, bench: Bench, store: Store, past: Past, pilot: Pilot):
        self._bench, self._store, self._past, self._pilot = bench, store, past, pilot
        self._plan = bench.plan
        self._chains = Chains(self._plan, store, past, pilot.say)
        self._waiting = dict(self._plan.rounds)
        self._kept = {key for key in self._waiting if store.rounds.has(key) and key not in past.begun}
        self._compiled: set[tuple[Program, int]] = set()
        self.trained = self.reused = 0

    def walk(self) -> bool:
        """Go through the plan; False when asked to stop on the way."""
        plan, waiting = self._plan, self._waiting
        width = machine().width(_most_at_once(plan))
        if self._past.started is None:
            self._pilot.say(_started(self._pilot.run_id, plan, len(self._kept), width))
        steps = sum(item.iterations for key, item in waiting.items() if key not in self._kept)
        self._pilot.begin(steps, len(plan.rounds))
        self._take_kept()
        while pack := self._next(width):
            if not self._train(pack, width):
                return False
            self._take_kept()
        self._store.machine.keep(numerics=machine().tag, lanes=width, rates=self._rates())
        return True

    def _take_kept(self) -> None:
        """Take the rounds that the store has, each after those that it needs, and prove them again."""
        for key, item in list(self._waiting.items()):
            if key not in self._kept or not self._ready(item):
                continue
            self._kept.discard(key)
            found = self._stored(item)
            if found is None:
                self._pilot.more(item.iterations)
                continue
            self.reused += 1
            self._done(item, found, trained=False)

    def _stored(self, item: Round) -> StoredRound | None:
        """A round from the store, proven again; None where it lacks weights that others rewind to."""
        found = self._store.rounds.read(item.key)
        if found is None or not self._plan.marks_of(item.key) <= found.marks.keys():
            return None
        self._bench.prove_stored(item, found)
        self._store.checkpoints.remove(item.key)
        return found

    def _ready(self, item: Round) -> bool:
        return item.needs <= self._chains.usable(item)

    def _next(self, width: int) -> list[Round]:
        """Ready rounds of one program for the next pack, the lowest numbers first; none when none can come."""
        ready = sorted(filter(self._ready, self._waiting.values()), key=lambda item: item.number)
        if not ready:
            return []
        program = self._bench.program(ready[0])
        return [item for item in ready if self._bench.program(item) == program][:width]

    def _train(self, pack: list[Round], width: int) -> bool:
        """Train a pack and tell it; False when asked to stop on the way."""
        known: dict[str, StoredRound] = {}
        groups: dict[int, list[tuple[Round, Checkpoint | None]]] = {}
        for item in pack:
            stored = self._stored(item) if item.key in self._past.begun else None
            if stored is not None:
                known[item.key] = stored
                self._pilot.skip(item.key, item.iterations, stored.curve)
            else:
                checkpoint = self._bench.checkpoint(item)
                groups.setdefault(checkpoint.iteration if checkpoint else 0, []).append((item, checkpoint))
        for group in groups.values():
            trained = self._trained([item for item, _ in group], [found for _, found in group if found], width)
            if trained is None:
                return False
            known.update(trained)
        for item in pack:
            self.trained += 1
            self._done(item, known[item.key], trained=True)
        return True

    def _trained(self, rounds: list[Round], checkpoints: list[Checkpoint], width: int) -> dict[str, StoredRound] | None:
        """Train rounds that are at the same iteration and keep them; None when asked to stop on the way."""
        if not self._pilot.going():
            return None
        for item in rounds:
            for place in self._plan.places_of(item.key):
                if place not in self._past.finished:
                    self._pilot.say(RoundStarted(arm=place.arm, trial=place.trial, round=place.number, key=item.key))
        code = replace(self._bench.program(rounds[0]), iterations=0), len(rounds)
        places = [self._plan.places_of(item.key)[0] for item in rounds]
        self._pilot.board(rounds, places, new=code not in self._compiled)
        try:
            finished = self._bench.train(
                rounds, checkpoints, width if not machine().on_cpu else len(rounds), self._pilot
            )
        except GuardBroken:
            for item in rounds:
                self._store.checkpoints.remove(item.key)
            raise
        for stored in finished or ():
            # Trained again for a mark that others rewind to: those that it had stay.
            before = self._store.rounds.read(stored.key) if self._store.rounds.has(stored.key) else None
            marks = {**before.marks, **stored.marks} if before else stored.marks
            self._store.rounds.write(replace(stored, marks=marks))
            self._store.checkpoints.remove(stored.key)
        if finished and not self._compiled:
            self._store.machine.keep(numerics=machine().tag, lanes=width, rates=self._rates())
        self._compiled.add(code)
        return None if finished is None else {stored.key: stored for stored in finished}

    def _done(self, item: Round, stored: StoredRound, *, trained: bool) -> None:
        del self._waiting[item.key]
        self._chains.finish(item.key, stored.result, trained=trained)
        self._pilot.landed()

    def _rates(self) -> dict[str, float]:
        rate = self._pilot.rate()
        return {} if rate is None else {rate_name(self._plan): rate}


def _most_at_once(plan: Plan) -> int:
    """Rounds that can be ready together at the most: as many as share a number."""
    counts: dict[int, int] = {}
    for item in plan.rounds.values():
        counts[item.number] = counts.get(item.number, 0) + 1
    return max(counts.values())


def _started(run: str, plan: Plan, stored: int, width: int) -> RunStarted:
    study, mark = plan.study, plan.mark
    return RunStarted(
        run=run,
        study=study.name,
        hash=study.hash,
        dataset=DatasetFacts(name=mark.name, train=mark.train, validation=mark.validation, test=mark.test),
        layers={layer.name: layer.size for layer in plan.layers},
        arms=tuple(
            ArmPlan(name=arm.name, kind=arm.kind, seeds=plan.arm_seeds(arm), rounds=plan.arm_rounds(arm))
            for arm in study.arm
        ),
        distinct=len(plan.rounds),
        stored=stored,
        device=machine().words,
        lanes=width,
        numerics=machine().tag,
    )
