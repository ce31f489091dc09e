"""What a study will cost, before it starts."""

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

# A stored round: the last and the best weights in float32 and a byte a mask; biases and curves are little.
_BYTES_PER_WEIGHT = 9
_BYTES_PER_WEIGHT_OF_A_MARK = 4

# Of memory, as measured of LeNet-300-100, Conv-2 and Conv-6 on two cores: the process with JAX in it; the copies of a
# lane's weights, its optimizer's, its best ones and what is at work on them; and those of what layers put out.
_PROCESS = 450_000_000
_COPIES_OF_WEIGHTS = 8
_COPIES_IN_TRAINING = 3
_COPIES_IN_EVALUATION = 1.25
EVALUATED_AT_ONCE = 1000
"""Examples that a lane evaluates together."""

_RATE_NAME = re.compile(r"(\S+) (\d+)x(\d+)x(\d+) batch (\d+) \S+")


@dataclass(frozen=True)
class Forecast:
    """The cost of a study here and now.

    `rounds` in all arms and trials; `distinct` after sharing; `stored` of those from runs before. `iterations`
    to train, of all lanes together; `lanes` at once (0: not known before the first run); `rate` in iterations
    of all lanes a second and `seconds` at that rate, None before any was measured here; `guessed_by`, where such a
    study has not run here yet, is the network whose rate it was worked out from, by the multiplications in a step.
    `bytes` on disk, of `disk_free`; `memory` in bytes at the most, about, of `memory_free`.
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
    """The name under which this machine's rate for such a study is kept."""
    train = plan.study.base.train
    shape = "x".join(map(str, plan.mark.image_shape))
    return f"{plan.study.base.network.name} {shape} batch {train.batch} {train.optimizer}"


def forecast(study: Study, store: Store) -> Forecast:
    """The cost of `study`. Raises BadInput where the data show that the study is impossible."""
    mark = DatasetInfo.of(datasets.entry(study.base.data.name, store.home))
    machine = store.machine
    plan = make_plan(study, mark, machine.numerics)
    to_train = [item for item in plan.rounds.values() if not store.rounds.has(item.key)]
    iterations = sum(item.iterations for item in to_train)
    rate, guessed_by = _rate(rate_name(plan), machine.rates)
    lanes = min(machine.lanes, plan.most_at_once)
    likely = lanes or min(os.cpu_count() or 1, plan.most_at_once)
    return Forecast(
        rounds=len(plan.places),
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
    """Raises BadInput where `study` cannot begin: its data do not allow it, or the store has no room for it."""
    store.check_room(forecast(study, store).bytes)


def bytes_of(plan: Plan, rounds: Iterable[Round]) -> int:
    """What these rounds will take on disk."""
    each = weight_count(plan.layers)
    return sum(
        each * (_BYTES_PER_WEIGHT + _BYTES_PER_WEIGHT_OF_A_MARK * len(plan.rewind_points[item.key])) for item in rounds
    )


def memory_of(plan: Plan, lanes: int, devices: int) -> int:
    """Bytes that so many lanes on so many devices take at the most, about."""
    mark = plan.mark
    outputs = [layer.outputs for layer in plan.network.layers]
    batch = max(item.train.batch for item in plan.rounds.values())
    # Training keeps what all layers put out for the way back; evaluation what goes into one and what comes out.
    training = batch * sum(outputs) * _COPIES_IN_TRAINING
    pixels = math.prod(mark.image_shape)
    widest = max(map(sum, zip([pixels, *outputs], outputs, strict=False)))
    evaluation = round(EVALUATED_AT_ONCE * widest * _COPIES_IN_EVALUATION)
    order = max(item.iterations for item in plan.rounds.values()) * batch
    lane = 4 * (weight_count(plan.layers) * _COPIES_OF_WEIGHTS + max(training, evaluation) + order)
    return lanes * lane + devices * pixels * (mark.train + mark.validation + mark.test)


def _rate(name: str, measured: Mapping[str, float]) -> tuple[float | None, str]:
    """Iterations of all lanes a second, and the network whose rate they are guessed by, '' where they were measured."""
    if name in measured:
        return measured[name], ""
    costs = {known: cost for known in (name, *measured) if (cost := _multiplications(known))}
    wanted = costs.pop(name, None)
    if not wanted or not costs:
        return None, ""
    nearest = min(costs, key=lambda known: abs(math.log(costs[known] / wanted)))
    return measured[nearest] * costs[nearest] / wanted, nearest.partition(" ")[0]


def _multiplications(name: str) -> int:
    """Those in a step of a study of that name; 0 for a name that is none."""
    found = _RATE_NAME.fullmatch(name)
    if found is None or found[1] not in registry.network:
        return 0
    height, width, channels, batch = map(int, found.groups()[1:])
    try:
        layers = build(found[1], (height, width, channels), 10).layers
    except ValueError:
        return 0
    return batch * sum(layer.multiplications for layer in layers)
