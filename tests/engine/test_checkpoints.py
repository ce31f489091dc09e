"""Checkpoints: believed only when whole, and all that a lane needs to go on bit for bit."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine import datasets
from engine.networks import Snapshot, build, initial_weights
from engine.pruning import masked
from engine.runner.checkpoints import CHECKPOINT_SHARE, CheckpointWriter
from engine.spec import Train
from engine.store import Checkpoint, CheckpointStore, CurvePoint, EarlyBird
from engine.store.tensors import Arrays
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Evaluation,
    Lane,
    LaneBatch,
    LaneState,
    Program,
    StepTimer,
    batch_order,
    learning_rates,
)
from engine.training import train as train_pack

KEY, OTHER = "ab" + "0" * 38, "cd" + "0" * 38
LENET, SHAPE = "lenet-300-100", (8, 8, 1)
NETWORK = build(LENET, SHAPE, 10)


def a_checkpoint(key: str = KEY) -> Checkpoint:
    """A small one with everything that there can be, and awkward numbers."""
    kernel = np.array([[1.5, -0.0, np.nan], [np.inf, 1e-45, 0.0]], np.float32)
    return Checkpoint(
        key=key,
        iteration=7,
        seconds=1 / 3,
        state={"iteration": np.array(7, np.int32), "params/dense1/kernel": kernel},
        ended={"iteration": np.array(5, np.int32), "params/dense1/kernel": -kernel},
        curve=[CurvePoint(iteration=5, train_loss=None, validation_loss=0.1, validation_accuracy=1 / 3)],
        snapshots={3: Snapshot({"dense1/kernel": 2 * kernel, "dense1/bias": kernel[0]}, {"norm/mean": kernel[1]})},
        early_bird=EarlyBird(iterations=(2, 5), distances=(0.1,), found=None),
        recent=[{"dense1/kernel": kernel > 0}, {"dense1/kernel": kernel < 0}],
    )


def same(one: Checkpoint, other: Checkpoint) -> None:
    for name in ("key", "iteration", "seconds", "curve", "early_bird"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.snapshots.keys() == other.snapshots.keys()
    pairs = [(one.state, other.state), (one.ended or {}, other.ended or {})]
    pairs += list(zip(one.recent, other.recent, strict=True))
    pairs += [(one.snapshots[at].params, other.snapshots[at].params) for at in one.snapshots]
    pairs += [(one.snapshots[at].state, other.snapshots[at].state) for at in one.snapshots]
    for arrays, others in pairs:
        assert arrays.keys() == others.keys()
        for name, array in arrays.items():
            assert (array.shape, array.dtype) == (others[name].shape, others[name].dtype), name
            assert array.tobytes() == others[name].tobytes(), name


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


@pytest.mark.parametrize("what", [a_checkpoint(), replace(a_checkpoint(), ended=None, early_bird=None, recent=[])])
def test_a_checkpoint_reads_back_bit_for_bit(store: CheckpointStore, what: Checkpoint) -> None:
    assert store.read(KEY) is None
    store.write(replace(what, iteration=6))
    store.write(what)
    found = store.read(KEY)
    assert found is not None
    same(found, what)
    store.remove(KEY)
    store.remove(KEY)
    assert store.read(KEY) is None


def cut(path: Path, _: CheckpointStore) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def emptied(path: Path, _: CheckpointStore) -> None:
    path.write_bytes(b"")


def of_another_round(path: Path, store: CheckpointStore) -> None:
    store.write(a_checkpoint(OTHER))
    store.path(OTHER).replace(path)


@pytest.mark.parametrize("damage", [cut, emptied, of_another_round])
def test_what_cannot_be_believed_is_none_and_goes(
    store: CheckpointStore, damage: Callable[[Path, CheckpointStore], None]
) -> None:
    store.write(a_checkpoint())
    damage(store.path(KEY), store)
    assert store.read(KEY) is None
    assert not store.path(KEY).exists()


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(store: CheckpointStore) -> None:
    store.write(a_checkpoint())
    path = store.path(KEY)
    whole = path.read_bytes()
    noticed = 0
    places = np.linspace(0, len(whole) - 1, 150).astype(int)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = store.read(KEY)
        if found is None:
            noticed += 1
            assert not path.exists()
        else:
            same(found, a_checkpoint())
    assert noticed > 0.95 * len(places), "hardly any byte of the file is padding"


def test_what_goes_wrong_while_writing_is_told_when_asked(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: CheckpointStore, __: Checkpoint) -> None:
        raise OSError(28, "No space left on device")

    with CheckpointWriter(store) as saving:
        saving.save(lambda: [a_checkpoint(), a_checkpoint(OTHER)])
        saving.flush()
        assert store.read(KEY) is not None
        assert store.read(OTHER) is not None
        monkeypatch.setattr(CheckpointStore, "write", full)
        saving.save(lambda: [a_checkpoint()])
        with pytest.raises(OSError, match="No space"):
            saving.flush()


class Clock:
    """A clock that only work and training move."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("copying", "writing"), [(0.0, 0.0), (0.5, 1.0), (4.0, 8.0), (0.0, 300.0)])
