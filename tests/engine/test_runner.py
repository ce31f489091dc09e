"""Whole runs on real digits: what is promised of every run, seen from the store."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from engine import datasets, views
from engine.errors import InvariantViolated, LabError, Unwritable
from engine.networks import build, initial_weights
from engine.pruning import counts_of
from engine.runner import resources as meter
from engine.runner import run
from engine.runner import workers as bench
from engine.runner.session import RunSession
from engine.runner.train import Trainer
from engine.runner.workers import Batch, Control, LocalWorker, TrainedRound, WorkerLost
from engine.spec import Study, parse_study
from engine.store import (
    Diverged,
    Event,
    Holder,
    InvariantFailed,
    Note,
    Paused,
    Request,
    Resumed,
    RoundFinished,
    RoundLocks,
    RoundStarted,
    RoundStore,
    RunFinished,
    RunFolder,
    Store,
    StoredRound,
)
from engine.training import LaneBatch, LaneResult, Machine

pytestmark = pytest.mark.usefixtures("jax_ready")

Tiny = Callable[..., Study]
NewHome = Callable[[], Path]
Execute = Callable[..., tuple[str, RunFolder]]
ARMS = ["ticket", "one-shot", "reinit", "random-mask"]
QUICK = ("trials=1", "base.prune.rounds=2")


def store_of(folder: RunFolder) -> Store:
    return Store(folder.folder.parent.parent)


def view_of(folder: RunFolder) -> views.RunView:
    return views.fold(views.RunView(), folder.events())


def events_of(folder: RunFolder, kind: type) -> list[Any]:
    return [stamped.event for stamped in folder.events() if isinstance(stamped.event, kind)]


def stored(folder: RunFolder, arm: str, trial: int, number: int) -> StoredRound:
    found = store_of(folder).rounds.read(view_of(folder).arm(arm).trials[trial].rounds[number].key)
    assert found is not None
    return found


def rounds_of(folder: RunFolder) -> dict[str, StoredRound]:
    """Every round of the run as kept, by key."""
    rounds = {event.key: store_of(folder).rounds.read(event.key) for event in events_of(folder, RoundFinished)}
    assert None not in rounds.values()
    return rounds  # type: ignore[return-value]


def same_numbers(one: StoredRound, other: StoredRound) -> None:
    """Bit for bit, but for the seconds that it took."""
    assert one.result.model_copy(update={"seconds": 0}) == other.result.model_copy(update={"seconds": 0})
    assert one.curve == other.curve
    same_training(one, other)


def same_training(one: StoredRound, other: StoredRound) -> None:
    for name, mask in one.masks.items():
        assert mask.tobytes() == other.masks[name].tobytes()
    for network, reference in ((one.final, other.final), (one.best, other.best)):
        assert network.params.keys() == reference.params.keys()
        for name, array in network.params.items():
            assert array.tobytes() == reference.params[name].tobytes(), name


def same_run(one: RunFolder, other: RunFolder) -> None:
    first, second = rounds_of(one), rounds_of(other)
    assert first.keys() == second.keys()
    for key, item in first.items():
        same_numbers(item, second[key])
    told = [
        {(it.arm, it.trial, it.round): (it.key, it.similarity) for it in events_of(folder, RoundFinished)}
        for folder in (one, other)
    ]
    assert told[0] == told[1]


# What a run leaves


def test_the_json_is_as_promised(finished: RunFolder) -> None:
    shown = views.show_json(view_of(finished), "done")
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert list(shown) == ["run", "study", "status", "dataset", "arms"]
    assert (shown["run"], shown["study"]) == (finished.id, "tiny")
    assert shown["dataset"] == {"name": "digits", "train": 1294, "validation": 143, "test": 360}
    assert [arm["name"] for arm in shown["arms"]] == ARMS
    seeds = {"ticket": [1, 2], "one-shot": [1, 2], "reinit": [1001, 1002], "random-mask": [1001, 1002]}
    for arm in shown["arms"]:
        assert list(arm) == ["name", "trials"]
        assert [trial["seed"] for trial in arm["trials"]] == seeds[arm["name"]]
        for trial in arm["trials"]:
            assert list(trial) == ["seed", "rounds"]
            assert [item["round"] for item in trial["rounds"]] == [0, 1, 2, 3]
            for item in trial["rounds"]:
                a_round_is_as_promised(item)


def a_round_is_as_promised(item: dict[str, Any]) -> None:
    promised = (
        "round p_m survivors layers early_stop_iteration validation_loss validation_accuracy test_accuracy "
        "test_accuracy_end test_accuracy_pruned collapsed spearman signals magnitudes measures early_bird "
        "seconds key reused"
    )
    assert list(item) == promised.split()
    counts = {0: (19_200, 30_000, 1000), 1: (9600, 15_000, 750), 2: (4800, 7500, 562), 3: (2400, 3750, 422)}
    survivors = counts[item["round"]]
    assert list(item["layers"]) == list(item["spearman"]) == ["dense1", "dense2", "output"]
    assert [layer["survivors"] for layer in item["layers"].values()] == list(survivors)
    assert [layer["size"] for layer in item["layers"].values()] == [19_200, 30_000, 1000]
    assert item["survivors"] == sum(survivors)
    assert item["p_m"] == pytest.approx(100 * sum(survivors) / 50_200)
    assert item["early_stop_iteration"] in (15, 30, 40)
    assert item["validation_loss"] > 0
    assert 0.1 < item["test_accuracy"] <= 1
    assert 0.1 < item["test_accuracy_end"] <= 1
    assert 0.1 < item["validation_accuracy"] <= 1
    assert (item["collapsed"], item["early_bird"]) == (False, None)
    assert all(
        sum(item["magnitudes"][name]["end"]) == left for name, left in zip(item["layers"], survivors, strict=True)
    )
    assert item["seconds"] > 0
    values = list(item["spearman"].values())
    assert values == [None] * 3 if item["round"] == 0 else all(-1 <= value <= 1 for value in values)


def test_what_a_run_uses_is_told_beside_where_it_is(finished: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    use = finished.progress()[1].use  # type: ignore[index]
    assert use is not None
    assert 0 <= use.cpu <= use.cores + 0.5
    assert 50_000_000 < use.memory < use.memory_total
    assert (use.device_memory, use.device_memory_total) == (0, 0), "cores have no memory of their own"

    class Device:
        def memory_stats(self) -> dict[str, int]:
            return {"bytes_in_use": 3, "bytes_limit": 40, "num_allocs": 7}

    gpus = Machine("gpu", "a GPU", 2, "")
    monkeypatch.setattr("engine.training.devices.jax.devices", lambda: [Device(), Device()])
    monkeypatch.setattr(meter, "machine", lambda: gpus)
    told = meter.ResourceMonitor().read()
    assert (told.device_memory, told.device_memory_total) == (6, 80)


@pytest.mark.parametrize("trial", [0, 1])
def test_controls_have_the_tickets_masks_or_its_counts(finished: RunFolder, trial: int) -> None:
    for number in (1, 2, 3):
        ticket, once, fresh, random = (stored(finished, arm, trial, number) for arm in ARMS)
        for name, mask in ticket.masks.items():
            assert fresh.masks[name].tobytes() == mask.tobytes()
            assert random.masks[name].tobytes() != mask.tobytes()
        assert counts_of(random.masks) == counts_of(once.masks) == counts_of(ticket.masks)


def test_a_ticket_loses_its_smallest_weights_and_only_shrinks(finished: RunFolder) -> None:
    for number in (1, 2, 3):
        before, after = (stored(finished, "ticket", 0, it) for it in (number - 1, number))
        for name, mask in after.masks.items():
            size = np.abs(before.final.params[name])
            went = before.masks[name] & ~mask
            assert not (mask & ~before.masks[name]).any()
            assert size[went].max() <= size[mask].min()


def test_one_shot_prunes_the_dense_network_once(finished: RunFolder) -> None:
    dense = stored(finished, "one-shot", 0, 0)
    for number in (1, 2, 3):
        for name, mask in stored(finished, "one-shot", 0, number).masks.items():
            size = np.abs(dense.final.params[name])
            assert size[~mask].max() <= size[mask].min()


def test_equal_rounds_are_trained_once(finished: RunFolder) -> None:
    view = view_of(finished)
    dense = {arm.trials[0].rounds[0].key for arm in view.arms}
    assert len(dense) == 1
    assert view.arm("one-shot").trials[0].rounds[1].key == view.arm("ticket").trials[0].rounds[1].key
    assert (view.rounds_total, view.rounds_done, view.distinct) == (32, 32, 24)
    assert (view.trained, view.reused) == (24, 8)
    assert len({event.key for event in events_of(finished, RoundFinished) if not event.reused}) == 24


def test_dead_weights_are_zero_in_everything_that_is_kept(finished: RunFolder) -> None:
    for item in rounds_of(finished).values():
        for name, mask in item.masks.items():
            assert not item.final.params[name][~mask].any()
            assert not item.best.params[name][~mask].any()
        assert item.final.finite


def test_the_curve_and_the_early_stop_agree(finished: RunFolder) -> None:
    for key, item in rounds_of(finished).items():
        assert [point.iteration for point in item.curve] == [15, 30, 40]
        lowest = min(item.curve, key=lambda point: point.validation_loss)
        assert (item.result.early_stop_iteration, item.result.validation_loss) == (
            lowest.iteration,
            lowest.validation_loss,
        )
        assert finished.curve(key) == item.curve


def test_the_told_correlation_is_that_of_the_kept_weights(finished: RunFolder) -> None:
    rounds = view_of(finished).arm("ticket").trials[1].rounds
    before, now = (stored(finished, "ticket", 1, number) for number in (2, 3))
    both = before.masks["dense1/kernel"] & now.masks["dense1/kernel"]
    expected = spearmanr(*(abs(it.final.params["dense1/kernel"][both]) for it in (before, now))).statistic
    similarity = rounds[3].similarity["dense1"]
    assert similarity.alive == pytest.approx(expected)
    assert 0 < similarity.chance < similarity.jaccard + 1e-9


def test_global_scope_some_rounds_and_several_controls(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    asked = ("trials=1", "base.prune.scope=global", "arm.reinit.rounds=[3]", "arm.reinit.per_ticket=2")
    status, folder = execute(tiny(*asked, "arm.random-mask.train.batch=20"), new_home())
    assert status == "done"
    view = view_of(folder)
    assert [(trial.seed, list(trial.rounds)) for trial in view.arm("reinit").trials] == [(1001, [0, 3]), (2001, [0, 3])]
    assert view.arm("random-mask").trials[0].rounds[0].key != view.arm("ticket").trials[0].rounds[0].key
    ticket, once = (view.arm(name).trials[0].rounds for name in ("ticket", "one-shot"))
    assert [item.survivors for item in ticket.values()] == [50_200, 25_100, 12_550, 6275]
    assert [item.survivors for item in once.values()] == [50_200, 25_100, 12_550, 6275]
    assert ticket[3].result.layers["dense1"].survivors * 30_000 != ticket[3].result.layers["dense2"].survivors * 19_200
    first, second = (stored(folder, "reinit", trial, 3) for trial in (0, 1))
    same_masks = [first.masks[name].tobytes() == second.masks[name].tobytes() for name in first.masks]
    assert same_masks == [True] * 3
    assert (first.final.params["output/kernel"] != second.final.params["output/kernel"]).any()


# What a round starts from


class Spy(LaneBatch):
    """Keeps the lanes that were trained and the weights they started from."""

    seen: list[tuple[Any, Any]] = []

    def started(self) -> Any:
        weights = super().started()
        self.seen.extend(zip(self._lanes, weights, strict=False))
        return weights


def test_every_lane_starts_where_its_treatment_says_and_sees_no_validation_example(
    tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "LaneBatch", Spy)
    monkeypatch.setattr(Spy, "seen", [])
    _, folder = execute(tiny("trials=1", "base.prune.rounds=1"), new_home())
    numbers = {event.key: event.round for event in events_of(folder, RoundStarted)}
    keys, orders = list(numbers), dict[int, Any]()
    seeds = {
        stored(folder, arm, 0, number).key: 1001 if arm == "reinit" and number else 1
        for arm in ARMS
        for number in (0, 1)
    }
    split = datasets.split(datasets.load("digits", store_of(folder).home), 0)
    assert len(Spy.seen) == len(keys) == 4
    for key, (lane, weights) in zip(keys, Spy.seen, strict=True):
        named = initial_weights(build("lenet-300-100", (8, 8, 1), 10), seeds[key]).params
        kept = store_of(folder).rounds.read(key)
        assert kept is not None
        for name, array in named.items():
            survivors = np.where(kept.masks[name], array, 0) if name in kept.masks else array
            np.testing.assert_array_equal(weights.params[name], survivors)
        assert not np.isin(lane.order, split.validation).any()
        np.testing.assert_array_equal(lane.order, orders.setdefault(numbers[key], lane.order))
    assert (orders[0] != orders[1]).any(), "each round draws its own order, the same for all arms"


def test_test_data_choose_nothing(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = datasets.load
    monkeypatch.setattr(datasets, "load", lambda name, home: with_other_test_labels(load(name, home)))
    _, folder = execute(tiny(*QUICK), new_home())
    reference = rounds_of(finished)
    for key, item in rounds_of(folder).items():
        same_training(item, reference[key])
        assert item.curve == reference[key].curve
        assert item.result.early_stop_iteration == reference[key].result.early_stop_iteration
        assert item.result.test_accuracy != reference[key].result.test_accuracy


def with_other_test_labels(data: datasets.Dataset) -> datasets.Dataset:
    """The same data set with other test labels."""
    return replace(data, test_labels=np.roll(data.test_labels, 7))


# The same study again


def test_the_same_study_gives_the_same_bits_in_another_home(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute
) -> None:
    status, again = execute(tiny('name="same-in-other-words"', 'about="words"'), new_home())
    assert status == "done"
    same_run(again, finished)


def test_a_second_run_trains_nothing_and_says_so(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    home = new_home()
    _, first = execute(tiny(*QUICK), home)
    files = {path: path.stat().st_mtime_ns for path in (home / "rounds").rglob("*") if path.is_file()}
    _, second = execute(tiny(*QUICK), home)
    view = view_of(second)
    assert views.summary(view).startswith("done: nothing was trained, all 12 rounds were already stored")
    assert (view.trained, view.reused) == (0, 12)
    assert all(event.reused for event in events_of(second, RoundFinished))
    assert not events_of(second, RoundStarted)
    assert {path: path.stat().st_mtime_ns for path in (home / "rounds").rglob("*") if path.is_file()} == files
    same_run(first, second)


def test_a_longer_study_trains_only_what_is_new(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    home = new_home()
    execute(tiny(*QUICK), home)
    _, longer = execute(tiny("trials=1", 'name="longer"'), home)
    trained = {(event.arm, event.round) for event in events_of(longer, RoundFinished) if not event.reused}
    assert trained == {(arm, 3) for arm in ARMS}


@pytest.mark.parametrize("after", [0, 5])
def test_a_stopped_run_goes_on_where_it_was_with_the_same_bits(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute, after: int
) -> None:
    home, started = new_home(), []

    def stop(folder: RunFolder, event: Event) -> None:
        if isinstance(event, RoundStarted):
            started.append(event.key)
        if len(started) > after:
            folder.request(Request.STOP)

    status, cut = execute(tiny(), home, stop)
    assert status == view_of(cut).status == cut.status("stopped") == "stopped"
    kept = len(list((home / "rounds").rglob("*.safetensors")))
    assert kept < 24
    assert not events_of(cut, RunFinished)[0].message
    status, again = execute(tiny(), home)
    assert status == "done"
    assert view_of(again).trained == 24 - kept
    same_run(again, finished)


def test_a_paused_run_waits_and_goes_on_with_the_same_bits(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute
) -> None:
    def pause(folder: RunFolder, event: Event) -> None:
        if isinstance(event, RoundStarted) and event.round == 1:
            folder.request(Request.PAUSE)
        if isinstance(event, Paused):
            assert folder.requested() is Request.PAUSE
            folder.request(Request.RESUME)

    status, folder = execute(tiny(*QUICK), new_home(), pause)
    assert status == "done"
    assert len(events_of(folder, Paused)) == len(events_of(folder, Resumed)) > 0
    for key, item in rounds_of(folder).items():
        same_numbers(item, rounds_of(finished)[key])


def test_a_paused_run_can_be_stopped(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    def pause(folder: RunFolder, event: Event) -> None:
        if isinstance(event, RoundStarted | Paused):
            folder.request(Request.PAUSE if isinstance(event, RoundStarted) else Request.STOP)

    status, folder = execute(tiny(*QUICK), new_home(), pause)
    assert status == "stopped"
    assert not events_of(folder, Resumed)


def test_a_run_among_stored_rounds_pauses_stops_and_goes_on(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    home = new_home()
    execute(tiny(*QUICK), home)

    def ask(folder: RunFolder, event: Event) -> None:
        if isinstance(event, RoundFinished):
            folder.request(Request.STOP if events_of(folder, Resumed) else Request.PAUSE)
        elif isinstance(event, Paused):
            folder.request(Request.RESUME)

    status, cut = execute(tiny(*QUICK, 'name="again"'), home, ask)
    assert status == "stopped"
    assert events_of(cut, Resumed)
    told = len(events_of(cut, RoundFinished))
    status, whole = execute(tiny(*QUICK, 'name="again"'), home)
    assert status == "done"
    assert (view_of(whole).trained, view_of(whole).reused) == (0, 12)
    assert told < len(events_of(whole, RoundFinished))


def test_a_run_that_is_interrupted_is_marked_stopped(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    def interrupt(_: RunFolder, event: Event) -> None:
        if isinstance(event, RoundFinished):
            raise KeyboardInterrupt

    home = new_home()
    with pytest.raises(KeyboardInterrupt):
        execute(tiny(*QUICK), home, interrupt)
    assert Store(home).runs()[0].status == "stopped"


# Work for each round


LONG = """
name = "long"
trials = {trials}
[base.train]
iterations = 4
batch = 30
evaluate_every = 4
[base.prune]
rounds = {rounds}
rate = 0.2
[[arm]]
name = "ticket"
"""


@pytest.mark.parametrize(("trials", "rounds"), [(6, 11)])
def test_each_stored_round_is_read_once(
    new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch, trials: int, rounds: int
) -> None:
    reads: list[str] = []
    read = RoundStore.read

    def counted(store: RoundStore, key: str) -> StoredRound | None:
        reads.append(key)
        return read(store, key)

    monkeypatch.setattr(RoundStore, "read", counted)
    home, study = new_home(), parse_study(LONG.format(trials=trials, rounds=rounds), source="long.toml")
    assert execute(study, home)[0] == "done"
    assert reads == [], "what this run trained is in memory"
    assert execute(study, home)[0] == "done"
    assert len(reads) == len(set(reads)) == trials * (rounds + 1)


def test_recipes_are_made_for_arms_and_not_for_rounds(
    new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    recipe = Study.recipe

    def counted(study: Study, arm: Any) -> Any:
        made.append(arm.name)
        return recipe(study, arm)

    monkeypatch.setattr(Study, "recipe", counted)
    home, counts = new_home(), []
    for rounds in (1, 6):
        made.clear()
        assert execute(parse_study(LONG.format(trials=2, rounds=rounds), source="long.toml"), home)[0] == "done"
        counts.append(len(made))
    assert counts[0] == counts[1]


# Workers


def test_two_workers_give_the_rounds_of_one(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Trainer, "workers", lambda it: [LocalWorker(it.dataset, it.inputs, most_at_once=1) for _ in range(2)]
    )
    status, folder = execute(tiny(), new_home())
    assert status == "done"
    same_run(folder, finished)


def test_a_batch_of_a_worker_that_is_lost_is_trained_by_another(
    finished: RunFolder, tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mortal(LocalWorker):
        def train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
            raise WorkerLost("node 3 is down")

    monkeypatch.setattr(
        Trainer, "workers", lambda it: [kind(it.dataset, it.inputs, most_at_once=2) for kind in (Mortal, LocalWorker)]
    )
    status, folder = execute(tiny(*QUICK), new_home())
    assert status == "done"
    assert [note.text for note in events_of(folder, Note)] == [
        "a worker is gone: node 3 is down; its rounds are trained again"
    ]
    for key, item in rounds_of(folder).items():
        same_numbers(item, rounds_of(finished)[key])


def test_a_run_without_workers_fails(
    tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(LocalWorker):
        def train(self, batch: Batch, control: Control) -> list[TrainedRound] | None:
            raise WorkerLost("node 3 is down")

    monkeypatch.setattr(Trainer, "workers", lambda it: [Gone(it.dataset, it.inputs, most_at_once=2)])
    with pytest.raises(LabError, match=r"^no worker is left: node 3 is down$"):
        execute(tiny(*QUICK), new_home())


# What is broken


def test_no_round_stays_locked_when_the_run_stops_while_it_locks_others(
    tiny: Tiny, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take, bide = RoundLocks.take, RunSession._bide

    def fail(locks: RoundLocks, key: str, run: str) -> Holder | None:
        if taken:
            raise Unwritable("the disk is full")
        taken.append(key)
        return take(locks, key, run)

    def stop(session: RunSession, seconds: float) -> None:
        session._folder.request(Request.STOP)
        bide(session, seconds)

    monkeypatch.setattr(RoundLocks, "take", fail)
    monkeypatch.setattr(RunSession, "_bide", stop)
    store = Store(new_home())
    with store.create(tiny(*QUICK, "trials=2"), "r") as folder:
        assert run(folder, store) == "stopped"
        assert taken
        assert store.round_locks.holders() == {}


def fails(execute: Execute, study: Study, home: Path) -> tuple[InvariantViolated, RunFolder]:
    """The run ends with a broken guard, and says so in its store."""
    with pytest.raises(InvariantViolated) as caught:
        execute(study, home)
    store = Store(home)
    folder = store.open(store.runs()[0].id)
    (event,) = events_of(folder, InvariantFailed)
    (end,) = events_of(folder, RunFinished)
    assert (event.layer, event.round, event.law) == (caught.value.layer, caught.value.round, caught.value.invariant)
    assert (end.status, end.message) == ("failed", str(caught.value))
    assert store.runs()[0].status == view_of(folder).status == "failed"
    return caught.value, folder


def test_a_revived_bit_in_a_stored_mask_stops_the_run(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    home = new_home()
    _, folder = execute(tiny(*QUICK), home)
    item = stored(folder, "ticket", 0, 2)
    mask = item.masks["dense2/kernel"]
    mask.flat[np.flatnonzero(~mask)[0]] = True
    Store(home).rounds.write(item)
    error, _ = fails(execute, tiny(*QUICK), home)
    assert (error.layer, error.round) == ("dense2", 2)
    assert "7501 instead of 7500" in str(error)


def test_a_control_with_another_mask_stops_the_run(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    home = new_home()
    _, folder = execute(tiny(*QUICK), home)
    item, other = stored(folder, "reinit", 0, 2), stored(folder, "random-mask", 0, 2)
    Store(home).rounds.write(replace(other, key=item.key))
    error, _ = fails(execute, tiny(*QUICK), home)
    assert (error.layer, error.round) == ("dense1", 2)
    assert "a control has the ticket's mask" in str(error)


@pytest.mark.parametrize("part", ["final", "best", "moments"])
def test_a_pruned_weight_that_comes_back_in_training_stops_the_run(
    tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    class Leaking(LaneBatch):
        def finish(self, ended: Any = None) -> list[LaneResult]:
            tree = {"final": "params", "best": "best_params", "moments": "optimizer"}[part]
            states = self.states()
            for lane, state in enumerate(states):
                pruned = ~self._lanes[lane].masks["output/kernel"]
                for name, array in state.items():
                    if name.startswith(tree) and name.endswith("output/kernel"):
                        array[pruned] = 1e-20
            return super().finish(dict(enumerate(states)))

    monkeypatch.setattr(bench, "LaneBatch", Leaking)
    error, folder = fails(execute, tiny(*QUICK), new_home())
    assert (error.layer, error.round) == ("output", 1)
    assert ("optimizer moments" if part == "moments" else "weights") in error.invariant
    assert {event.round for event in events_of(folder, RoundFinished)} == {0}, "the broken round is not kept"


def test_a_lane_that_starts_from_other_weights_stops_the_run(
    tiny: Tiny, new_home: NewHome, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(LaneBatch):
        def started(self) -> Any:
            weights = super().started()
            weights[0].params["dense1/bias"][0] = 1e-9
            return weights

    monkeypatch.setattr(bench, "LaneBatch", Elsewhere)
    error, folder = fails(execute, tiny(*QUICK), new_home())
    assert (error.layer, error.round) == ("dense1", 0)
    assert not rounds_of(folder)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[9000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("arm", "number", "damage"),
    [("ticket", 0, cut_short), ("ticket", 1, flip_a_bit), ("ticket", 2, Path.unlink), ("reinit", 2, cut_short)],
)
def test_a_damaged_round_is_trained_again(
    finished: RunFolder,
    tiny: Tiny,
    new_home: NewHome,
    execute: Execute,
    arm: str,
    number: int,
    damage: Callable[[Path], None],
) -> None:
    home, whole = new_home(), stored(finished, arm, 0, number)
    shutil.copytree(store_of(finished).home / "rounds", home / "rounds")
    damage(Store(home).rounds.path(whole.key))
    status, again = execute(tiny(*QUICK), home)
    assert status == "done"
    assert {event.key for event in events_of(again, RoundFinished) if not event.reused} == {whole.key}
    same_numbers(rounds_of(again)[whole.key], whole)


# What is no number

WILD = ("trials=1", "base.train.optimizer=sgd", "base.train.learning_rate=100", "base.train.iterations=20")


def test_a_diverging_study_ends_with_gaps_and_no_crash(tiny: Tiny, new_home: NewHome, execute: Execute) -> None:
    status, folder = execute(tiny(*WILD), new_home())
    assert status == "done"
    view = view_of(folder)
    assert {event.round for event in events_of(folder, Diverged)} == {0}
    for arm in view.arms:
        assert list(arm.trials[0].rounds) == [0], "a diverged network cannot be pruned"
    dense = json.loads(json.dumps(views.show_json(view, "done"), allow_nan=False))["arms"][0]["trials"][0]["rounds"][0]
    assert dense["test_accuracy_end"] is None
    assert view.arms[0].trials[0].rounds[0].result.diverged
    assert folder.curve(dense["key"])[-1].train_loss is None
    assert [row[:2] for row in views.accuracy_table(view).rows] == [("0", "100.00")]
    status, again = execute(tiny(*WILD), store_of(folder).home)
    assert (status, view_of(again).trained) == ("done", 0)
