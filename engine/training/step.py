"""The programs that run on the devices: many steps a call, no Python in a step."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from engine.networks import Network, Params, Training, build
from engine.networks import State as NetworkState
from engine.rng import STEP_STREAM
from engine.training.program import Program, optimizer_of

EVALUATION_BLOCK = 1000
BORDER = 4
"""Pixels of black around an image from which a random crop is taken."""
_LANES: PartitionSpec = PartitionSpec("lane")  # type: ignore[no-untyped-call]
_SHARED: PartitionSpec = PartitionSpec()  # type: ignore[no-untyped-call]

Tensor = Array | NDArray[Any]


class State(NamedTuple):
    """What a lane's training changes."""

    params: Params
    state: NetworkState
    optimizer: Any
    iteration: Array
    loss_sum: Array
    loss_steps: Array
    best_params: Params
    best_state: NetworkState
    best_loss: Array
    best_iteration: Array


class LaneConstants(NamedTuple):
    """What it does not: masks (True where a weight lives), validation indices `[V]`, mean and std `[C]`; the seed
    of its dropout and crops; and `bounds` of each kernel's magnitudes, shaped as it, none when nothing is clamped."""

    masks: dict[str, Tensor]
    validation: Tensor
    mean: Tensor
    std: Tensor
    seed: Tensor
    bounds: dict[str, Tensor]


class Batches(NamedTuple):
    """What its next steps read: examples `[S, B]` and learning rates `[S]`."""

    order: Array
    rates: Array


class CallSpec(NamedTuple):
    """What one call does: `intervals` times `steps` steps, each time with a validation if `evaluate`."""

    intervals: "np.integer[Any] | Array"
    steps: "np.integer[Any] | Array | None"
    evaluate: "np.bool_ | Array"


class Examples(NamedTuple):
    """All examples on every device: images uint8 `[N, H, W, C]`, labels int32 `[N]`."""

    images: Array
    labels: Array


class Validations(NamedTuple):
    """One row an interval: mean training loss over it, then validation loss and accuracy after it."""

    train_loss: Array
    loss: Array
    accuracy: Array


@cache
def mesh(devices: int) -> Mesh:
    """The first `devices` devices as a line of lanes."""
    return Mesh(np.array(jax.devices()[:devices]), ("lane",))


def lane_sharding(devices: int) -> NamedSharding:
    return NamedSharding(mesh(devices), _LANES)


def replicated(devices: int) -> NamedSharding:
    return NamedSharding(mesh(devices), _SHARED)


def network_of(program: Program) -> Network:
    """The network that a program trains."""
    return build(program.network, program.image_shape, program.classes)


@cache
def begin_program(program: Program, devices: int) -> Callable[[Params, NetworkState], State]:
    """The state before the first step of all lanes, from their weights and their network's state `[L, ...]`."""

    def lane(params: Params, state: NetworkState) -> State:
        return State(
            params=params,
            state=state,
            optimizer=optimizer_of(program).init(params),
            iteration=jnp.int32(0),
            loss_sum=jnp.float32(0),
            loss_steps=jnp.int32(0),
            best_params=params,
            best_state=state,
            best_loss=jnp.float32(jnp.inf),
            best_iteration=jnp.int32(0),
        )

    return jax.jit(jax.vmap(lane), out_shardings=lane_sharding(devices))


@cache
def chunk_program(program: Program, devices: int) -> Callable[..., tuple[State, Validations]]:
    """`(state, fixed, feed, examples, turn, length) -> (state, validations)` for all lanes.

    On a CPU the number of steps is a value, `turn.steps`, and `length` None. On accelerators it is `length`,
    static, and `turn.steps` None: there a loop of unknown length stops for the host at each turn.
    """
    network = network_of(program)
    update_rule = optimizer_of(program)

    def loss_of(
        params: Params, state: NetworkState, images: Array, labels: Array, training: Training
    ) -> tuple[Array, NetworkState]:
        logits, state = network.apply(params, state, images, training)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels)), state

    def lane(examples: Examples, turn: CallSpec, steps: Any, state: State, fixed: LaneConstants, feed: Batches) -> Any:
        def step(place: Array, state: State) -> State:
            rows = jax.lax.dynamic_index_in_dim(feed.order, place, keepdims=False)
            # A function of the lane and the iteration alone: how a round is divided into calls changes nothing.
            drawn = jax.random.fold_in(jax.random.fold_in(jax.random.key(fixed.seed), STEP_STREAM), state.iteration)
            for_crops, for_dropout = jax.random.split(drawn)
            shown = examples.images[rows]
            if program.augment:
                shown = crops_and_flips(shown, for_crops)
            images = normalised(shown, fixed)
            (loss, network_state), gradients = jax.value_and_grad(loss_of, has_aux=True)(
                state.params, state.state, images, examples.labels[rows], Training(for_dropout, program.dropout)
            )
            # A masked gradient keeps the weight at zero and both of its moments too, even where it is not a number.
            for name, mask in fixed.masks.items():
                gradients[name] = jnp.where(mask, gradients[name], 0)
            updates, optimizer = update_rule.update(gradients, state.optimizer)
            rate = feed.rates[place]
            params = jax.tree.map(lambda weight, update: weight - rate * update, state.params, updates)
            for name, bound in fixed.bounds.items():
                params[name] = jnp.clip(params[name], -bound, bound)
            return state._replace(
                params=params,
                state=network_state,
                optimizer=optimizer,
                iteration=state.iteration + 1,
                loss_sum=state.loss_sum + loss,
                loss_steps=state.loss_steps + 1,
            )

        def validate(state: State) -> tuple[State, tuple[Array, Array, Array]]:
            loss, accuracy = measure(network, state.params, state.state, examples, fixed.validation, fixed)
            # Written so that a loss that is not a number is never the lowest.
            better = loss < state.best_loss
            best = State(
                params=state.params,
                state=state.state,
                optimizer=state.optimizer,
                iteration=state.iteration,
                loss_sum=jnp.float32(0),
                loss_steps=jnp.int32(0),
                best_params=jax.tree.map(partial(jnp.where, better), state.params, state.best_params),
                best_state=jax.tree.map(partial(jnp.where, better), state.state, state.best_state),
                best_loss=jnp.where(better, loss, state.best_loss),
                best_iteration=jnp.where(better, state.iteration, state.best_iteration),
            )
            return best, (state.loss_sum / state.loss_steps, loss, accuracy)

        def skip(state: State) -> tuple[State, tuple[Array, Array, Array]]:
            nothing = jnp.float32(jnp.nan)
            return state, (nothing, nothing, nothing)

        def interval(number: Array, carry: tuple[State, Validations]) -> tuple[State, Validations]:
            state, rows = carry
            state = jax.lax.fori_loop(0, steps, lambda place, now: step(number * steps + place, now), state)
            state, values = jax.lax.cond(turn.evaluate, validate, skip, state)
            return state, Validations(*(row.at[number].set(value) for row, value in zip(rows, values, strict=True)))

        blank = jnp.full(program.intervals, jnp.nan, jnp.float32)
        return jax.lax.fori_loop(0, turn.intervals, interval, (state, Validations(blank, blank, blank)))

    def chunk(
        state: State, fixed: LaneConstants, feed: Batches, examples: Examples, turn: CallSpec, length: int | None
    ) -> tuple[State, Validations]:
        def on_device(state: State, fixed: LaneConstants, feed: Batches, examples: Examples, turn: CallSpec) -> Any:
            steps = turn.steps if length is None else length
            return map_lanes(partial(lane, examples, turn, steps), state, fixed, feed)

        sharded: Callable[..., tuple[State, Validations]] = jax.shard_map(
            on_device,
            mesh=mesh(devices),
            in_specs=(_LANES, _LANES, _LANES, _SHARED, _SHARED),
            out_specs=_LANES,
            check_vma=False,
        )
        return sharded(state, fixed, feed, examples, turn)

    return jax.jit(chunk, donate_argnames="state", static_argnames="length")