def test_checkpoints_take_three_percent_of_the_time(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, copying: float, writing: float
) -> None:
    clock, spent, begun = Clock(), [0.0], Clock.now

    def work(seconds: float) -> None:
        clock.now += seconds
        spent[0] += seconds

    monkeypatch.setattr(CheckpointStore, "write", lambda *_: work(writing))
    written: list[float] = []
    for _ in range(5):  # batches of lanes, which learn from those before
        with CheckpointWriter(store, clock) as saving:
            for _ in range(4000):
                clock.now += 10.0
                if saving.due():
                    written.append(clock.now)
                    saving.save(lambda: work(copying) or [a_checkpoint()])  # type: ignore[func-returns-value]
                    saving.flush()
    # The first is written before its cost is known.
    assert spent[0] - copying - writing <= CHECKPOINT_SHARE * (clock.now - begun)
    assert len(written) > 10, "but they are written"
    gaps = [later - before for before, later in pairwise(written)]
    assert min(gaps) >= 60
    assert store.seconds == pytest.approx(copying + writing)


def test_a_short_round_is_not_held_up_by_a_checkpoint_before_its_test(store: CheckpointStore) -> None:
    clock = Clock()
    with CheckpointWriter(store, clock) as saving:
        clock.now += 4.9
        assert not saving.due_at_end()
        clock.now += 0.2
        assert saving.due_at_end()
        store.seconds = 1.0
        assert not saving.due_at_end()
        clock.now += 1.0 / CHECKPOINT_SHARE
        assert saving.due_at_end()


# Lanes


