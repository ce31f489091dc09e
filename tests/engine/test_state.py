"""The one fold of events: status, rounds, and seconds of work over interruptions."""

from engine.store import (
    ArmPlan,
    DatasetFacts,
    Diverged,
    Event,
    LayerCount,
    Paused,
    Resumed,
    RoundFinished,
    RoundResult,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    Signal,
)
from engine.store.state import RunState
from engine.store.summary import summarise

STARTED = RunStarted(
    run="run",
    study="study",
    hash="hash",
    dataset=DatasetFacts(name="digits", train=3, validation=2, test=1),
    layers={"output": 100},
    arms=(ArmPlan(name="ticket", kind="ticket", seeds=(1, 2), rounds=(0, 1)),),
    distinct=4,
    stored=0,
    device="cpu",
    lanes=2,
)


def finished(number: int, accuracy: float, validation: float, trial: int = 0, *, reused: bool = False) -> RoundFinished:
    result = RoundResult(
        iterations=1,
        early_stop_iteration=1,
        validation_loss=1,
        test_accuracy=accuracy,
        test_accuracy_end=accuracy,
        layers={"output": LayerCount(survivors=100 >> number, size=100)},
        seconds=1,
        diverged=False,
        validation_accuracy=validation,
    )
    return RoundFinished(
        arm="ticket", trial=trial, round=number, key=f"{trial}{number}", reused=reused, result=result, similarity={}
    )


def begun(number: int, trial: int = 0) -> RoundStarted:
    return RoundStarted(arm="ticket", trial=trial, round=number, key=f"{trial}{number}")


def state_of(*events: tuple[float, Event]) -> RunState:
    state = RunState()
    for time, event in events:
        state.apply(event, time)
    return state


def test_a_run_is_new_running_paused_and_ended() -> None:
    state, seen = RunState(), ["new"]
    end = RunFinished(status="stopped", trained=0, reused=0, seconds=3, message="by you")
    for event in (STARTED, Paused(), Resumed(), end, RunResumed()):
        state.apply(event)
        seen.append(state.status)
    assert seen == ["new", "running", "paused", "running", "stopped", "running"]
    assert (state.seconds, state.message) == (None, "")


def test_rounds_are_in_training_until_they_end_or_the_process_does() -> None:
    lost = Diverged(arm="ticket", trial=1, round=0, key="10")
    state = state_of((0, STARTED), (1, begun(0)), (1, begun(0, 1)), (2, finished(0, 0.9, 0.9)), (3, lost))
    assert (state.training, state.begun, state.diverged) == (set(), {"00", "10"}, [lost])
    state.apply(begun(1))
    assert state.training == {("ticket", 0, 1)}
    state.apply(RunResumed())
    assert (state.training, state.begun) == (set(), {"00", "01", "10"})


def test_work_is_counted_over_interruptions_and_not_between_them() -> None:
    state = state_of((100, STARTED), (110, begun(0)))
    assert (state.worked(), state.worked(130)) == (10, 30)
    state.apply(RunResumed(), 1000)
    state.apply(begun(0), 1007)
    assert state.worked() == 17
    state.apply(RunFinished(status="done", trained=1, reused=0, seconds=21.5), 1009)
    assert (state.worked(), state.worked(5000), state.seconds) == (21.5, 21.5, 21.5)


def test_what_was_reported_is_known_by_its_place() -> None:
    signal = Signal(kind="stabilised", arm="ticket", trial=0, round=1, layer=None, text="so")
    state = state_of((0, STARTED), (1, finished(0, 0.9, 0.9, reused=True)), (2, signal))
    assert state.reported(finished(0, 0.1, 0.1))
    assert not state.reported(finished(1, 0.9, 0.9))
    assert state.reported(signal)
    assert not state.reported(signal.model_copy(update={"round": 2}))
    assert (state.trained, state.reused, state.rounds_total) == (0, 1, 4)


def test_a_copy_goes_its_own_way() -> None:
    state = state_of((0, STARTED), (1, begun(0)))
    twin = state.copy()
    assert twin == state
    twin.apply(finished(0, 0.9, 0.9), 2)
    assert (len(state.rounds), len(twin.rounds), len(state.training)) == (0, 1, 1)


def test_a_summary_has_means_over_trials_and_the_round_that_validation_chose() -> None:
    rounds = [finished(0, 0.5, 0.75), finished(0, 1.0, 0.75, 1), finished(1, 0.875, 0.5)]
    state = state_of((0, STARTED), *((1, it) for it in rounds))
    found = summarise(state, "run", study="study", title="", note="", created=0)
    assert [tuple(it) for it in found.rounds] == [(0, 100.0, 0.75, 0.75), (1, 50.0, 0.875, 0.5)]
    assert (found.dense, found.best, found.last, found.trials) == (0.75, 0.75, 0.875, 2)
