"""Forecasts of a study's time, disk and memory."""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from engine import datasets, registry
from engine.experiment.graph import DatasetInfo, Plan, Round, make_plan
from engine.networks import build, weight_count
from engine.spec import Study
from engine.store import Store

_BYTES_PER_SURVIVOR = 8
"""In a stored round: the value at the end and at the early stop, in float32. Each mask takes a bit a weight."""
_BYTES_PER_ROUND = 5000
"""In a stored round: its result, its curve and the names of its arrays."""
_BYTES_PER_WEIGHT = 4
"""Of a snapshot to rewind to, which is dense."""

# Memory, measured with LeNet-300-100, Conv-2 and Conv-6 on two cores: the process with JAX loaded; copies of a lane's
# weights (with the optimizer's moments, the best weights and temporaries); copies of the outputs of layers.
_PROCESS = 450_000_000
_COPIES_OF_WEIGHTS = 8
_COPIES_IN_TRAINING = 3
_COPIES_IN_EVALUATION = 1.25
EVALUATED_AT_ONCE = 1000
"""Examples that a lane evaluates together."""

_RATE_NAME = re.compile(r"([^\s{]+)(\{.*\})? (\d+)x(\d+)x(\d+) batch (\d+) \S+")


@dataclass(frozen=True)
class Forecast:
    """The forecast cost of a study on this machine.

    `rounds` of all arms and trials; `distinct` ones of them; `stored` ones from earlier runs. `iterations` to train, of
    all lanes together; `lanes` at once (0 before the first run); `rate` in iterations of all lanes a second and
    `seconds` at that rate, None before one was measured here; `guessed_by`, where no such study has run here, is the
    network from whose rate it is estimated, by the multiplications of a step. `bytes` on disk, of `disk_free`;
    `memory` in bytes, roughly and at most, of `memory_free`.
    """

    rounds: int
    distinct: int
    stored: int
    iterations: int
    lanes: int
    rate: float | None
    guessed_by: str
    seconds: float | None
    bytes: int
    disk_free: int
    memory: int
    memory_free: int


def rate_name(plan: Plan) -> str:
    """The name under which the rate of such a study is stored for this machine; parameters of the network are JSON."""
    train, network = plan.study.base.train, plan.study.base.network
    shape = "x".join(map(str, plan.dataset.image_shape))
    parameters = json.dumps(network.parameters, sort_keys=True) if network.parameters else ""
    return f"{network.name}{parameters} {shape} batch {train.batch} {train.optimizer}"


def forecast(study: Study, store: Store) -> Forecast:
    """Return the forecast of `study`. Raises BadInput if the study does not fit its data set."""
    dataset = DatasetInfo.of(datasets.entry(study.base.data.name, store.home))
    machine = store.machine
    plan = make_plan(study, dataset, machine.numerics)
    to_train = [item for item in plan.rounds.values() if not store.rounds.has(item.key)]
    iterations = sum(item.iterations for item in to_train)
    rate, guessed_by = _rate(rate_name(plan), machine.rates)
    lanes = min(machine.lanes, plan.most_at_once)
    likely = lanes or min(os.cpu_count() or 1, plan.most_at_once)
    return Forecast(
        rounds=len(plan.round_keys),
        distinct=len(plan.rounds),
        stored=len(plan.rounds) - len(to_train),
        iterations=iterations,
        lanes=lanes,
        rate=rate,
        guessed_by=guessed_by,
        seconds=None if rate is None else iterations / rate,
        bytes=bytes_of(plan, to_train),
        disk_free=store.free,
        memory=memory_of(plan, likely, min(likely, machine.devices or likely)) + (0 if machine.memory else _PROCESS),
        memory_free=machine.memory or psutil.virtual_memory().available,
    )


def check_room(study: Study, store: Store) -> None:
    """Raise BadInput if `study` cannot start: it does not fit its data set, or the disk is too full."""
    store.check_room(forecast(study, store).bytes)


def bytes_of(plan: Plan, rounds: Iterable[Round]) -> int:
    """The bytes that these rounds take on disk: their survivors, biases, masks and snapshots to rewind to."""
    weights, biases = weight_count(plan.layers), sum(layer.shape[-1] for layer in plan.layers)
    total = 0
    for item in rounds:
        prunable = sum(item.schedule.survivors[0])
        survivors = weights - prunable + sum(item.schedule.survivors[item.number])
        snapshots = len(plan.rewind_points[item.key])
        total += (survivors + biases) * _BYTES_PER_SURVIVOR + -(-prunable // 8) + _BYTES_PER_ROUND
        total += (weights + biases) * _BYTES_PER_WEIGHT * snapshots
    return total


def memory_of(plan: Plan, lanes: int, devices: int) -> int:
    """Return a rough upper bound of the memory of so many lanes on so many devices, in bytes."""
    dataset = plan.dataset
    outputs = [layer.outputs for layer in plan.network.layers]
    batch = max(item.train.batch for item in plan.rounds.values())
    # Training keeps the outputs of all layers, evaluation one layer's input and output.
    training = batch * sum(outputs) * _COPIES_IN_TRAINING
    pixels = math.prod(dataset.image_shape)
    widest = max(map(sum, zip([pixels, *outputs], outputs, strict=False)))
    evaluation = round(EVALUATED_AT_ONCE * widest * _COPIES_IN_EVALUATION)
    order = max(item.iterations for item in plan.rounds.values()) * batch
    lane = 4 * (weight_count(plan.layers) * _COPIES_OF_WEIGHTS + max(training, evaluation) + order)
    return lanes * lane + devices * pixels * (dataset.train + dataset.validation + dataset.test)


def _rate(name: str, measured: Mapping[str, float]) -> tuple[float | None, str]:
    """Iterations of all lanes a second, and the network that they are estimated from, '' where measured."""
    if name in measured:
        return measured[name], ""
    costs = {known: cost for known in (name, *measured) if (cost := _multiplications(known))}
    wanted = costs.pop(name, None)
    if not wanted or not costs:
        return None, ""
    nearest = min(costs, key=lambda known: abs(math.log(costs[known] / wanted)))
    known = _RATE_NAME.fullmatch(nearest)
    return measured[nearest] * costs[nearest] / wanted, known[1] if known else nearest


def _multiplications(name: str) -> int:
    """The multiplications in a step of a study of that name; 0 where it is no such name."""
    found = _RATE_NAME.fullmatch(name)
    if found is None or found[1] not in registry.network:
        return 0
    height, width, channels, batch = map(int, found.groups()[2:])
    try:
        layers = build(found[1], (height, width, channels), 10, **json.loads(found[2] or "{}")).layers
    except (KeyError, TypeError, ValueError):
        return 0
    return batch * sum(layer.multiplications for layer in layers)
