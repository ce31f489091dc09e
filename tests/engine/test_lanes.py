"""Lanes: one is a plain NumPy loop, many are each as if alone, and no way of dividing the work changes a bit."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine import datasets, registry
from engine.networks import HostArrays, Snapshot, build, init_key, initial_weights
from engine.pruning import Masks, invariants, masked
from engine.rng import permutation
from engine.spec import Train
from engine.training import (
    DataOnDevices,
    DeviceSnapshot,
    Evaluation,
    Lane,
    LaneBatch,
    LaneResult,
    LaneState,
    Program,
    batch_order,
    learning_rates,
    machine,
)
from engine.training import lanes as lanes_module
from engine.training import step as step_module
from engine.training.program import optimizer_of
from engine.training.step import crops_and_flips, step_keys

pytestmark = pytest.mark.usefixtures("jax_ready")

LENET, SHAPE = "lenet-300-100", (8, 8, 1)
NETWORK = build(LENET, SHAPE, 10)
ADAM = Train(iterations=64, batch=10, learning_rate=3e-3, evaluate_every=15)
SGD = Train(
    iterations=64,
    batch=10,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.8,
    evaluate_every=15,
    schedule="step",
    milestones=(35, 50),
    decay=0.2,
    warmup=20,
)

DECAYED = SGD.model_copy(update={"batch": 4, "weight_decay": 0.05})
NESTEROV = Train(
    iterations=64,
    batch=10,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.8,
    nesterov=True,
    weight_decay=0.01,
    evaluate_every=15,
    schedule="cosine",
)


@dataclass(frozen=True, eq=False)
class Digits:
    data: datasets.Dataset
    split: datasets.Split

    def on(self, devices: int) -> DataOnDevices:
        data = self.data
        train, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
        return DataOnDevices.put(devices, train, test)

    def lane(self, train: Train, seed: int, *, alive: float = 1.0) -> Lane:
        """A lane of its own seed with `alive` of each layer's weights."""
        masks = {
            layer.parameter: (permutation(layer.size, seed, depth) < alive * layer.size).reshape(layer.shape)
            for depth, layer in enumerate(NETWORK.layers)
        }
        return Lane(
            start=Snapshot(masked(initial_weights(NETWORK, seed).params, masks)),
            masks=masks,
            order=batch_order(self.split.train, train.batch, train.iterations, seed),
            rates=learning_rates(train),
            validation=self.split.validation,
            mean=datasets.statistics(self.data.train_images, self.split.train)[0],
            std=datasets.statistics(self.data.train_images, self.split.train)[1],
        )


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    data = datasets.load("digits", tmp_path_factory.mktemp("home"))
    return Digits(data, datasets.split(data, 0))


@pytest.fixture
def two_devices(jax_ready: None) -> None:
    if machine().devices < 2:
        pytest.skip("one device only")


def program_of(train: Train) -> Program:
    return Program.of(LENET, SHAPE, 10, train)


@dataclass(frozen=True, eq=False)
class Trained:
    """A lane at its end, its curve, and all that training had changed in it."""

    end: LaneResult
    curve: list[Evaluation]
    state: LaneState


def trained(
    train: Train, lanes: list[Lane], data: DataOnDevices, width: int, calls: list[int] | None = None
) -> list[Trained]:
    """Lanes trained to their end in one batch; `calls` gets where each call ended."""
    curves: list[list[Evaluation]] = [[] for _ in lanes]

    def between(iteration: int, readings: list[list[Evaluation]], _: DeviceSnapshot | None) -> bool:
        if calls is not None:
            calls.append(iteration)
        for curve, new in zip(curves, readings, strict=True):
            curve.extend(new)
        return True

    batch = LaneBatch(program_of(train), lanes, data, width)
    assert lanes_module.train(batch, lanes_module.StepTimer(1.0), between)
    states = batch.states()
    return [Trained(*each) for each in zip(batch.finish(), curves, states, strict=True)]


