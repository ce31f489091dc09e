"""The order of a plan's rounds: what is ready, what is dropped, what can never be trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import LabError
from engine.runner.scheduler import Scheduler


@dataclass(frozen=True)
class Fake:
    """A round of a plan, as far as the scheduler looks at it."""

    key: str
    number: int
    dependencies: frozenset[str] = frozenset()
    program: str = "a"
    parent: str | None = None
    stop_on_collapse: bool = False


def plan(*rounds: Fake) -> dict[str, Any]:
    return {item.key: item for item in rounds}


def pruned(key: str, number: int, parent: str, **facts: Any) -> Fake:
    return Fake(key, number, frozenset({parent}), parent=parent, **facts)


def chains(trials: int, length: int, controls: int = 0) -> dict[str, Any]:
    """Trials of a ticket with so many controls in every round, trial by trial."""
    found = []
    for trial in range(trials):
        found.append(Fake(f"{trial}-0", 0))
        found += [pruned(f"{trial}-{number}", number, f"{trial}-{number - 1}") for number in range(1, length)]
        for copy in range(controls):
            found += [
                Fake(f"{trial}-{number}-{copy}", number, frozenset({f"{trial}-{number}"}))
                for number in range(1, length)
            ]
    return plan(*found)


def scheduler(rounds: dict[str, Any], stored: tuple[str, ...] = ()) -> Scheduler:
    return Scheduler(rounds, lambda item: item.program, stored)  # type: ignore[attr-defined]


def batches(schedule: Scheduler, width: int = 2, take: Callable[[Any], bool] = lambda item: True) -> list[list[str]]:
    """Every batch to the end, by keys."""
    found = []
    while batch := schedule.next_batch(lambda program: width, take):
        found.append([item.key for item in batch])
        for item in batch:
            schedule.finished(item.key)
    return found


def test_rounds_come_by_number_then_in_the_order_of_the_plan() -> None:
    schedule = scheduler(chains(trials=3, length=2, controls=1))
    assert batches(schedule) == [["0-0", "1-0"], ["2-0", "0-1"], ["0-1-0", "1-1"], ["1-1-0", "2-1"], ["2-1-0"]]
    schedule.check_end()


def test_a_batch_holds_rounds_of_one_program() -> None:
    rounds = plan(Fake("a", 0), Fake("b", 0, program="other"), Fake("c", 0), Fake("d", 1, program="other"))
    assert batches(scheduler(rounds), width=3) == [["a", "c"], ["b", "d"]]


def test_a_round_that_is_refused_stays_ready() -> None:
    schedule = scheduler(plan(Fake("a", 0), Fake("b", 0), Fake("c", 0)))
    assert batches(schedule, take=lambda item: item.key != "a") == [["b", "c"]]
    with pytest.raises(LabError, match="never became ready"):
        schedule.check_end()
    assert batches(schedule) == [["a"]]
    schedule.check_end()


def test_stored_rounds_come_in_the_order_of_the_plan_and_can_be_trained_after_all() -> None:
    rounds = chains(trials=2, length=3)
    schedule = scheduler(rounds, stored=("0-0", "0-1", "1-0", "1-2"))
    found = []
    while (item := schedule.next_stored()) is not None:
        found.append(item.key)
        if item.key == "1-0":
            schedule.train([item])
        else:
            schedule.finished(item.key)
    assert found == ["0-0", "0-1", "1-0"]
    assert batches(schedule) == [["1-0", "0-2"], ["1-1"]]
    assert schedule.next_stored() is rounds["1-2"]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_every_round_comes_once_after_those_that_it_needs(width: int) -> None:
    rounds = chains(trials=3, length=4, controls=2)
    schedule, done = scheduler(rounds), set[str]()
    while batch := schedule.next_batch(lambda program: width, lambda item: True):
        assert len(batch) <= width
        for item in batch:
            assert item.dependencies <= done
            assert item.key not in done
        for item in batch:
            done.add(item.key)
            schedule.finished(item.key)
    assert done == rounds.keys()


def test_what_is_pruned_from_a_diverged_round_is_dropped_with_all_below_it() -> None:
    rounds = chains(trials=2, length=4, controls=1)
    schedule = scheduler(rounds)
    found = []
    while batch := schedule.next_batch(lambda program: 1, lambda item: True):
        found.append(batch[0].key)
        schedule.finished(batch[0].key, diverged=batch[0].key == "0-1")
    trained = {key for key in found if key.startswith("0-")}
    assert trained == {"0-0", "0-1", "0-1-0"}, "the control of the diverged round has its mask"
    assert {key for key in found if key.startswith("1-")} == {key for key in rounds if key.startswith("1-")}
    schedule.check_end()


@pytest.mark.parametrize("asked", [False, True])
def test_what_is_pruned_from_a_collapsed_round_is_dropped_where_that_is_asked_for(asked: bool) -> None:
    schedule = scheduler(plan(Fake("a", 0), pruned("b", 1, "a", stop_on_collapse=asked)))
    (first,) = schedule.next_batch(lambda program: 1, lambda item: True)
    schedule.finished(first.key, collapsed=True)
    assert batches(schedule) == ([] if asked else [["b"]])
    schedule.check_end()


def test_a_plan_that_can_no_longer_move_fails() -> None:
    schedule = scheduler(plan(Fake("a", 0), pruned("b", 1, "gone"), pruned("c", 2, "b")))
    assert batches(schedule) == [["a"]]
    with pytest.raises(LabError, match=r"^2 rounds cannot be trained: round 1 \(b\) depends on gone, which is not in"):
        schedule.check_end()


def test_a_round_that_is_lost_is_trained_again_once_and_what_needs_it_waits() -> None:
    schedule = scheduler(chains(trials=1, length=3, controls=1))
    first = schedule.next_batch(lambda program: 1, lambda item: True)
    schedule.finished(first[0].key)
    second = schedule.next_batch(lambda program: 1, lambda item: True)
    schedule.train(second)
    assert schedule.lost("0-0")
    assert batches(schedule) == [["0-0"], ["0-1"], ["0-1-0", "0-2"], ["0-2-0"]]
    schedule.check_end()
    assert not schedule.lost("0-0")


def test_a_batch_that_is_put_back_comes_again() -> None:
    schedule = scheduler(chains(trials=2, length=2))
    batch = schedule.next_batch(lambda program: 2, lambda item: True)
    schedule.train(batch)
    assert batches(schedule, width=1) == [["0-0"], ["1-0"], ["0-1"], ["1-1"]]


class Counted(dict[str, Any]):
    """Counts how often any of its rounds is looked up."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        self.looks += 1
        return super().__getitem__(key)


def looks(trials: int) -> float:
    """Look-ups a round in a plan of so many trials of 20 rounds with two controls each."""
    rounds = Counted(chains(trials, length=20, controls=2))
    batches(scheduler(rounds), width=2)
    return rounds.looks / len(rounds)


def test_the_work_for_a_round_does_not_grow_with_the_plan() -> None:
    few, many = looks(5), looks(100)  # 290 and 5,800 rounds
    assert many <= few * 1.05
    assert many < 12
