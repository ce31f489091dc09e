"""The programs that run on the devices: many steps per call.

A lane's arrays are transferred between host and devices as one flat row, since each transfer has a fixed cost.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from math import prod
from typing import Any, NamedTuple, TypeVar

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
"""Examples evaluated at once."""
BORDER = 4
"""Pixels of black around an image from which a random crop is taken."""
MAX_INTERVALS = 250
"""Validations of one call at most."""
_LANES: PartitionSpec = PartitionSpec("lane")  # type: ignore[no-untyped-call]
_SHARED: PartitionSpec = PartitionSpec()  # type: ignore[no-untyped-call]

Tensor = Array | NDArray[Any]
A = TypeVar("A", Array, NDArray[Any])
Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Names and shapes of the arrays in a flat row, in order."""


class State(NamedTuple):
    """The training state of a lane. `iteration` counts the steps of this round."""

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
    """Per-lane constants of a training: masks (True where a weight survives), validation indices `[V]`, mean and
    standard deviation `[C]`, the seed of dropout and crops, the iteration `first` that the round starts at, and bounds
    of the magnitudes of each kernel, empty where nothing is clamped."""

    masks: dict[str, Array]
    validation: Array
    mean: Array
    std: Array
    seed: Array
    first: Array
    bounds: dict[str, Array]


class Rows(NamedTuple):
    """The start and the constants of lanes as flat rows.

    `floats` `[L, F]`: parameters, state, mean, standard deviation, bounds; `bits` `[L, U]`: the packed masks; `ints`
    `[L, V + 2]`: the seed's bits, `first`, validation indices.
    """

    floats: Tensor
    bits: Tensor
    ints: Tensor


class Batches(NamedTuple):
    """The next steps: examples `[S, B]` and learning rates `[S]`."""

    order: Array
    rates: Array


class CallSpec(NamedTuple):
    """One call: `intervals` times `steps` steps from `offset` among the batches on the device, each interval with a
    validation if `evaluate`."""

    offset: "np.integer[Any] | Array"
    intervals: "np.integer[Any] | Array"
    steps: "np.integer[Any] | Array | None"
    evaluate: "np.bool_ | Array"


class Examples(NamedTuple):
    """All examples on every device: images uint8 `[N, H, W, C]`, labels int32 `[N]`."""

    images: Array
    labels: Array


class Outcome(NamedTuple):
    """Results of lanes: `final` and `best` as flat rows of parameters and state, packed masks, `numbers` (best loss,
    test accuracy of the best and of the final weights) and `counts` (best iteration, whether all final values are
    finite, then the pruned values that are not zero, in the order of `counted`)."""

    final: Array
    best: Array
    bits: Array
    numbers: Array
    counts: Array


@cache
def mesh(devices: int) -> Mesh:
    """The first `devices` devices as a line of lanes."""
    return Mesh(np.array(jax.devices()[:devices]), ("lane",))


@cache
def lane_sharding(devices: int) -> NamedSharding:
    return NamedSharding(mesh(devices), _LANES)


@cache
def replicated(devices: int) -> NamedSharding:
    return NamedSharding(mesh(devices), _SHARED)


def network_of(program: Program) -> Network:
    """The network that a program trains."""
    return build(program.network, program.image_shape, program.classes, **dict(program.parameters))


# Flat rows


@cache
def shapes_of(program: Program) -> tuple[Shapes, Shapes, Shapes]:
    """The parameters, the state and the masks of a program's network."""
    network = network_of(program)
    found = jax.eval_shape(lambda: network.init(jax.random.key(0)))
    params, state = (tuple((name, tuple(it.shape)) for name, it in sorted(arrays.items())) for arrays in found)
    return params, state, tuple((layer.parameter, layer.shape) for layer in network.layers)


def length(shapes: Shapes) -> int:
    """Numbers in a row of arrays."""
    return sum(prod(shape) for _, shape in shapes)


def joined(arrays: Mapping[str, Tensor], shapes: Shapes, library: Any = np) -> list[Any]:
    """The arrays, each flat, in the order of `shapes`. Raises KeyError for one that is absent."""
    return [library.ravel(arrays[name]) for name, _ in shapes]


def split_row(row: A, *parts: Shapes) -> list[dict[str, A]]:
    """The arrays in a flat row `[F]`, as views on the host; one dictionary for each of `parts`."""
    found: list[dict[str, A]] = []
    start = 0
    for shapes in parts:
        arrays: dict[str, A] = {}
        for name, shape in shapes:
            end = start + prod(shape)
            arrays[name] = row[start:end].reshape(shape)
            start = end
        found.append(arrays)
    return found


def flat_row(params: Params, state: NetworkState, shapes: tuple[Shapes, Shapes, Shapes]) -> Array:
    """Parameters and state as one row."""
    return jnp.concatenate([*joined(params, shapes[0], jnp), *joined(state, shapes[1], jnp)])


