"""Hands ready rounds to workers and takes what they trained; all else runs beside them in threads.

The thread of the coordinator alone writes the run's folder. When a batch ends, its rounds are proven, the rounds that
depend on them are prepared, and the next batch is handed out; then the background measures, writes and compares the
rounds of the batch, which are reported before the batch after the next one is handed out. So at most two batches of
each worker are in memory, and events come in the same order however long the background takes.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from engine.errors import InvariantViolated, LabError
from engine.experiment import Plan, Round, bytes_of, rate_name
from engine.runner.checkpoints import CheckpointWriter
from engine.runner.history import RunHistory
from engine.runner.inputs import RoundInputs
from engine.runner.lost import Lost
from engine.runner.reports import RoundReporter
from engine.runner.scheduler import Scheduler
from engine.runner.session import PROGRESS_SECONDS, BatchProgress, RunSession
from engine.runner.train import Group, Trainer
from engine.runner.workers import TrainedRound, Worker, WorkerLost
from engine.store import (
    ArmPlan,
    Checkpoint,
    CurvePoint,
    DatasetFacts,
    Holder,
    Note,
    RoundResult,
    RoundStarted,
    RunStarted,
    Store,
    StoredRound,
)
from engine.training import OutOfMemory, machine
from engine.training.devices import cores

_STORED_AHEAD = 4
"""Stored rounds that are taken before the first of them is reported."""

Result = TypeVar("Result")


class Abandoned(Exception):
    """The run ended while a worker trained."""


@dataclass(eq=False)
class _Flight:
    """A batch of rounds that a worker trains, in groups that are after equally many steps."""

    number: int
    worker: Worker
    rounds: list[Round]
    groups: deque[list[tuple[Round, Checkpoint | None]]] = field(default_factory=deque)
    stored: dict[str, StoredRound] = field(default_factory=dict)
    reused: set[str] = field(default_factory=set)
    steps_done: int = 0
    steps_less: int = 0
    trained: dict[str, TrainedRound] = field(default_factory=dict)
    jobs: dict[str, tuple[Callable[[], RoundResult], Future[RoundResult]]] = field(default_factory=dict)
    training: list[Round] = field(default_factory=list)
    progress: BatchProgress | None = None
    writers: list[CheckpointWriter] = field(default_factory=list)

    def close(self) -> None:
        """Wait until no checkpoint is being written."""
        for writer in self.writers:
            writer.close()


class _Control:
    """What a worker may ask while it trains a batch: the thread of the coordinator answers."""

    def __init__(self, coordinator: "Coordinator", flight: _Flight, progress: BatchProgress, writer: CheckpointWriter):
        self._coordinator, self._flight, self._progress, self._writer = coordinator, flight, progress, writer

    @property
    def paused_seconds(self) -> float:
        return self._coordinator.session.paused_seconds

    def resume(self, iteration: int, curves: list[list[CurvePoint]]) -> None:
        self._ask(lambda: self._coordinator.session.resume_batch(self._progress, iteration, curves))

    def advance(self, iteration: int, new_points: list[list[CurvePoint]]) -> bool:
        return self._ask(lambda: self._coordinator.advance(self._flight, self._progress, iteration, new_points))

    def testing(self) -> None:
        self._ask(self._coordinator.session.testing)

    def checkpoint_due(self) -> bool:
        return self._writer.due()

    def checkpoint_due_at_end(self) -> bool:
        return self._writer.due_at_end()

    def save(self, make: Callable[[], list[Checkpoint]]) -> None:
        self._ask(lambda: self._coordinator.session.keep(self._writer.flush))
        self._writer.save(make)

    def remove(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._ask(lambda: self._coordinator.remove_checkpoints(checkpoint.key for checkpoint in checkpoints))

    def _ask(self, question: Callable[[], Result]) -> Result:
        return self._coordinator.ask(question)


class _Background(ThreadPoolExecutor):
    """A pool of threads that starts no job while it is on `hold`."""

    def __init__(self, threads: int):
        super().__init__(threads, "background")
        self._free = threading.Event()
        self._free.set()
        self.hold, self.free = self._free.clear, self._free.set

    def submit(self, job: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        def wait_and_run() -> Result:
            self._free.wait()
            return job(*args, **kwargs)

        return super().submit(wait_and_run)


class Coordinator:
    """Takes a run through its plan: stored rounds are taken as they are, the others are trained by the workers.

    A run that is resumed goes through the plan in the same order again, past what it trained before, so its events
    come in the order of a run that was never interrupted.
    """

    def __init__(
        self,
        trainer: Trainer,
        store: Store,
        history: RunHistory,
        session: RunSession,
    ):
        self.session = session
        self._trainer, self._store, self._history = trainer, store, history
        self._plan = trainer.plan
        self._idle = trainer.workers()
        self._workers = len(self._idle)
        self._width = self._idle[0].width(trainer.program(next(iter(self._plan.rounds.values()))))
        self._stored = {key for key in self._plan.rounds if store.rounds.has(key) and key not in history.begun}
        self._scheduler = Scheduler(self._plan.rounds, trainer.group, self._stored)
        self._begun = set(history.begun)
        self._announced = set(history.finished)
        self._compiled: set[tuple[object, int]] = set()
        self._flights: deque[_Flight] = deque()
        self._in_flight = 0
        self._batches = 0
        self._busy: list[tuple[Round, Holder]] = []
        self._stopping = self._closed = False
        self._first = True
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._prepared: dict[str, Future[RoundInputs]] = {}
        self._threads = ThreadPoolExecutor(self._workers, "worker")
        self._builders = ThreadPoolExecutor(min(4, cores()), "inputs")
        self._background = _Background(max(1, min(4, cores() // 2)))
        self._reporter = RoundReporter(self._plan, trainer.finished, history, session, self._background)
        self.trained = self.reused = 0

    def run(self) -> bool:
        """Go through the plan; False when asked to stop on the way."""
        try:
            self._begin()
            try:
                self._loop()
                self._report(self._batches)
            except LabError:
                # The rounds before the failure are stored and reported all the same.
                with suppress(LabError):
                    self._report(self._batches)
                raise
            if self._stopping:
                return False
            self._scheduler.check_end()
            self._keep_facts()
            return True
        finally:
            self._close()

    # What workers ask

    def ask(self, question: Callable[[], Result]) -> Result:
        """Have the thread of the coordinator answer a question of another thread. Raises Abandoned."""
        answer: Future[Result] = Future()

        def reply() -> None:
            if self._closed:
                answer.set_exception(Abandoned())
                return
            try:
                answer.set_result(question())
            except BaseException:
                answer.set_exception(Abandoned())
                raise

        self._inbox.put(reply)
        return answer.result()

    def advance(
        self, flight: _Flight, progress: BatchProgress, iteration: int, new_points: list[list[CurvePoint]]
    ) -> bool:
        """A worker has trained so many steps: False when it must stop."""
        writer = flight.writers[-1]
        if writer.failed:
            self.session.keep(writer.flush)
        going = self.session.advance(progress, iteration, new_points)
        self._stopping |= not going
        self._report()
        return not self._stopping

    def remove_checkpoints(self, keys: Iterator[str]) -> None:
        for key in keys:
            self._store.checkpoints.remove(key)

    # The loop

    def _begin(self) -> None:
        missing = [item for key, item in self._plan.rounds.items() if not self._store.rounds.has(key)]
        self._store.check_room(bytes_of(self._plan, missing))
        if self._history.started is None:
            self.session.emit(_started(self.session.run_id, self._plan, len(self._stored), self._width))
        steps = sum(item.iterations for key, item in self._plan.rounds.items() if key not in self._stored)
        self.session.begin(steps, len(self._plan.rounds))

    def _loop(self) -> None:
        """Until nothing is left that can be trained, or the run is stopped."""
        while True:
            self._report()
            if not self._stopping:
                self._next()
            self._background.free()
            if self._in_flight:
                self._receive()
            elif self._stopping or not self._busy:
                if not self._stopping and self._reporter.waiting:
                    self._report(self._batches)  # a lost round becomes ready again
                    if self._reporter.waiting:
                        continue
                return
            elif not self.session.wait(self._wait_words()):
                self._stopping = True

    def _receive(self) -> None:
        """Handle one message of a worker, or refresh the progress while there is none."""
        try:
            message = self._inbox.get(timeout=PROGRESS_SECONDS)
        except queue.Empty:
            self.session.refresh()
            return
        message()

    def _next(self) -> None:
        """Take all stored rounds that are ready, and hand a batch to every worker that has none."""
        self._busy = []
        while self._take_stored() and self._idle:
            worker = self._idle[0]
            rounds = self._scheduler.next_batch(_width(worker), self._lock)
            if not rounds:
                break
            self._idle.pop(0)
            self._launch(worker, rounds)
            if self._stopping:
                break

    def _take_stored(self) -> bool:
        """Take the rounds that the store has, each after those that it depends on, and prove them again. False when
        asked to stop on the way."""
        while (item := self._scheduler.next_stored()) is not None:
            if not self._going():
                return False
            try:
                found = self._from_store(item)
            except Lost as lost:
                self._scheduler.train([item])
                self._train_again(lost)
                continue
            if found is None:
                self.session.add_steps(item.iterations)
                self._scheduler.train([item])
                continue
            self._finish(item, found, trained=False)
            self._batches += 1
            self._reporter.finish(item.key, *_known(found.result), trained=False, batch=self._batches)
            self._report(self._batches - _STORED_AHEAD)
        return True

    def _going(self) -> bool:
        self._stopping |= not self.session.going()
        return not self._stopping

    def _from_store(self, item: Round) -> StoredRound | None:
        """A round from the store, proven again; None where it lacks weights that other rounds rewind to."""
        found = self._store.rounds.read(item.key) if self._store.rounds.has(item.key) else None
        if found is None or not self._plan.rewind_points[item.key] <= found.snapshots.keys():
            return None
        self._trainer.prove_stored(item, found)
        self._trainer.finished.add(found, written=True)
        if item.key in self._history.begun or self._store.checkpoints.has(item.key):
            self._store.checkpoints.remove(item.key)
        return found

    def _lock(self, item: Round) -> bool:
        """Whether this run may train a round, because no other run does."""
        holder = self.session.keep(partial(self._store.round_locks.take, item.key, self.session.run_id))
        if holder is not None:
            self._busy.append((item, holder))
        return holder is None

    def _wait_words(self) -> str:
        item, holder = self._busy[0]
        place = self._plan.ids_of[item.key][0]
        what = f"{place.arm} trial {place.trial + 1} round {place.number}"
        return f"{what} is being trained by {holder.run}, {holder.words}"

    # Batches

    def _launch(self, worker: Worker, rounds: list[Round]) -> None:
        """Begin a batch: all but what was stored since is trained."""
        self._batches += 1
        flight = _Flight(self._batches, worker, rounds)
        self._flights.append(flight)
        groups: dict[int, list[tuple[Round, Checkpoint | None]]] = {}
        for item in rounds:
            try:
                stored = self._from_store(item)
            except Lost as lost:
                self._give_up(flight)
                self._train_again(lost)
                return
            if stored is None:
                checkpoint = self._trainer.checkpoint(item)
                groups.setdefault(checkpoint.iteration if checkpoint else 0, []).append((item, checkpoint))
                continue
            flight.stored[item.key] = stored
            if item.key in self._begun:
                self.session.skip(item.iterations)
                flight.steps_done += item.iterations
            else:
                flight.reused.add(item.key)
                self.session.add_steps(-item.iterations)
                flight.steps_less += item.iterations
        flight.groups.extend(groups.values())
        self._continue(flight)

    def _continue(self, flight: _Flight) -> None:
        """Train the next group of a batch; the batch ends after the last one."""
        if not flight.groups:
            self._land(flight)
            return
        if not self._going():
            self._give_up(flight)
            return
        group = flight.groups.popleft()
        rounds = flight.training = [item for item, _ in group]
        checkpoints = [checkpoint for _, checkpoint in group if checkpoint is not None]
        try:
            inputs = [future.result() for future in [self._prepare(item) for item in rounds]]
            for item in rounds:
                del self._prepared[item.key]
            batch = self._trainer.batch(rounds, inputs, checkpoints)
        except Lost as lost:
            self._give_up(flight)
            self._train_again(lost)
            return
        for item in rounds:
            self._begun.add(item.key)
            for place in self._plan.ids_of[item.key]:
                if place not in self._announced:
                    self._announced.add(place)
                    self.session.emit(RoundStarted(arm=place.arm, trial=place.trial, round=place.number, key=item.key))
        code = batch.program, len(rounds)
        places = [self._plan.ids_of[item.key][0] for item in rounds]
        progress = self.session.begin_batch(rounds, places, compiling=code not in self._compiled)
        self._compiled.add(code)
        writer = CheckpointWriter(self._store.checkpoints)
        flight.progress = progress
        flight.writers.append(writer)
        control = _Control(self, flight, progress, writer)
        future = self._threads.submit(flight.worker.train, batch, control)
        self._in_flight += 1
        future.add_done_callback(lambda done: self._inbox.put(partial(self._trained, flight, done)))
        self._prefetch(flight.worker)

    def _prepare(self, item: Round) -> Future[RoundInputs]:
        found = self._prepared.get(item.key)
        if found is None or (found.done() and found.exception() is not None):
            found = self._prepared[item.key] = self._builders.submit(self._trainer.prepare, item)
        return found

    def _prefetch(self, worker: Worker) -> None:
        """Prepare the rounds of the next batch."""
        for item in self._scheduler.upcoming(_width(worker)):
            if not self._store.rounds.has(item.key):
                self._prepare(item)

    def _trained(self, flight: _Flight, done: Future[list[TrainedRound] | None]) -> None:
        """A worker has trained a group of a batch, or failed."""
        self._in_flight -= 1
        assert flight.progress is not None
        try:
            trained = done.result()
            if trained is None:
                self.session.keep(flight.writers[-1].flush)
        except (OutOfMemory, WorkerLost) as error:
            self.session.end_batch(flight.progress, trained=False)
            self._give_up(flight, back=isinstance(error, OutOfMemory))
            self._fewer(flight.worker, error)
            return
        except InvariantViolated:
            flight.close()
            self.remove_checkpoints(item.key for item in flight.training)
            raise
        self.session.end_batch(flight.progress, trained=trained is not None)
        if trained is None:
            self._stopping = True
            self._give_up(flight)
            return
        flight.steps_done += flight.progress.iterations * len(flight.training)
        flight.trained.update((item.key, found) for item, found in zip(flight.training, trained, strict=True))
        if self._first:
            self._first = False
            self._keep_facts()
        self._continue(flight)

    def _land(self, flight: _Flight) -> None:
        """All rounds of a batch are trained: prove them, hand out the next batch, and conclude them beside it."""
        trained = [item for item in flight.rounds if item.key in flight.trained]
        try:
            for item in trained:
                self._trainer.prove(item, flight.trained[item.key])
        except InvariantViolated:
            flight.close()
            self.remove_checkpoints(other.key for other in flight.rounds)
            raise
        except Lost as lost:
            self._give_up(flight)
            self._train_again(lost)
            return
        for item in trained:
            flight.stored[item.key] = self._trainer.result(item, flight.trained[item.key])
            self._trainer.finished.add(flight.stored[item.key], written=False)
        for item in flight.rounds:
            self._finish(item, flight.stored[item.key], trained=item.key not in flight.reused)
        self._idle.append(flight.worker)
        self._prefetch(flight.worker)
        self._report(flight.number - self._workers)
        self._background.hold()  # until the next batch is handed out
        for item in flight.rounds:
            stored = flight.stored[item.key]
            if item.key in flight.trained:
                job = partial(self._store_round, item, stored, flight)
                flight.jobs[item.key] = job, self._background.submit(job)
            else:
                flight.jobs[item.key] = _known(stored.result)
                self._store.round_locks.release(item.key)
        while self._flights and len(self._flights[0].jobs) == len(self._flights[0].rounds):
            self._conclude(self._flights.popleft())

    def _conclude(self, flight: _Flight) -> None:
        for item in flight.rounds:
            trained = item.key not in flight.reused
            self._reporter.finish(item.key, *flight.jobs[item.key], trained=trained, batch=flight.number)

    def _store_round(self, item: Round, stored: StoredRound, flight: _Flight) -> RoundResult:
        """Measure and write a round, in the background. Raises Unwritable."""
        stored = self._trainer.measured(item, stored)
        if self._store.rounds.has(item.key):
            # Trained again for weights that other rounds rewind to: those that it had stay.
            before = self._store.rounds.read(item.key)
            if before is not None:
                stored = replace(stored, snapshots={**before.snapshots, **stored.snapshots})
        self._store.rounds.write(stored)
        self._trainer.finished.add(stored, written=True)
        flight.close()
        if item.key in self._history.begun or self._store.checkpoints.has(item.key):
            self._store.checkpoints.remove(item.key)
        self._store.round_locks.release(item.key)
        return stored.result

    def _finish(self, item: Round, stored: StoredRound, *, trained: bool) -> None:
        self._announced.update(self._plan.ids_of[item.key])
        if not self._scheduler.was_lost(item.key):
            self.trained += trained
            self.reused += not trained
        result = stored.result
        self._scheduler.finished(item.key, diverged=result.diverged, collapsed=result.collapsed)
        self.session.finished(self.trained + self.reused)

    def _give_up(self, flight: _Flight, *, back: bool = True) -> None:
        """A batch comes to nothing: its rounds are ready again, and its worker too unless it is gone."""
        self._flights.remove(flight)
        flight.close()
        for item in flight.rounds:
            self._prepared.pop(item.key, None)
            self._store.round_locks.release(item.key)
        self._scheduler.train(flight.rounds)
        self.session.take_back(flight.steps_done, flight.steps_less)
        if back:
            self._idle.append(flight.worker)

    def _fewer(self, worker: Worker, error: Exception) -> None:
        """Halve the batches of a worker whose devices are out of memory, or do without a worker that is gone."""
        if isinstance(error, WorkerLost):
            self._workers -= 1
            if not self._workers:
                raise LabError(f"no worker is left: {error}")
            self.session.emit(Note(text=f"a worker is gone: {error}; its rounds are trained again"))
            return
        if not worker.narrow():
            base = self._plan.study.base
            what = f"base.train.batch {base.train.batch} of {base.network.name}"
            raise LabError(f"{what}: one network is more than the memory of a device holds; allowed: a smaller batch")
        self._width = worker.width(self._trainer.program(next(iter(self._plan.rounds.values()))))
        self.session.emit(Note(text=f"the devices are out of memory: {self._width} lanes at once from here on"))

    def _train_again(self, lost: Lost) -> None:
        """A round that can no longer be read is trained again, once."""
        if not self._scheduler.lost(lost.key):
            raise LabError(f"{lost}, for the second time; is the disk sound?") from lost
        self.session.add_steps(self._plan.rounds[lost.key].iterations)
        self.session.emit(Note(text=f"{lost}; it is trained again"))

    def _report(self, wait_for: int = -1) -> None:
        if wait_for >= 0:
            self._background.free()
        try:
            self._reporter.report(wait_for)
        except Lost as lost:
            self._train_again(lost)

    def _keep_facts(self) -> None:
        rate = self.session.rate
        rates = {} if rate is None else {rate_name(self._plan): rate}
        found = machine()
        self._store.machine.keep(
            numerics=found.tag, lanes=self._width, rates=rates, devices=found.devices, memory=found.memory
        )

    def _close(self) -> None:
        """Release the workers that still train, and end all threads."""
        self._closed = True
        while self._in_flight:
            message = self._inbox.get()
            if isinstance(message, partial):  # a worker is at its end
                self._in_flight -= 1
            else:
                message()
        self._background.free()
        self._threads.shutdown()
        self._builders.shutdown(cancel_futures=True)
        self._background.shutdown()
        for flight in self._flights:
            flight.close()


def _width(worker: Worker) -> Callable[[Group], int]:
    return lambda group: worker.width(group[0])


def _known(result: RoundResult) -> tuple[Callable[[], RoundResult], Future[RoundResult]]:
    """A job whose result is known, and its future."""
    future: Future[RoundResult] = Future()
    future.set_result(result)
    return future.result, future


def _started(run: str, plan: Plan, stored: int, width: int) -> RunStarted:
    study, mark = plan.study, plan.dataset
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