def same_bits(one: Trained, other: Trained) -> None:
    assert one.curve == other.curve
    same_arrays(one.state, other.state)
    for first, second in zip(networks(one.end), networks(other.end), strict=True):
        same_arrays(first, second)
    assert (one.end.best_loss, one.end.best_iteration) == (other.end.best_loss, other.end.best_iteration)
    assert one.end.test_accuracy == other.end.test_accuracy
    assert one.end.test_accuracy_end == other.end.test_accuracy_end


def networks(end: LaneResult) -> list[HostArrays]:
    return [end.final.params, end.final.state, end.best.params, end.best.state]


def same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def close(found: HostArrays, expected: dict[str, np.ndarray], tolerance: float) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance, err_msg=name)


def moments_of(state: LaneState) -> list[HostArrays]:
    """The optimizer's moments in the order of their names: Adam's mu and nu, or sgd's trace."""
    found: dict[str, HostArrays] = {}
    for path, array in state.items():
        kind, _, name = path.removeprefix("optimizer/").partition("/")
        if path.startswith("optimizer/") and name:
            found.setdefault(kind, {})[name] = array
    return [found[kind] for kind in sorted(found)]


# The plain loop


class Plain:
    """The same training in plain NumPy, in double precision: nothing of the engine's but its inputs."""

    NAMES = ("dense1", "dense2", "output")

    def __init__(self, train: Train, lane: Lane, data: datasets.Dataset):
        self.train, self.lane, self.data = train, lane, data
        self.weights = self.double(lane.start)
        self.best, self.best_loss, self.best_iteration = self.double(lane.start), np.inf, 0
        self.moments = [self.zeros(), self.zeros()] if train.optimizer == "adam" else [self.zeros()]
        self.iteration = 0
        self.losses: list[float] = []
        self.nearest_kink = np.inf

    @staticmethod
    def double(snapshot: Snapshot) -> dict[str, np.ndarray]:
        return {name: np.array(array, np.float64) for name, array in snapshot.params.items()}

    def zeros(self) -> dict[str, np.ndarray]:
        return {name: np.zeros(array.shape) for name, array in self.weights.items()}

    def pixels(self, images: np.ndarray) -> np.ndarray:
        return ((images / 255 - np.float64(self.lane.mean)) / np.float64(self.lane.std)).reshape(len(images), -1)

    def layers(self, weights: dict, images: np.ndarray) -> list[np.ndarray]:
        """The inputs of each layer, and then the logits."""
        values = [self.pixels(images)]
        for name in self.NAMES:
            out = values[-1] @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
            values.append(out if name == "output" else np.maximum(out, 0))
        return values

    def measured(self, weights: dict, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Mean cross-entropy and accuracy."""
        logits = self.layers(weights, images)[-1]
        shifted = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())

    def gradients(self, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        values = self.layers(self.weights, images)
        for name, inputs in zip(self.NAMES[:2], values, strict=False):
            before = np.abs(inputs @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"])
            self.nearest_kink = min(self.nearest_kink, before[before > 0].min())
        odds = np.exp(values[-1] - values[-1].max(axis=1, keepdims=True))
        back = odds / odds.sum(axis=1, keepdims=True)
        back[np.arange(len(labels)), labels] -= 1
        back /= len(labels)
        found = {}
        for name, before in reversed(list(zip(self.NAMES, values[:-1], strict=True))):
            kernel = f"{name}/kernel"
            found[kernel], found[f"{name}/bias"] = self.lane.masks[kernel] * (before.T @ back), back.sum(axis=0)
            back = (back @ self.weights[kernel].T) * (before > 0)
        return found

    def rate(self) -> float:
        """Of the step that comes next."""
        train, done = self.train, self.iteration
        rate = train.learning_rate * train.decay ** sum(done >= milestone for milestone in train.milestones)
        if train.schedule == "cosine":
            rate *= 0.5 * (1 + np.cos(np.pi * done / train.iterations))
        return rate * min(1.0, (done + 1) / train.warmup) if train.warmup else rate

    def step(self) -> None:
        train, rows = self.train, self.lane.order[self.iteration]
        images, labels = self.data.train_images[rows], self.data.train_labels[rows]
        self.losses.append(self.measured(self.weights, images, labels)[0])
        gradients, rate, count = self.gradients(images, labels), self.rate(), self.iteration + 1
        for name, weights in self.weights.items():
            gradient = gradients[name] + train.weight_decay * weights
            if train.optimizer == "adam":
                first, second = (moment[name] for moment in self.moments)
                first[:] = 0.9 * first + 0.1 * gradient
                second[:] = 0.999 * second + 0.001 * gradient**2
                weights -= rate * (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
            else:
                trace = self.moments[0][name]
                trace[:] = train.momentum * trace + gradient
                weights -= rate * (gradient + train.momentum * trace if train.nesterov else trace)
        self.iteration += 1

    def validate(self) -> Evaluation:
        rows = self.lane.validation
        loss, accuracy = self.measured(self.weights, self.data.train_images[rows], self.data.train_labels[rows])
        reading = Evaluation(self.iteration, float(np.mean(self.losses)), loss, accuracy)
        self.losses = []
        if loss < self.best_loss:
            self.best = {name: array.copy() for name, array in self.weights.items()}
            self.best_loss, self.best_iteration = loss, self.iteration
        return reading

    def tested(self, weights: dict) -> float:
        return self.measured(weights, self.data.test_images, self.data.test_labels)[1]


@pytest.mark.parametrize(
    ("train", "alive", "seed", "tolerance"),
    [
        (ADAM, 1.0, 1, 1e-4),
        (ADAM.model_copy(update={"batch": 4}), 0.1, 13, 1e-4),
        (SGD, 1.0, 6, 2e-6),
        (SGD, 0.3, 33, 2e-6),
        (DECAYED, 0.3, 7, 2e-6),
        (NESTEROV, 0.3, 41, 2e-6),
    ],
    ids=["adam dense", "adam sparse", "sgd dense", "sgd sparse", "sgd weight decay", "sgd nesterov cosine"],
)
def test_a_lane_is_a_plain_loop_step_for_step(
    digits: Digits, train: Train, alive: float, seed: int, tolerance: float
) -> None:
    lane = digits.lane(train, seed, alive=alive)
    plain, batch = Plain(train, lane, digits.data), LaneBatch(program_of(train), [lane], digits.on(1), 1)
    for number in range(1, train.iterations + 1):
        ends = number % train.evaluate_every == 0 or number == train.iterations
        (readings,) = batch.dispatch(1, 1, ends).wait()
        plain.step()
        close(batch.started()[0].params, plain.weights, tolerance)
        if ends:
            same_readings(readings, [plain.validate()], tolerance)
    assert plain.nearest_kink > 5e-6, "these seeds take every ReLU's branch alike in single and double precision"
    moments = moments_of(batch.states()[0])
    assert len(moments) == len(plain.moments)
    for found, expected in zip(moments, plain.moments, strict=True):
        close(found, expected, tolerance)
    same_end(batch.finish()[0], plain, tolerance)


def same_readings(found: list[Evaluation], expected: list[Evaluation], tolerance: float) -> None:
    assert [it.iteration for it in found] == [it.iteration for it in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=10 * tolerance)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=10 * tolerance)
        assert one.validation_accuracy == pytest.approx(other.validation_accuracy, abs=1e-6)


def same_end(end: LaneResult, plain: Plain, tolerance: float) -> None:
    assert end.best_iteration == plain.best_iteration
    assert end.best_loss == pytest.approx(plain.best_loss, abs=10 * tolerance)
    close(end.final.params, plain.weights, tolerance)
    close(end.best.params, plain.best, tolerance)
    same_masks(end, plain.lane.masks)
    assert end.test_accuracy == pytest.approx(plain.tested(plain.best), abs=1e-6)
    assert end.test_accuracy_end == pytest.approx(plain.tested(plain.weights), abs=1e-6)


def same_masks(end: LaneResult, masks: Masks) -> None:
    """The masks came back as they went, and hold in weights and moments."""
    assert end.masks.keys() == masks.keys()
    for name, mask in masks.items():
        assert end.masks[name].dtype == np.bool_
        np.testing.assert_array_equal(end.masks[name], mask)
    invariants.all_pruned_zero("weights", (end.final.params, end.best.params), masks, 1)
    kinds = ("weights", "optimizer moments")
    assert end.nonzero_pruned == {f"{kind} {name}": 0 for kind in kinds for name in masks}


def test_measuring_in_blocks_counts_every_example_once(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    train = Train(iterations=1, batch=3, learning_rate=1e-3)
    monkeypatch.setattr(step_module, "EVALUATION_BLOCK", 50)
    lane = digits.lane(train, 1)
    batch, plain = LaneBatch(program_of(train), [lane], digits.on(1), 1), Plain(train, lane, digits.data)
    (readings,) = batch.dispatch(1, 1, True).wait()
    plain.step()
    same_readings(readings, [plain.validate()], 1e-6)
    assert batch.finish()[0].test_accuracy == pytest.approx(plain.tested(plain.best), abs=1e-6)


def test_the_best_weights_are_those_of_the_lowest_validation_loss_and_not_the_last(digits: Digits) -> None:
    lane = digits.lane(ADAM, 3)
    late = np.arange(ADAM.iterations) >= 45
    (found,) = trained(ADAM, [replace(lane, rates=np.where(late, np.float32(1), lane.rates))], digits.on(1), 1)
    end, curve = found.end, found.curve
    lowest = min(curve, key=lambda reading: reading.validation_loss)
    assert (end.best_iteration, end.best_loss) == (lowest.iteration, lowest.validation_loss)
    assert end.best_iteration <= 45
    assert (end.best.params["output/kernel"] != end.final.params["output/kernel"]).mean() > 0.9


# Lanes beside each other

SHORT = Train(iterations=45, batch=20, learning_rate=2e-3, evaluate_every=10)


def test_two_lanes_are_bit_for_bit_what_each_is_alone(digits: Digits, two_devices: None) -> None:
    lanes = [digits.lane(SHORT, 1, alive=0.5), digits.lane(SHORT, 2)]
    together = trained(SHORT, lanes, digits.on(2), 2)
    alone = [trained(SHORT, [lane], digits.on(1), 1)[0] for lane in lanes]
    for one, other in zip(together, alone, strict=True):
        same_bits(one, other)


def test_learning_rates_are_values_of_a_lane(digits: Digits, two_devices: None) -> None:
    slow = SHORT.model_copy(update={"learning_rate": 1e-4, "warmup": 10})
    assert program_of(slow) == program_of(SHORT)
    lanes = [digits.lane(train, 1) for train in (SHORT, slow)]
    fast, other = trained(SHORT, lanes, digits.on(2), 2)
    same_bits(other, trained(slow, [lanes[1]], digits.on(1), 1)[0])
    assert (fast.end.final.params["output/kernel"] != other.end.final.params["output/kernel"]).mean() > 0.9


def test_several_lanes_on_a_device_train_as_each_does_alone(digits: Digits, two_devices: None) -> None:
    train = Train(iterations=25, batch=20, optimizer="sgd", learning_rate=0.05, evaluate_every=10)
    lanes = [digits.lane(train, seed, alive=0.4) for seed in (1, 2, 3)]
    many = trained(train, lanes, digits.on(2), 4)
    assert len(many) == 3
    for lane, one in zip(lanes, many, strict=True):
        (alone,) = trained(train, [lane], digits.on(1), 1)
        same_masks(one.end, lane.masks)
        alike(one, alone, 1e-5)


def alike(one: Trained, other: Trained, tolerance: float) -> None:
    """Two trainings of a lane are the same to rounding."""
    same_readings(one.curve, other.curve, tolerance)
    close(one.end.final.params, other.end.final.params, tolerance)
    close(one.end.best.params, other.end.best.params, tolerance)
    close(one.state, {name: it for name, it in other.state.items() if name.startswith("optimizer/")}, tolerance)
    assert one.end.best_iteration == other.end.best_iteration
    assert one.end.test_accuracy_end == pytest.approx(other.end.test_accuracy_end, abs=1 / 360 + 1e-6)


@pytest.mark.parametrize("wrong", [(0, 2), (3, 2)])
def test_a_batch_takes_no_more_lanes_than_its_width(digits: Digits, wrong: tuple[int, int]) -> None:
    count, width = wrong
    with pytest.raises(ValueError, match=f"{count} lanes do not make a batch of {width}"):
        LaneBatch(program_of(SHORT), [digits.lane(SHORT, 1)] * count, digits.on(1), width)


def test_how_the_work_is_divided_changes_no_bit(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    lane, ends, divisions = digits.lane(SHORT, 1, alive=0.5), [], []
    for seconds in (1e9, 7.0, 0.0):
        monkeypatch.setattr(lanes_module, "CHUNK_SECONDS", seconds)
        calls: list[int] = []
        ends.extend(trained(SHORT, [lane], digits.on(1), 1, calls))
        divisions.append(calls)
    assert divisions[0] == [40, 45]
    assert divisions[1][:2] == [7, 10]
    assert divisions[2] == list(range(1, 46))
    same_bits(ends[0], ends[1])
    same_bits(ends[0], ends[2])
    assert [reading.iteration for reading in ends[0].curve] == [10, 20, 30, 40, 45]


def test_training_ends_where_it_is_told_to(digits: Digits) -> None:
    batch = LaneBatch(program_of(SHORT), [digits.lane(SHORT, 1)], digits.on(1), 1)
    seen: list[int] = []

    def between(iteration: int, _: list[list[Evaluation]], __: DeviceSnapshot | None) -> bool:
        seen.append(iteration)
        return iteration < 10

    assert not lanes_module.train(batch, lanes_module.StepTimer(), between)
    assert seen == sorted(set(seen))
    assert seen[-1] < SHORT.iterations


# Units left out

DROPOUT = SHORT.model_copy(update={"dropout": 0.5})


def test_dropout_is_in_training_alone(digits: Digits) -> None:
    """Each reading is that of the whole network with the weights of then, so are both tests at the end."""
    lane = digits.lane(DROPOUT, 1, alive=0.5)
    batch, plain = LaneBatch(program_of(DROPOUT), [lane], digits.on(1), 1), Plain(SHORT, lane, digits.data)
    for steps in (10, 10, 10, 10, 5):
        ((reading,),) = batch.dispatch(1, steps, True).wait()
        weights, rows = Plain.double(batch.started()[0]), lane.validation
        whole = plain.measured(weights, digits.data.train_images[rows], digits.data.train_labels[rows])
        assert (reading.validation_loss, reading.validation_accuracy) == pytest.approx(whole, abs=1e-5)
    (end,) = batch.finish()
    assert end.test_accuracy == pytest.approx(plain.tested(Plain.double(end.best)), abs=1e-6)
    assert end.test_accuracy_end == pytest.approx(plain.tested(Plain.double(end.final)), abs=1e-6)
    same_masks(end, lane.masks)


def test_dropout_makes_another_training_of_every_seed(digits: Digits) -> None:
    lane = digits.lane(SHORT, 1, alive=0.5)
    ends = [trained(SHORT, [lane], digits.on(1), 1)[0].end]
    ends += [trained(DROPOUT, [replace(lane, seed=seed)], digits.on(1), 1)[0].end for seed in (1, 2)]
    for place, one in enumerate(ends):
        same_masks(one, lane.masks)
        for other in ends[:place]:
            alive = lane.masks["dense2/kernel"]
            assert (one.final.params["dense2/kernel"] != other.final.params["dense2/kernel"])[alive].mean() > 0.9


def test_how_dropout_is_divided_into_calls_changes_no_bit(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    lane, ends = replace(digits.lane(DROPOUT, 1, alive=0.5), seed=7), []
    for seconds in (1e9, 7.0, 0.0):
        monkeypatch.setattr(lanes_module, "CHUNK_SECONDS", seconds)
        ends.extend(trained(DROPOUT, [lane], digits.on(1), 1))
    same_bits(ends[0], ends[1])
    same_bits(ends[0], ends[2])


def test_lanes_with_dropout_beside_each_other_are_what_each_is_alone(digits: Digits, two_devices: None) -> None:
    lanes = [replace(digits.lane(DROPOUT, seed), seed=seed) for seed in (1, 2)]
    for lane, together in zip(lanes, trained(DROPOUT, lanes, digits.on(2), 2), strict=True):
        same_bits(together, trained(DROPOUT, [lane], digits.on(1), 1)[0])


# Crops and flips

AUGMENTED = SHORT.model_copy(update={"augment": True})


def test_crops_and_flips_are_parts_of_the_image_on_black() -> None:
    images = np.random.default_rng(0).integers(1, 256, (400, 6, 5, 3), np.uint8)
    found = np.asarray(crops_and_flips(jnp.asarray(images), jax.random.key(3)))
    around = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    seen: set[tuple[int, int, bool]] = set()
    for image, shown in zip(around, found, strict=True):
        fits = [
            (down, right, flip)
            for down in range(9)
            for right in range(9)
            for flip in (False, True)
            if np.array_equal(image[down : down + 6, right : right + 5][:, :: -1 if flip else 1], shown)
        ]
        assert fits
        seen.update(fits[:1])
    assert {flip for _, _, flip in seen} == {False, True}
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == set(range(9))


def test_crops_are_in_training_alone_and_of_the_lane_and_iteration(
    digits: Digits, two_devices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = [replace(digits.lane(AUGMENTED, 1, alive=0.5), seed=seed) for seed in (1, 2)]
    plain = Plain(SHORT, lanes[0], digits.data)
    one, other = trained(AUGMENTED, lanes, digits.on(2), 2)
    whole = trained(SHORT, lanes[:1], digits.on(1), 1)[0]
    alive, kernel = lanes[0].masks["dense2/kernel"], one.end.final.params["dense2/kernel"]
    for each in (other, whole):
        assert (kernel != each.end.final.params["dense2/kernel"])[alive].mean() > 0.9
    assert one.end.test_accuracy_end == pytest.approx(plain.tested(Plain.double(one.end.final)), abs=1e-6)
    monkeypatch.setattr(lanes_module, "CHUNK_SECONDS", 0.0)
    same_bits(one, trained(AUGMENTED, lanes[:1], digits.on(1), 1)[0])


# Weights held


def test_every_step_ends_within_the_bounds_and_else_is_a_plain_step(digits: Digits) -> None:
    """A lane whose bounds nothing reaches is a free one; one with tight bounds is at them."""
    train = SHORT.model_copy(update={"clamp": 1.0})
    lane = digits.lane(train, 1, alive=0.5)
    far = {name: np.full(mask.shape, 1e9, np.float32) for name, mask in lane.masks.items()}
    near = {
        name: (permutation(mask.size, 5, 1) / mask.size * 0.02).reshape(mask.shape) for name, mask in lane.masks.items()
    }
    near = {name: bound.astype(np.float32) for name, bound in near.items()}
    same_bits(
        trained(train, [replace(lane, bounds=far)], digits.on(1), 1)[0], trained(SHORT, [lane], digits.on(1), 1)[0]
    )
    batch = LaneBatch(program_of(train), [replace(lane, bounds=near)], digits.on(1), 1)
    for _ in range(5):
        batch.dispatch(1, 1, False).wait()
        params = batch.started()[0].params
        assert all((np.abs(params[name]) <= bound).all() for name, bound in near.items())
    same_masks(batch.finish()[0], lane.masks)


# Rewinding


def test_a_lane_from_a_rewind_point_continues_the_training_that_it_rewinds_to(digits: Digits) -> None:
    """Without momentum and pruning the rest of the round is bit for bit that of the dense network, crops and dropout
    included; without `first` it is another one."""
    train = SHORT.model_copy(
        update={"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.05, "augment": True, "dropout": 0.3}
    )
    point, dense = 20, replace(digits.lane(train, 1), seed=5)
    batch, kept = LaneBatch(program_of(train), [dense], digits.on(1), 1), []

    def between(iteration: int, _: list[list[Evaluation]], snapshot: DeviceSnapshot | None) -> bool:
        kept.extend(snapshot.snapshots() if snapshot is not None else [])
        return True

    assert lanes_module.train(batch, lanes_module.StepTimer(1.0), between, frozenset({point}))
    (end,), (start,) = batch.finish(), kept
    rest = replace(dense, start=start, order=dense.order[point:], rates=dense.rates[point:], first=point)
    (continued,) = trained(train, [rest], digits.on(1), 1)
    same_arrays(continued.end.final.params, end.final.params)
    assert [reading.iteration for reading in continued.curve] == [10, 20, 25]
    (restarted,) = trained(train, [replace(rest, first=0)], digits.on(1), 1)
    assert (restarted.end.final.params["output/kernel"] != end.final.params["output/kernel"]).mean() > 0.9


def test_no_key_is_drawn_from_twice() -> None:
    """Initial weights, crops and dropout of one seed all have keys of their own."""
    keys = [init_key(seed) for seed in range(3)]
    keys += [jax.random.fold_in(init_key(seed), depth) for seed in range(3) for depth in range(20)]
    for seed in range(3):
        for iteration in range(50):
            crops, dropout = step_keys(np.uint32(seed), np.int32(iteration))
            keys += [crops, *jax.random.split(crops), dropout]
            keys += [jax.random.fold_in(dropout, layer) for layer in range(1, 4)]
    assert len({jax.random.key_data(key).tobytes() for key in keys}) == len(keys)


# Numbers that are none

WILD = Train(iterations=40, batch=20, optimizer="sgd", learning_rate=100, evaluate_every=10)


def test_a_lane_that_diverges_says_so_and_its_dead_stay_zero(digits: Digits) -> None:
    lane = digits.lane(WILD, 1, alive=0.3)
    (found,) = trained(WILD, [lane], digits.on(1), 1)
    assert not found.end.finite
    assert not np.isfinite(found.curve[-1].train_loss)
    assert len(found.curve) == 4
    same_masks(found.end, lane.masks)
    assert np.isnan(moments_of(found.state)[0]["dense1/kernel"][lane.masks["dense1/kernel"]]).any()


def test_a_lane_that_never_had_a_loss_keeps_its_first_weights(digits: Digits) -> None:
    lane = digits.lane(WILD, 1, alive=0.3)
    hopeless = replace(lane, rates=np.full_like(lane.rates, 1e30))
    (found,) = trained(WILD, [hopeless], digits.on(1), 1)
    assert not any(np.isfinite(reading.validation_loss) for reading in found.curve)
    assert (found.end.best_loss, found.end.best_iteration) == (np.inf, 0)
    same_arrays(found.end.best.params, lane.start.params)


def test_a_lane_is_not_touched_by_a_diverging_neighbour(digits: Digits, two_devices: None) -> None:
    lanes = [digits.lane(WILD, 1), replace(digits.lane(WILD, 2), rates=np.full(WILD.iterations, 0.05, np.float32))]
    _, tame = trained(WILD, lanes, digits.on(2), 2)
    assert tame.end.finite
    same_bits(tame, trained(WILD, [lanes[1]], digits.on(1), 1)[0])


# What the steps are fed with


def test_every_epoch_is_all_training_examples_in_a_new_order() -> None:
    examples = np.arange(100, 150, dtype=np.int32)
    order = batch_order(examples, 7, 30, 1)
    assert order.shape == (30, 7)
    epochs = order.ravel()[:200].reshape(4, 50)
    assert all(sorted(epoch) == examples.tolist() for epoch in epochs)
    assert len({epoch.tobytes() for epoch in epochs}) == 4
    assert set(order.ravel()[200:]) <= set(examples.tolist())


def test_a_longer_training_begins_as_a_shorter_one_and_seeds_differ() -> None:
    examples = np.arange(50, dtype=np.int32)
    np.testing.assert_array_equal(batch_order(examples, 7, 90, 1)[:20], batch_order(examples, 7, 20, 1))
    assert (batch_order(examples, 7, 20, 1) != batch_order(examples, 7, 20, 2)).mean() > 0.9


def test_the_schedule_and_the_warm_up_are_to_the_step() -> None:
    rates = learning_rates(SGD)
    assert rates.dtype == np.float32
    expected = {0: 0.005, 9: 0.05, 18: 0.095, 19: 0.1, 34: 0.1, 35: 0.02, 49: 0.02, 50: 0.004, 63: 0.004}
    assert {step: pytest.approx(float(rates[step])) for step in expected} == expected
    assert len(set(learning_rates(ADAM).tolist())) == 1


def test_an_optimizer_and_a_schedule_of_a_plug_in_are_one_function_each() -> None:
    """They receive the recipe's fields that they name, and no others."""

    def scaled(*, momentum: float = 0.5, unknown: float = 3.0) -> optax.GradientTransformation:
        return optax.scale(momentum * unknown)

    def falling(steps: np.ndarray, *, iterations: int) -> np.ndarray:
        return 1 - steps / iterations

    origin = registry.Origin("this test", "0")
    try:
        with registry.registering(origin):
            registry.optimizer.add("scaled", "a test", scaled)
            registry.schedule.add("falling", "a test", falling)
        train = SGD.model_copy(update={"optimizer": "scaled", "schedule": "falling", "warmup": 0})
        program = program_of(train)
        assert program.settings == (("momentum", 0.8),)
        updates, _ = optimizer_of(program).update({"w": 1.0}, optax.EmptyState())
        assert updates["w"] == pytest.approx(0.8 * 3)
        np.testing.assert_allclose(learning_rates(train), 0.1 * (1 - np.arange(64) / 64), rtol=1e-6)
    finally:
        registry.optimizer.forget(origin)
        registry.schedule.forget(origin)


def test_a_cosine_falls_to_zero_at_the_last_iteration() -> None:
    rates = learning_rates(Train(iterations=100, batch=10, learning_rate=0.4, schedule="cosine", warmup=2))
    expected = {0: 0.2, 1: 0.4 * 0.99975328, 25: 0.4 * 0.85355339, 50: 0.2, 75: 0.4 * 0.14644661, 99: 0.4 * 0.00024672}
    assert {step: pytest.approx(float(rates[step]), rel=1e-5) for step in expected} == expected


def test_a_call_uploads_nothing_that_grows_with_the_steps_between_validations(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order and learning rates are uploaded in stretches of one size; a call in one of them uploads four numbers."""
    uploads: list[int] = []
    device_put = jax.device_put

    def counting(tree: object, *where: object) -> object:
        uploads.append(sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree)))
        return device_put(tree, *where)

    on_device = digits.on(1)
    for every in (10, 100_000):
        train = SHORT.model_copy(update={"evaluate_every": every})
        batch = LaneBatch(program_of(train), [digits.lane(train, 1)], on_device, 1)
        monkeypatch.setattr(jax, "device_put", counting)
        for _ in range(3):
            batch.dispatch(1, 5, False).wait()
        monkeypatch.setattr(jax, "device_put", device_put)
    assert len(uploads) == 2
    assert uploads[0] == uploads[1] <= 4 * lanes_module.FEED_NUMBERS


def test_a_round_longer_than_what_lies_on_the_device_is_the_same(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = digits.lane(SHORT, 1, alive=0.5)
    (whole,) = trained(SHORT, [lane], digits.on(1), 1)
    monkeypatch.setattr(lanes_module, "FEED_NUMBERS", 7 * (SHORT.batch + 1))
    calls: list[int] = []
    (parts,) = trained(SHORT, [lane], digits.on(1), 1, calls)
    assert max(np.diff([0, *calls])) <= 7
    same_bits(parts, whole)


@pytest.mark.parametrize(("every", "expected"), [(15, [15, 30, 45]), (45, [45]), (100, [45]), (32, [32, 45])])
def test_the_last_iteration_is_always_validated(digits: Digits, every: int, expected: list[int]) -> None:
    train = SHORT.model_copy(update={"evaluate_every": every})
    (found,) = trained(train, [digits.lane(train, 1)], digits.on(1), 1)
    assert [reading.iteration for reading in found.curve] == expected