@pytest.fixture(scope="module")
def data(jax_ready: None, tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    return datasets.load("digits", tmp_path_factory.mktemp("home"))


def lane_of(train: Train, seed: int, data: datasets.Dataset) -> Lane:
    """A lane with two of three weights alive."""
    split = datasets.split(data, 0)
    masks = {layer.parameter: np.arange(layer.size).reshape(layer.shape) % 3 > 0 for layer in NETWORK.layers}
    start = initial_weights(NETWORK, seed)
    return Lane(
        start=Snapshot(masked(start.params, masks), start.state),
        masks=masks,
        order=batch_order(split.train, train.batch, train.iterations, seed),
        rates=learning_rates(train),
        validation=split.validation,
        mean=datasets.statistics(data.train_images, split.train)[0],
        std=datasets.statistics(data.train_images, split.train)[1],
        seed=seed,
    )


def pack_of(train: Train, lanes: list[Lane], data: datasets.Dataset) -> LaneBatch:
    on_devices = DataOnDevices.put(1, (data.train_images, data.train_labels), (data.test_images, data.test_labels))
    return LaneBatch(Program.of(LENET, SHAPE, 10, train), lanes, on_devices, len(lanes))


Gone = tuple[list[list[Evaluation]], dict[int, list[LaneState]]]


def gone(pack: LaneBatch, *, keep: bool = False) -> Gone:
    """The readings of a pack trained to its end in calls of a few steps, and its states after each where asked for."""
    curves: list[list[Evaluation]] = [[] for _ in range(pack.count)]
    states: dict[int, list[LaneState]] = {}

    def between(iteration: int, readings: list[list[Evaluation]], kept: DeviceSnapshot | None) -> bool:
        for curve, new in zip(curves, readings, strict=True):
            curve.extend(new)
        if kept is not None:
            states[iteration] = kept.states()
        return True

    assert train_pack(pack, StepTimer(0.03), between, due=lambda: keep)
    return curves, states


def same_arrays(one: Arrays, other: Arrays) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_lane_goes_on_from_any_iteration_bit_for_bit(data: datasets.Dataset, optimizer: str) -> None:
    train = Train(iterations=25, batch=20, evaluate_every=10, learning_rate=1e-3, dropout=0.2, optimizer=optimizer)  # type: ignore[arg-type]
    lanes = [lane_of(train, 1, data), lane_of(train, 2, data)]
    whole = pack_of(train, lanes, data)
    curves, states = gone(whole, keep=True)
    ends = whole.finish()
    assert {6, 10, 25} <= states.keys()
    assert whole.states()[0].keys() == states[6][0].keys() >= {"iteration", "loss_sum", "best_loss", "best_iteration"}
    for iteration, kept in states.items():
        again = pack_of(train, lanes, data)
        again.restore(kept)
        assert again.iteration == iteration
        rest, _ = gone(again)
        for lane, end in enumerate(again.finish()):
            assert rest[lane] == [reading for reading in curves[lane] if reading.iteration > iteration]
            same_arrays(end.final.params, ends[lane].final.params)
            same_arrays(end.best.params, ends[lane].best.params)
            same_arrays(again.states()[lane], states[25][lane])
            assert (end.best_loss, end.best_iteration) == (ends[lane].best_loss, ends[lane].best_iteration)
            assert (end.test_accuracy, end.test_accuracy_end) == (
                ends[lane].test_accuracy,
                ends[lane].test_accuracy_end,
            )


def test_lanes_that_ended_before_the_others_leave_what_they_were_then(data: datasets.Dataset) -> None:
    train = Train(iterations=25, batch=20, evaluate_every=10)
    lanes = [lane_of(train, 1, data), lane_of(train, 2, data)]
    pack = pack_of(train, lanes, data)
    _, states = gone(pack, keep=True)
    first, second = pack.finish({0: states[6][0]})
    for name, array in first.final.params.items():
        assert array.tobytes() == states[6][0][f"params/{name}"].tobytes()
        assert second.final.params[name].tobytes() == states[25][1][f"params/{name}"].tobytes()
    assert first.best_iteration == 0


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(data: datasets.Dataset) -> None:
    train = Train(iterations=25, batch=20, evaluate_every=10)
    lanes = [lane_of(train, 1, data), lane_of(train, 2, data)]
    pack = pack_of(train, lanes, data)
    _, states = gone(pack_of(train, lanes, data), keep=True)
    first, second = states[10]
    late = {**first, "iteration": np.array(26, np.int32)}
    for wrong in (
        [first, states[6][1]],
        [late, {**second, "iteration": np.array(26, np.int32)}],
        [first, {name: array for name, array in second.items() if name != "loss_sum"}],
        [first, {**second, "loss_sum": np.float64(second["loss_sum"])}],
        [first, {**second, "params/output/bias": np.zeros(11, np.float32)}],
    ):
        with pytest.raises(ValueError, match="lane"):
            pack.restore(wrong)
    assert pack.iteration == 0
    same_arrays(pack.started()[0].params, lanes[0].start.params)