@cache
def test_program(program: Program, devices: int) -> Callable[..., tuple[Array, Array]]:
    """`(params, state, fixed, examples) -> (loss, accuracy)` over all of `examples`, each `[L]`."""
    network = network_of(program)

    def on_device(params: Params, state: NetworkState, fixed: LaneConstants, examples: Examples) -> Any:
        everything = jnp.arange(examples.labels.shape[0], dtype=jnp.int32)

        def lane(params: Params, state: NetworkState, fixed: LaneConstants) -> tuple[Array, Array]:
            return measure(network, params, state, examples, everything, fixed)

        return map_lanes(lane, params, state, fixed)

    return jax.jit(
        jax.shard_map(
            on_device,
            mesh=mesh(devices),
            in_specs=(_LANES, _LANES, _LANES, _SHARED),
            out_specs=_LANES,
            check_vma=False,
        )
    )


def map_lanes(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` of each of a device's lanes: the plain program for one (what a CPU runs), vmapped for more."""
    if jax.tree.leaves(trees[0])[0].shape[0] == 1:
        alone = function(*(jax.tree.map(lambda leaf: leaf[0], tree) for tree in trees))
        return jax.tree.map(lambda leaf: leaf[None], alone)
    return jax.vmap(function)(*trees)


def crops_and_flips(images: Array, key: Array) -> Array:
    """Each of `[B, H, W, C]` images at a random place with `BORDER` black pixels around, every second one flipped.

    He et al. 2016, section 4.2.
    """
    for_places, for_flips = jax.random.split(key)
    count = images.shape[0]
    places = jax.random.randint(for_places, (count, 2), 0, 2 * BORDER + 1)
    flips = jax.random.bernoulli(for_flips, 0.5, (count,))
    around = jnp.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)))

    def crop(image: Array, place: Array) -> Array:
        return jax.lax.dynamic_slice(image, (place[0], place[1], 0), images.shape[1:])

    cropped = jax.vmap(crop)(around, places)
    return jnp.where(flips[:, None, None, None], cropped[:, :, ::-1], cropped)


def normalised(images: Array, fixed: LaneConstants) -> Array:
    """uint8 images `[B, H, W, C]` as float32 with the lane's mean and standard deviation taken out."""
    return (images.astype(jnp.float32) / 255 - fixed.mean) / fixed.std


def measure(
    network: Network,
    params: Params,
    state: NetworkState,
    examples: Examples,
    rows: Tensor,
    fixed: LaneConstants,
) -> tuple[Array, Array]:
    """Mean cross-entropy in nats and accuracy (0 to 1) over the examples `rows` `[V]`, in blocks."""
    count = rows.shape[0]
    size = min(EVALUATION_BLOCK, count)
    blocks = -(-count // size)
    padded = jnp.pad(rows, (0, blocks * size - count)).reshape(blocks, size)
    counted = (jnp.arange(blocks * size) < count).reshape(blocks, size)

    def block(part: tuple[Array, Array]) -> tuple[Array, Array]:
        rows, counted = part
        logits, _ = network.apply(params, state, normalised(examples.images[rows], fixed), None)
        labels = examples.labels[rows]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        right = jnp.argmax(logits, axis=-1) == labels
        return jnp.where(counted, losses, 0).sum(), (right & counted).sum()

    losses, right = jax.lax.map(block, (padded, counted))
    return losses.sum() / count, right.sum() / count
