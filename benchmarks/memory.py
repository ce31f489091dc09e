"""Memory of the interface over eight hours of redraws of a run at work, as fast as they can be drawn.

Live at 120x40 draws a run that this process feeds: its counters twice a second, a point of each curve every few
seconds, a round every few minutes, as an engine would, but without training.
"""

import asyncio
import gc
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.sides import Spread, line
from engine.spec import Study, parse_study
from engine.store import (
    ArmPlan,
    CurvePoint,
    DatasetFacts,
    LaneProgress,
    LayerCount,
    Progress,
    RoundFinished,
    RoundResult,
    RunFolder,
    RunStarted,
    Store,
)
from lth_tui.shell import LabApp
from screens.base import LabScreen

HOURS, WARM = 8, 2
PER_SECOND = round(1 / LabScreen.PERIOD)
POINT, ROUND = 5, 300
"""Simulated seconds from one point of the curves to the next, and from one round to the next."""
LAYERS = {"dense1": 235_200, "dense2": 30_000, "output": 1_000}
STUDY = """
name = "long"
trials = 2
[base.prune]
rounds = 49
[[arm]]
name = "ticket"
"""
GROWTH = 3.0


def measure() -> bool:
    """Print the figures of this machine; whether all targets are met."""
    with TemporaryDirectory() as folder:
        sizes = asyncio.run(_watched(Path(folder)))
    print(f"memory: Live at 120x40 while a run is at work, {HOURS} simulated hours at {PER_SECOND} redraws a second")
    print("  MB after each hour: " + ", ".join(f"{value / 1e6:.1f}" for value in sizes))
    grown = 100 * (sizes[-1] / sizes[WARM - 1] - 1)
    return line(f"more after hour {HOURS} than after hour {WARM}", Spread.of([grown]), GROWTH, at_most=True, unit=" %")


async def _watched(home: Path) -> list[int]:
    """Bytes of this process after each simulated hour."""
    asked, done, over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def engine(folder: RunFolder, store: Store) -> str:
        story = _story(folder, folder.study())
        while True:
            asked.acquire()
            if over.is_set():
                return "stopped"
            next(story)
            done.release()

    app = LabApp(home, study=parse_study(STUDY, source="benchmark"), source="benchmark", engine=engine)
    sizes = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")
        while app.lab.follower is None or not isinstance(app.screen, LabScreen) or app.screen.MODE != "live":
            await pilot.pause(0.05)
        for _ in range(HOURS):
            for _ in range(3600 * PER_SECOND):
                asked.release()
                done.acquire()
                app.screen._tick()
                await pilot.pause()
            gc.collect()
            sizes.append(psutil.Process().memory_info().rss)
        over.set()
        asked.release()
        while app.worker.active:
            await pilot.pause(0.05)
    return sizes


def _story(run: RunFolder, study: Study) -> Iterator[None]:
    """What an engine would tell in each half second."""
    seeds, rounds = (1, 2), tuple(range(study.base.prune.rounds + 1))
    run.append(
        RunStarted(
            run=run.id,
            study=study.name,
            hash=study.hash,
            dataset=DatasetFacts(name="mnist", train=55_000, validation=5_000, test=10_000),
            layers=LAYERS,
            arms=(ArmPlan(name="ticket", kind="ticket", seeds=seeds, rounds=rounds),),
            distinct=len(seeds) * len(rounds),
            stored=0,
            device="none",
            lanes=len(seeds),
        )
    )
    for tick in count():
        number, at = divmod(tick, ROUND * PER_SECOND)
        number = min(number, rounds[-1])
        lanes = tuple(
            LaneProgress(arm="ticket", trial=trial, round=number, key=f"{trial}{number:039d}") for trial in range(2)
        )
        total = len(lanes) * len(rounds) * ROUND * PER_SECOND
        run.set_progress(
            Progress(
                state="training",
                lanes=lanes,
                iteration=at,
                iterations=ROUND * PER_SECOND,
                steps_done=2 * tick,
                steps_total=total,
                rounds_done=2 * number,
                rounds_total=2 * len(rounds),
                rate=1000 + tick % 37,
                eta=float(total - 2 * tick),
            )
        )
        if tick % (POINT * PER_SECOND) == 0:
            for lane in lanes:
                loss = 1 / (1 + at)
                run.append_curve(
                    lane.key,
                    [CurvePoint(iteration=at, train_loss=loss, validation_loss=loss, validation_accuracy=1 - loss)],
                )
        if at == ROUND * PER_SECOND - 1 and number < rounds[-1]:
            for lane in lanes:
                run.append(_finished(lane, number))
        yield


def _finished(lane: LaneProgress, number: int) -> RoundFinished:
    return RoundFinished(
        arm=lane.arm,
        trial=lane.trial,
        round=number,
        key=lane.key,
        reused=False,
        result=RoundResult(
            iterations=ROUND * PER_SECOND,
            early_stop_iteration=ROUND,
            validation_loss=0.1,
            test_accuracy=0.98 - 0.0001 * number,
            test_accuracy_end=0.97,
            layers={name: LayerCount(survivors=int(size * 0.8**number), size=size) for name, size in LAYERS.items()},
            seconds=float(ROUND),
            diverged=False,
        ),
        similarity={},
    )
