"""What a study will cost, before it starts."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine import datasets
from engine.networks import weight_count
from engine.plan.graph import DatasetMark, Plan, Round, make_plan
from engine.spec import Study
from engine.store import Store

# A stored round: the last and the best weights in float32 and a byte a mask; biases and curves are little.
_BYTES_PER_WEIGHT = 9
_BYTES_PER_WEIGHT_OF_A_MARK = 4


@dataclass(frozen=True)
class Forecast:
    """The cost of a study here and now.

    `rounds` in all arms and trials; `distinct` after sharing; `stored` of those from runs before. `iterations`
    to train, of all lanes together; `lanes` at once (0: not known before the first run); `rate` in iterations
    of all lanes a second and `seconds` at that rate, None before it was measured here; `bytes` on disk.
    """

    rounds: int
    distinct: int
    stored: int
    iterations: int
    lanes: int
    rate: float | None
    seconds: float | None
    bytes: int


def rate_name(plan: Plan) -> str:
    """The name under which this machine's rate for such a study is kept."""
    train = plan.study.base.train
    shape = "x".join(map(str, plan.mark.image_shape))
    return f"{plan.study.base.network.name} {shape} batch {train.batch} {train.optimizer}"


def forecast(study: Study, store: Store) -> Forecast:
    """The cost of `study`. Raises BadInput where the data show that the study is impossible."""
    mark = DatasetMark.of(datasets.entry(study.base.data.name, store.home))
    plan = make_plan(study, mark, store.machine.numerics)
    to_train = [item for item in plan.rounds.values() if not store.rounds.has(item.key)]
    iterations = sum(item.iterations for item in to_train)
    rate = store.machine.rate(rate_name(plan))
    return Forecast(
        rounds=len(plan.places),
        distinct=len(plan.rounds),
        stored=len(plan.rounds) - len(to_train),
        iterations=iterations,
        lanes=store.machine.lanes,
        rate=rate,
        seconds=None if rate is None else iterations / rate,
        bytes=bytes_of(plan, to_train),
    )


def check_room(study: Study, store: Store) -> None:
    """Raises BadInput where `study` cannot begin: its data do not allow it, or the store has no room for it."""
    store.check_room(forecast(study, store).bytes)


def bytes_of(plan: Plan, rounds: Iterable[Round]) -> int:
    """What these rounds will take on disk."""
    each = weight_count(plan.layers)
    return sum(
        each * (_BYTES_PER_WEIGHT + _BYTES_PER_WEIGHT_OF_A_MARK * len(plan.marks_of[item.key])) for item in rounds
    )
