"""What drives the interface in tests: an App on a home, waiting for conditions, runs written by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from engine.spec import Study, load_study, parse_study
from engine.store import (
    ArmPlan,
    CurvePoint,
    DatasetFacts,
    Event,
    LaneProgress,
    LayerCount,
    Progress,
    ResourceUsage,
    RoundFinished,
    RoundResult,
    RunFolder,
    RunStarted,
    Similarity,
    Store,
)
from lth_tui.shell import LabApp
from lth_tui.worker import Engine

TINY = """
name = "tiny"
about = "small enough for a test"
trials = 2

[base.train]
iterations = 40
evaluate_every = 10

[base.prune]
rounds = 3

[[arm]]
name = "ticket"

[[arm]]
name = "reinit"
"""

LAYERS = {"dense1": 100, "output": 20}


@dataclass(frozen=True)
class Finished:
    """A run that the engine made, and its home."""

    home: Path
    run: str


def tiny_study() -> Study:
    return parse_study(TINY, source="tiny")


def idle_engine(folder: RunFolder, store: Store) -> str:
    return "done"


def lab_app(
    home: Path,
    study: Study | None = None,
    engine: Engine = idle_engine,
    *,
    toml: str = "",
    first: str = "configure",
    run: str | None = None,
) -> LabApp:
    """An App that opens with the mode `first`, following `run`."""
    source = "quickstart" if study is None else "tiny.toml"
    app = LabApp(home, study=study or load_study("quickstart"), source=source, engine=engine, toml=toml, first=first)
    if run is not None:
        app.lab.follow(run)
    return app


async def until(pilot: Pilot[None], condition: Callable[[], object], tries: int = 1500) -> None:
    """Let the interface work until the condition holds."""
    for _ in range(tries):
        if condition():
            await pilot.pause()
            return
        await pilot.pause(0.02)
    raise AssertionError("the condition never held")


def words(app: LabApp, selector: str) -> str:
    """What a Static shows."""
    return str(app.screen.query_one(selector, Static).visual)


def picture_of(app: LabApp) -> str:
    """The whole screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def started(run: str, rounds: int = 2, arms: tuple[str, ...] = ("ticket",), trials: int = 1) -> RunStarted:
    return RunStarted(
        run=run,
        study="by-hand",
        hash="0" * 40,
        dataset=DatasetFacts(name="digits", train=90, validation=10, test=30),
        layers=LAYERS,
        arms=tuple(
            ArmPlan(name=name, kind=name, seeds=tuple(range(1, trials + 1)), rounds=tuple(range(rounds + 1)))
            for name in arms
        ),
        distinct=rounds + 1,
        stored=0,
        device="cpu",
        lanes=2,
    )


def finished(number: int, accuracy: float | None = 0.9, arm: str = "ticket", trial: int = 0) -> RoundFinished:
    left = 0.8**number
    similarity = Similarity(alive=0.5, all=None, jaccard=left, chance=left * left)
    return RoundFinished(
        arm=arm,
        trial=trial,
        round=number,
        key=f"{arm}{trial}{number}",
        reused=False,
        result=RoundResult(
            iterations=100,
            early_stop_iteration=None if accuracy is None else 60,
            validation_loss=None if accuracy is None else 0.3,
            test_accuracy=accuracy,
            validation_accuracy=accuracy,
            test_accuracy_end=accuracy,
            test_accuracy_pruned=None,
            layers={name: LayerCount(survivors=int(size * left), size=size) for name, size in LAYERS.items()},
            seconds=1.5,
            diverged=accuracy is None,
        ),
        similarity=dict.fromkeys(LAYERS, similarity) if number else {},
    )


def write_run(home: Path, events: list[Event], study: Study | None = None, *, owned: bool = False) -> str:
    """A run with these events; `owned` by this process, as if it were at work."""
    with Store(home).create(study or tiny_study()) as folder:
        if owned:
            folder.own()
        for event in events:
            folder.append(event)
        return folder.id


def training(key: str, arm: str = "ticket", number: int = 1) -> Progress:
    return Progress(
        state="training",
        lanes=(LaneProgress(arm=arm, trial=0, round=number, key=key),),
        iteration=50,
        iterations=100,
        steps_done=150,
        steps_total=300,
        rounds_done=1,
        rounds_total=3,
        rate=1234.0,
        eta=75.0,
        use=ResourceUsage(cpu=1.5, cores=2, memory=4_000_000_000, memory_total=8_000_000_000),
    )


def points(*losses: float | None) -> list[CurvePoint]:
    return [
        CurvePoint(iteration=10 * place, train_loss=loss, validation_loss=loss, validation_accuracy=0.5)
        for place, loss in enumerate(losses, 1)
    ]
