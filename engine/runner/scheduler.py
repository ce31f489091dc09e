"""The way through the plan of a run, pack by pack."""

import gc
from dataclasses import replace
from functools import partial

from engine.errors import InvariantViolated, LabError
from engine.experiment import Plan, Round, bytes_of, rate_name
from engine.runner.history import RunHistory
from engine.runner.lost import Lost
from engine.runner.reports import RoundReporter
from engine.runner.session import RunSession
from engine.runner.train import Trainer
from engine.store import ArmPlan, Checkpoint, DatasetFacts, Holder, Note, RoundStarted, RunStarted, Store, StoredRound
from engine.training import OutOfMemory, Program, machine, out_of_memory


class Scheduler:
    """The way through the plan: stored rounds are taken as they are, the others trained in packs. What another run
    trains now is waited for.

    A run that is taken up again goes the same way once more, pack by pack, past what it had trained already: so all
    comes to be known in the order of a run that was never interrupted.
    """

    def __init__(self, bench: Trainer, store: Store, past: RunHistory, pilot: RunSession):
        self._bench, self._store, self._past, self._pilot = bench, store, past, pilot
        self._plan = bench.plan
        self._chains = RoundReporter(self._plan, store, past, pilot.say)
        self._waiting = dict(self._plan.rounds)
        self._kept = {key for key in self._waiting if store.rounds.has(key) and key not in past.begun}
        self._begun = set(past.begun)
        self._announced = set(past.finished)
        self._lost: set[str] = set()
        self._width = machine().width(bench.plan.most_at_once)
        self._compiled: set[tuple[Program, int]] = set()
        self.trained = self.reused = 0

    def walk(self) -> bool:
        """Go through the plan; False when asked to stop on the way."""
        plan, waiting = self._plan, self._waiting
        missing = [item for key, item in waiting.items() if not self._store.rounds.has(key)]
        self._store.check_room(bytes_of(plan, missing))
        if self._past.started is None:
            self._pilot.say(_started(self._pilot.run_id, plan, len(self._kept), self._width))
        steps = sum(item.iterations for key, item in waiting.items() if key not in self._kept)
        self._pilot.begin(steps, len(plan.rounds))
        while True:
            try:
                if not self._take_kept():
                    return False
                ready = sorted(filter(self._ready, waiting.values()), key=lambda item: item.number)
                if not ready:
                    break
                pack, busy = self._leased(ready)
                if not (self._train(pack) if pack else self._wait(*busy[0])):
                    return False
            except Lost as lost:
                self._again(lost)
            except OutOfMemory:
                self._narrow()
        self._keep_facts()
        return True

    def _take_kept(self) -> bool:
        """Take the rounds that the store has, each after those that it needs, and prove them again; False when asked
        to stop on the way."""
        for key, item in list(self._waiting.items()):
            if key not in self._kept or not self._ready(item):
                continue
            if not self._pilot.going():
                return False
            found = self._stored(item)
            self._kept.discard(key)
            if found is None:
                self._pilot.more(item.iterations)
                continue
            self._done(item, found, trained=False)
        return True

    def _stored(self, item: Round) -> StoredRound | None:
        """A round from the store, proven again; None where it lacks weights that others rewind to."""
        found = self._store.rounds.read(item.key)
        if found is None or not self._plan.rewind_points[item.key] <= found.marks.keys():
            return None
        self._bench.prove_stored(item, found)
        self._store.checkpoints.remove(item.key)
        return found

    def _ready(self, item: Round) -> bool:
        return item.needs <= self._chains.usable(item)

    def _leased(self, ready: list[Round]) -> tuple[list[Round], list[tuple[Round, Holder]]]:
        """The next pack: the first of the ready rounds, of one program, that no other run trains; and those that
        others train, with who does."""
        pack: list[Round] = []
        busy: list[tuple[Round, Holder]] = []
        for item in ready:
            if len(pack) < self._width and (not pack or self._alike(item, pack[0])):
                holder = self._pilot.keep(partial(self._store.round_locks.take, item.key, self._pilot.run_id))
                if holder is None:
                    pack.append(item)
                else:
                    busy.append((item, holder))
        return pack, busy

    def _alike(self, item: Round, other: Round) -> bool:
        """Whether two rounds can train in one batch of lanes."""
        return item.group == other.group and self._bench.program(item) == self._bench.program(other)

    def _wait(self, item: Round, holder: Holder) -> bool:
        """Wait a moment for another run; False when asked to stop."""
        place = self._plan.places_of[item.key][0]
        what = f"{place.arm} trial {place.trial + 1} round {place.number}"
        return self._pilot.wait(f"{what} is being trained by {holder.run}, {holder.words}")

    def _train(self, pack: list[Round]) -> bool:
        """Train a pack, but for what was stored since, and tell it; False when asked to stop on the way."""
        known: dict[str, StoredRound] = {}
        own = {item.key for item in pack}
        groups: dict[int, list[tuple[Round, Checkpoint | None]]] = {}
        try:
            for item in pack:
                stored = self._stored(item)
                if stored is None:
                    checkpoint = self._bench.checkpoint(item)
                    groups.setdefault(checkpoint.iteration if checkpoint else 0, []).append((item, checkpoint))
                    continue
                known[item.key] = stored
                if item.key in self._begun:
                    self._pilot.skip(item.iterations)
                else:
                    own.discard(item.key)
                    self._pilot.more(-item.iterations)
            for group in groups.values():
                trained = self._trained([item for item, _ in group], [found for _, found in group if found])
                if trained is None:
                    return False
                known.update(trained)
        finally:
            self._store.round_locks.release()
        for item in pack:
            self._done(item, known[item.key], trained=item.key in own)
        return True

    def _trained(self, rounds: list[Round], checkpoints: list[Checkpoint]) -> dict[str, StoredRound] | None:
        """Train rounds that are at the same iteration and keep them; None when asked to stop on the way."""
        if not self._pilot.going():
            return None
        for item in rounds:
            self._begun.add(item.key)
            for place in self._plan.places_of[item.key]:
                if place not in self._announced:
                    self._announced.add(place)
                    self._pilot.say(RoundStarted(arm=place.arm, trial=place.trial, round=place.number, key=item.key))
        code = self._bench.program(rounds[0]), len(rounds)
        places = [self._plan.places_of[item.key][0] for item in rounds]
        self._pilot.board(rounds, places, new=code not in self._compiled)
        try:
            with out_of_memory():
                finished = self._bench.train(
                    rounds, checkpoints, self._width if not machine().on_cpu else len(rounds), self._pilot
                )
        except InvariantViolated:
            for item in rounds:
                self._store.checkpoints.remove(item.key)
            raise
        for stored in finished or ():
            # Trained again for a mark that others rewind to: those that it had stay.
            before = self._store.rounds.read(stored.key) if self._store.rounds.has(stored.key) else None
            marks = {**before.marks, **stored.marks} if before else stored.marks
            self._pilot.keep(partial(self._store.rounds.write, replace(stored, marks=marks)))
            self._store.checkpoints.remove(stored.key)
        if finished and not self._compiled:
            self._keep_facts()
        self._compiled.add(code)
        return None if finished is None else {stored.key: stored for stored in finished}

    def _done(self, item: Round, stored: StoredRound, *, trained: bool) -> None:
        del self._waiting[item.key]
        self._announced.update(self._plan.places_of[item.key])
        if item.key not in self._lost:
            self.trained += trained
            self.reused += not trained
        self._pilot.landed(len(self._plan.rounds) - len(self._waiting))
        try:
            self._chains.finish(item.key, stored.result, trained=trained)
        except Lost as lost:
            self._again(lost)

    def _again(self, lost: Lost) -> None:
        """What cannot be read any more is trained again, once; what needs it waits for that."""
        if lost.key in self._lost:
            raise LabError(f"{lost}, for the second time; is the disk sound?") from lost
        self._lost.add(lost.key)
        self._waiting[lost.key] = self._plan.rounds[lost.key]
        self._chains.lose(lost.key)
        self._pilot.more(self._waiting[lost.key].iterations)
        self._pilot.say(Note(text=f"{lost}; it is trained again"))

    def _narrow(self) -> None:
        """Fewer lanes at once: half of those that the devices had no memory for."""
        least = 1 if machine().on_cpu else machine().devices
        if self._width == least:
            base = self._plan.study.base
            what = f"base.train.batch {base.train.batch} of {base.network.name}"
            raise LabError(f"{what}: one network is more than the memory of a device holds; allowed: a smaller batch")
        self._width = max(least, self._width // 2)
        self._pilot.abandon()
        self._pilot.say(Note(text=f"the devices are out of memory: {self._width} lanes at once from here on"))
        # What the pack left on the devices.
        gc.collect()

    def _keep_facts(self) -> None:
        rate = self._pilot.rate()
        rates = {} if rate is None else {rate_name(self._plan): rate}
        found = machine()
        self._store.machine.keep(
            numerics=found.tag, lanes=self._width, rates=rates, devices=found.devices, memory=found.memory
        )


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
        kinds={layer.name: layer.kind for layer in plan.layers},
    )