@cache
def begin_program(program: Program, devices: int) -> Callable[[Rows], tuple[State, LaneConstants]]:
    """The state before the first step, and the constants, of all lanes."""
    params_of, state_of, masks_of = shapes_of(program)
    channels = (program.image_shape[-1],)
    statistics: Shapes = (("mean", channels), ("std", channels))
    plain = length(params_of) + length(state_of) + length(statistics)

    def lane(rows: Rows) -> tuple[State, LaneConstants]:
        bounded = masks_of if rows.floats.shape[0] > plain else ()
        floats = jnp.asarray(rows.floats)
        params, state, facts, bounds = split_row(floats, params_of, state_of, statistics, bounded)
        bits = jnp.unpackbits(jnp.asarray(rows.bits), count=length(masks_of)).astype(jnp.bool_)
        (masks,) = split_row(bits, masks_of)
        ints = jnp.asarray(rows.ints)
        begun = State(
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
        seed = jax.lax.bitcast_convert_type(ints[0], jnp.uint32)
        return begun, LaneConstants(masks, ints[2:], facts["mean"], facts["std"], seed, ints[1], bounds)

    return jax.jit(jax.vmap(lane), out_shardings=lane_sharding(devices))


@cache
def snapshot_program(program: Program) -> Callable[[Params, NetworkState], Array]:
    """Parameters and state of all lanes as flat rows `[L, F]`."""
    return jax.jit(jax.vmap(lambda params, state: flat_row(params, state, shapes_of(program))))


@cache
def copy_program() -> Callable[[State], State]:
    """Return a copy of a state that the next call does not overwrite."""
    return jax.jit(partial(jax.tree.map, jnp.copy))


def step_keys(seed: Tensor, iteration: Tensor) -> tuple[Array, Array]:
    """The keys of a step's crops and of its dropout: functions of the lane's seed and the iteration alone, so how a
    round is divided into calls changes nothing, and a rewound round continues the one that it rewinds to."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), STEP_STREAM), iteration)
    for_crops, for_dropout = jax.random.split(key)
    return for_crops, for_dropout


@cache
def chunk_program(program: Program, devices: int) -> Callable[..., tuple[State, Array]]:
    """`(state, fixed, feed, examples, turn, length) -> (state, rows)` for all lanes.

    `rows` `[L, MAX_INTERVALS, 3]`: the mean training loss over each interval, then validation loss and accuracy after
    it. On a CPU the number of steps is a value, `turn.steps`, and `length` None. On accelerators it is `length`,
    static, and `turn.steps` None: there a loop of unknown length waits for the host in each iteration.
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
            for_crops, for_dropout = step_keys(fixed.seed, fixed.first + state.iteration)
            shown = examples.images[rows]
            if program.augment:
                shown = crops_and_flips(shown, for_crops)
            images = normalised(shown, fixed)
            (loss, network_state), gradients = jax.value_and_grad(loss_of, has_aux=True)(
                state.params, state.state, images, examples.labels[rows], Training(for_dropout, program.dropout)
            )
            # Masked gradients keep pruned weights and their moments at zero, even if a gradient is NaN.
            for name, mask in fixed.masks.items():
                gradients[name] = jnp.where(mask, gradients[name], 0)
            if program.weight_decay:
                gradients = jax.tree.map(lambda it, weight: it + program.weight_decay * weight, gradients, state.params)
            updates, optimizer = update_rule.update(gradients, state.optimizer, state.params)
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

        def validate(state: State) -> tuple[State, Array]:
            loss, accuracy = measure(network, state.params, state.state, examples, fixed.validation, fixed)
            # A NaN loss is never the lowest.
            better = loss < state.best_loss
            best = state._replace(
                loss_sum=jnp.float32(0),
                loss_steps=jnp.int32(0),
                best_params=jax.tree.map(partial(jnp.where, better), state.params, state.best_params),
                best_state=jax.tree.map(partial(jnp.where, better), state.state, state.best_state),
                best_loss=jnp.where(better, loss, state.best_loss),
                best_iteration=jnp.where(better, state.iteration, state.best_iteration),
            )
            return best, jnp.stack([state.loss_sum / state.loss_steps, loss, accuracy])

        def skip(state: State) -> tuple[State, Array]:
            return state, jnp.full(3, jnp.nan, jnp.float32)

        def interval(number: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, rows = carry
            begin = turn.offset + number * steps
            state = jax.lax.fori_loop(0, steps, lambda place, now: step(begin + place, now), state)
            state, row = jax.lax.cond(turn.evaluate, validate, skip, state)
            return state, rows.at[number].set(row)

        blank = jnp.full((MAX_INTERVALS, 3), jnp.nan, jnp.float32)
        return jax.lax.fori_loop(0, turn.intervals, interval, (state, blank))

    def chunk(
        state: State, fixed: LaneConstants, feed: Batches, examples: Examples, turn: CallSpec, length: int | None
    ) -> tuple[State, Array]:
        def on_device(state: State, fixed: LaneConstants, feed: Batches, examples: Examples, turn: CallSpec) -> Any:
            steps = turn.steps if length is None else length
            return map_lanes(partial(lane, examples, turn, steps), state, fixed, feed)

        sharded: Callable[..., tuple[State, Array]] = jax.shard_map(
            on_device,
            mesh=mesh(devices),
            in_specs=(_LANES, _LANES, _LANES, _SHARED, _SHARED),
            out_specs=_LANES,
            check_vma=False,
        )
        return sharded(state, fixed, feed, examples, turn)

    return jax.jit(chunk, donate_argnames="state", static_argnames="length")


@cache
def test_program(program: Program, devices: int) -> Callable[..., Array]:
    """`(floats, fixed, examples) -> accuracy` `[L]` over all of `examples`, of the networks in flat rows."""
    network, (params_of, state_of, _) = network_of(program), shapes_of(program)

    def on_device(floats: Array, fixed: LaneConstants, examples: Examples) -> Any:
        def lane(row: Array, fixed: LaneConstants) -> Array:
            params, state = split_row(row, params_of, state_of)
            return measure(network, params, state, examples, None, fixed)[1]

        return map_lanes(lane, floats, fixed)

    return jax.jit(
        jax.shard_map(
            on_device, mesh=mesh(devices), in_specs=(_LANES, _LANES, _SHARED), out_specs=_LANES, check_vma=False
        )
    )


@cache
def finish_program(program: Program, devices: int) -> Callable[..., Outcome]:
    """`(state, fixed, examples) -> outcome` of all lanes: best and final weights are tested by one program."""
    network, shapes = network_of(program), shapes_of(program)
    params_of, state_of, masks_of = shapes

    def on_device(state: State, fixed: LaneConstants, examples: Examples) -> Any:
        def lane(state: State, fixed: LaneConstants) -> Outcome:
            final = flat_row(state.params, state.state, shapes)
            best = flat_row(state.best_params, state.best_state, shapes)

            def accuracy(row: Array) -> Array:
                params, own = split_row(row, params_of, state_of)
                return measure(network, params, own, examples, None, fixed)[1]

            best_accuracy, final_accuracy = jax.lax.map(accuracy, jnp.stack([best, final]))
            nonzero = [
                sum(jnp.count_nonzero(~fixed.masks[name] & (array != 0)) for array in arrays)
                for name, arrays in (*_weights(state, masks_of), *_moments(state, masks_of))
            ]
            return Outcome(
                final,
                best,
                jnp.packbits(jnp.concatenate(joined(fixed.masks, masks_of, jnp))),
                jnp.stack([state.best_loss, best_accuracy, final_accuracy]),
                jnp.stack(
                    [state.best_iteration, jnp.isfinite(final).all().astype(jnp.int32)]
                    + [jnp.asarray(count, jnp.int32) for count in nonzero]
                ),
            )

        return map_lanes(lane, state, fixed)

    return jax.jit(
        jax.shard_map(
            on_device, mesh=mesh(devices), in_specs=(_LANES, _LANES, _SHARED), out_specs=_LANES, check_vma=False
        )
    )


def counted(program: Program) -> list[str]:
    """What each number of nonzero pruned values in an `Outcome` counts."""
    names = [name for name, _ in shapes_of(program)[2]]
    return [f"{what} {name}" for what in ("weights", "optimizer moments") for name in names]


def _weights(state: State, masks_of: Shapes) -> Iterable[tuple[str, list[Array]]]:
    return [(name, [state.params[name], state.best_params[name]]) for name, _ in masks_of]


def _moments(state: State, masks_of: Shapes) -> Iterable[tuple[str, list[Array]]]:
    """The arrays in the optimizer's state that belong to a masked parameter: those under its name, in its shape."""
    found: dict[str, list[Array]] = {name: [] for name, _ in masks_of}
    for path, leaf in jax.tree_util.tree_flatten_with_path(state.optimizer)[0]:
        name = getattr(path[-1], "key", None) if path else None
        if name in found and leaf.shape == state.params[name].shape:
            found[name].append(leaf)
    return found.items()


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
    """Return uint8 images `[B, H, W, C]` as float32, normalised by the lane's mean and standard deviation."""
    return (images.astype(jnp.float32) / 255 - fixed.mean) / fixed.std


def measure(
    network: Network,
    params: Params,
    state: NetworkState,
    examples: Examples,
    rows: Array | None,
    fixed: LaneConstants,
) -> tuple[Array, Array]:
    """Mean cross-entropy in nats and accuracy (0 to 1) over the examples `rows` `[V]`, or all, in blocks."""
    if rows is None:
        rows = jnp.arange(examples.labels.shape[0], dtype=jnp.int32)
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
