"""One run of a study, from the first round to the last."""

import time
from collections.abc import Callable
from typing import Literal

from engine import plugins
from engine.errors import InvariantViolated, LabError
from engine.paths import cache_folder
from engine.runner.history import RunHistory
from engine.runner.scheduler import Scheduler
from engine.runner.session import RunSession, Stopped
from engine.runner.train import Trainer
from engine.store import InvariantFailed, RunFinished, RunFolder, RunResumed, Stamped, Store
from engine.training import machine, prepare_jax

Report = Callable[[Stamped], None]


def run(folder: RunFolder, store: Store, report: Report | None = None) -> str:
    """Execute the study in `folder` to its end; "done", or "stopped" when that was asked for.

    Every fact goes into the folder as an event, and then to `report`. A run that did not come to its end goes on where
    it was: what is missing is done and told, and in the end all is as if it had never been interrupted. Raises
    LabError after a broken guard or for a study that this machine cannot run; the run is then marked failed, as it is
    after any other error. Raises BadInput, and changes nothing, while another process has the run, and where it cannot
    go on here with the same bits.
    """
    folder.own()
    try:
        plugins.check(folder.folder)
        past = RunHistory(folder)
        if past.status == "done":
            return "done"
        prepare_jax(cache_folder(store.home))
        bench = Trainer(folder.study(), store) if past.started else None
        if bench is not None:
            past.refuse_unlike(bench.plan, machine().tag)
        return _execute(folder, store, past, bench, report)
    finally:
        store.round_locks.release()
        folder.release()


def _execute(folder: RunFolder, store: Store, past: RunHistory, bench: Trainer | None, report: Report | None) -> str:
    begun = time.perf_counter()
    pilot = RunSession(folder, report)
    work: Scheduler | None = None
    status: Literal["done", "stopped", "failed"] = "failed"
    message = ""
    try:
        pilot.prepare()
        if past.status != "new":
            pilot.say(RunResumed())
        work = Scheduler(bench or Trainer(folder.study(), store), store, past, pilot)
        status = "done" if work.walk() else "stopped"
    except Stopped:
        status = "stopped"
    except LabError as error:
        if isinstance(error, InvariantViolated):
            pilot.conclude(InvariantFailed(law=error.law, layer=error.layer, round=error.round, found=error.found))
        message = str(error)
        raise
    except KeyboardInterrupt:
        status = "stopped"
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        trained, reused = (work.trained, work.reused) if work else (0, 0)
        seconds = past.seconds + time.perf_counter() - begun
        pilot.conclude(RunFinished(status=status, trained=trained, reused=reused, seconds=seconds, message=message))
    return status
