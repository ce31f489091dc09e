"""One run of a study, from the first round to the last."""

import time
from collections.abc import Callable
from typing import Literal

from engine.errors import GuardBroken, LabError
from engine.lanes import machine, prepare_jax
from engine.places import cache_folder
from engine.plan import Plan, Round
from engine.plan.forecast import rate_name
from engine.runner.bench import Bench
from engine.runner.chains import Chains
from engine.runner.pilot import Pilot
from engine.store import (
    ArmPlan,
    DatasetFacts,
    GuardFailed,
    Progress,
    RoundStarted,
    RunFinished,
    RunFolder,
    RunStarted,
    Stamped,
    Store,
    StoredRound,
)

Report = Callable[[Stamped], None]


def run(folder: RunFolder, store: Store, report: Report | None = None) -> str:
    """Execute the study in `folder` to its end; "done", or "stopped" when that was asked for.

    Every fact goes into the folder as an event, and then to `report`. Raises LabError after a broken guard or
    for a study that this machine cannot run; the run is then marked failed, as it is after any other error.
    """
    begun = time.perf_counter()
    pilot = Pilot(folder, report)
    folder.own()
    folder.set_progress(Progress(state="preparing"))
    work: _Walk | None = None
    status: Literal["done", "stopped", "failed"] = "failed"
    message = ""
    try:
        prepare_jax(cache_folder(store.home))
        work = _Walk(Bench(folder.study(), store), store, pilot)
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
        seconds = time.perf_counter() - begun
        pilot.say(RunFinished(status=status, trained=trained, reused=reused, seconds=seconds, message=message))
    return status


class _Walk:
    """The way through the plan: stored rounds are taken as they are, the others trained in packs."""

    def __init__(self, bench: Bench, store: Store, pilot: Pilot):
        self._bench, self._store, self._pilot = bench, store, pilot
        self._plan = bench.plan
        self._chains = Chains(self._plan, store, pilot.say)
        self.trained = self.reused = 0

    def walk(self) -> bool:
        plan, pilot = self._plan, self._pilot
        stored = {key: found for key in plan.rounds if self._store.rounds.has(key) and (found := self._take(key))}
        waiting = {key: item for key, item in plan.rounds.items() if key not in stored}
        steps = sum(item.train.iterations for item in waiting.values())
        width = machine().width(_most_at_once(plan))
        pilot.say(_started(pilot.run_id, plan, len(stored), width))
        pilot.begin(steps, len(plan.rounds), len(stored))
        self.reused = len(stored)
        for key, found in stored.items():
            self._chains.finish(key, found.result, trained=False)
        while waiting:
            pack = self._next(waiting, width)
            if not pack:
                break
            if not self._train(pack, width):
                return False
            for item in pack:
                del waiting[item.key]
        self._store.machine.keep(numerics=machine().tag, lanes=width, rates=self._rates())
        return True

    def _take(self, key: str) -> StoredRound | None:
        """A stored round, proven again; None when its file cannot be believed."""
        found = self._store.rounds.read(key)
        if found is not None:
            self._bench.prove_stored(self._plan.rounds[key], found)
        return found

    def _next(self, waiting: dict[str, Round], width: int) -> list[Round]:
        """Ready rounds of one program for the next pack, the lowest numbers first; none when none can come."""
        ready = [item for item in waiting.values() if item.needs is None or item.needs in self._chains.usable(item)]
        ready.sort(key=lambda item: item.number)
        if not ready:
            return []
        program = self._bench.program(ready[0])
        return [item for item in ready if self._bench.program(item) == program][:width]

    def _train(self, pack: list[Round], width: int) -> bool:
        for item in pack:
            for place in self._plan.places_of(item.key):
                self._pilot.say(RoundStarted(arm=place.arm, trial=place.trial, round=place.number, key=item.key))
        places = [self._plan.places_of(item.key)[0] for item in pack]
        self._pilot.board(
            [(place, item.key) for place, item in zip(places, pack, strict=True)], pack[0].train.iterations
        )
        finished = self._bench.train(pack, width if not machine().on_cpu else len(pack), self._pilot)
        if finished is None:
            return False
        for item, stored in zip(pack, finished, strict=True):
            self._store.rounds.write(stored)
            self.trained += 1
            self._chains.finish(item.key, stored.result, trained=True)
        self._pilot.landed(len(pack))
        if self.trained == len(pack):
            self._store.machine.keep(numerics=machine().tag, lanes=width, rates=self._rates())
        return True

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
    )
