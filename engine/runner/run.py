"""Execute one run of a study, from the first round to the last."""

import time
from collections.abc import Callable
from typing import Literal

from engine import plugins
from engine.errors import InvariantViolated, LabError
from engine.paths import cache_folder
from engine.runner.coordinator import Coordinator
from engine.runner.history import RunHistory
from engine.runner.session import RunSession, Stopped
from engine.runner.train import Trainer
from engine.store import InvariantFailed, RunFinished, RunFolder, RunResumed, Stamped, Store
from engine.training import machine, prepare_jax

Report = Callable[[Stamped], None]


def run(folder: RunFolder, store: Store, report: Report | None = None) -> str:
    """Execute the study in `folder` to its end; return "done", or "stopped" when that was requested.

    Every event is written into the folder and then passed to `report`. A run that was interrupted continues, and ends
    as if it had never been. Raises LabError when an invariant is violated or this machine cannot run the study; the
    run is then marked failed, as after any other error. Raises BadInput, and changes nothing, while another process
    has the run, and where the run cannot continue here with the same bits.
    """
    folder.own()
    try:
        plugins.check(folder.folder)
        history = RunHistory(folder)
        if history.status == "done":
            return "done"
        prepare_jax(cache_folder(store.home))
        trainer = Trainer(folder.study(), store) if history.started else None
        if trainer is not None:
            history.refuse_unlike(trainer.plan, machine().tag)
        return _execute(folder, store, history, trainer, report)
    finally:
        store.round_locks.release()
        folder.release()


def _execute(
    folder: RunFolder, store: Store, history: RunHistory, trainer: Trainer | None, report: Report | None
) -> str:
    begun = time.perf_counter()
    session = RunSession(folder, report)
    coordinator: Coordinator | None = None
    status: Literal["done", "stopped", "failed"] = "failed"
    message = ""
    try:
        session.prepare()
        if history.status != "new":
            session.emit(RunResumed())
        coordinator = Coordinator(trainer or Trainer(folder.study(), store), store, history, session)
        status = "done" if coordinator.run() else "stopped"
    except Stopped:
        status = "stopped"
    except LabError as error:
        if isinstance(error, InvariantViolated):
            session.conclude(
                InvariantFailed(law=error.invariant, layer=error.layer, round=error.round, found=error.found)
            )
        message = str(error)
        raise
    except KeyboardInterrupt:
        status = "stopped"
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: {error}"
        raise
    finally:
        trained, reused = (coordinator.trained, coordinator.reused) if coordinator else (0, 0)
        seconds = history.seconds + time.perf_counter() - begun
        session.conclude(RunFinished(status=status, trained=trained, reused=reused, seconds=seconds, message=message))
    return status
