"""What a study will cost, in words."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Store
from screens.text import amount, duration, plain, size

if TYPE_CHECKING:
    from engine.datasets import DatasetStatus
    from engine.experiment import Forecast


@dataclass(frozen=True)
class Costs:
    """What a study costs and learns from, as far as that is known, and why it cannot begin, if so."""

    told: "Forecast | None"
    data: "DatasetStatus | None"
    problem: str


def costs_of(study: Study, store: Store) -> Costs:
    """The costs of a study here and now; takes its time for a large one, and the first time for loading NumPy."""
    from engine import datasets
    from engine.experiment import forecast

    told, data, problem = None, None, ""
    try:
        data = datasets.entry(study.base.data.name, store.home)
        told = forecast(study, store)
        store.check_room(told.bytes)
    except BadInput as error:
        problem = f"cannot run: {error}"
    return Costs(told, data, problem)


def costs_words(costs: Costs) -> Content:
    """The costs, a line each; what is to be known of one stands below it."""
    lines: list[tuple[str, str]] = []
    if costs.told:
        told = costs.told
        lines = [
            ("rounds", f"{amount(told.rounds)}, {amount(told.distinct)} distinct"),
            ("reused", f"{amount(told.stored)} of {amount(told.distinct)}"),
            ("train", f"{amount(told.iterations)} iterations"),
            ("lanes", f"{told.lanes} at once" if told.lanes else "known after a first run"),
            *_time(told),
            ("memory", f"{size(told.memory)} of {size(told.memory_free)} free"),
        ]
        if told.memory > told.memory_free:
            lines.append(("", "more than is free: the run may fail; a smaller batch needs less"))
        lines.append(("disk", f"{size(told.bytes)} of {size(told.disk_free)} free"))
    if costs.data:
        data = costs.data
        lines.append(("data", f"{plain(data.name)}, {amount(data.train)}+{amount(data.test)}"))
        lines += [("", plain(note)) for note in data.notes]
        if not data.ready:
            lines.append(("", plain(data.advice)))
    width = max((len(label) for label, _ in lines), default=0) + 1
    parts: list[tuple[str, str]] = []
    for label, words in lines:
        parts += [(f"{label:<{width}}" if label else "! ", "dim" if label else "$text-warning"), (f"{words}\n", "")]
    return Content.assemble(*parts)


def _time(told: "Forecast") -> list[tuple[str, str]]:
    if told.iterations == 0:
        return [("time", "nothing to train")]
    if told.rate is None:
        return [("time", "not measured here yet")]
    if told.guessed_by:
        return [("time", f"about {duration(told.seconds)}"), ("", f"guessed by the rate of {told.guessed_by} here")]
    rate = amount(told.rate) if told.rate >= 10 else f"{told.rate:.1f}"
    return [("time", f"{duration(told.seconds)}, {rate} it/s")]
