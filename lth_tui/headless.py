"""A run without the interface: progress bars, then the table and the plot; or one event a line."""

import os
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from engine import datasets, plugins
from engine.errors import BadInput, LabError
from engine.experiment import check_room
from engine.spec import Study
from engine.store import Request, RunFolder, Stamped, Store
from engine.training.probe import check_platform
from engine.views import read_run
from lth_tui import terminal
from lth_tui.detach import attach_words, go_on_detached
from lth_tui.printing import PlainConsole, duration, print_notes, print_run
from screens.lab import Follower

_POLL = 0.25


def run_headless(study: Study, store: Store, name: str | None, *, as_json: bool, detach: bool = False) -> str:
    """Run `study` and print what it found; "done", or "stopped" by ctrl-c or from elsewhere. With `detach`, a process
    without a terminal runs it: "detached".

    As JSON, events are printed as they happen; else the table and the plot at the end. Raises LabError, and SystemExit
    once SIGTERM has stopped it, or once it goes on without the terminal that it has lost.
    """
    check_platform()
    prepare_data(study, store)
    check_room(study, store)
    with store.create(study, name) as folder:
        if detach:
            return _detach(folder.id, store)
        folder.own()
        return _execute(folder, store, as_json=as_json, show=True)


def resume_headless(run: str, store: Store, *, as_json: bool, show: bool = True, detach: bool = False) -> str:
    """Go on with a run that did not come to its end, where it was; else as `run_headless`. Table and plot
    only with `show`."""
    with store.open(run) as folder:
        study, view = folder.study(), read_run(folder)
        if view.status == "done":
            sys.stderr.write(f"{run} is done: nothing is left to train\n")
            if show and not as_json:
                print_run(view, view.status, study)
            return view.status
        plugins.check(folder.folder)
        check_platform()
        folder.own()
        prepare_data(study, store)
        if detach:
            folder.release()
            return _detach(run, store)
        return _execute(folder, store, as_json=as_json, show=show)


def _execute(folder: RunFolder, store: Store, *, as_json: bool, show: bool) -> str:
    hint = f"to go on where it was: lth-tui resume {folder.id}\n"
    with _signals(store, folder.id) as signals:
        try:
            status = _as_json(folder, store) if as_json else _with_progress(folder, store)
        except KeyboardInterrupt:
            sys.stderr.write(hint)
            if signal.SIGTERM in signals.came:
                raise SystemExit(128 + signal.SIGTERM) from None
            raise
        if status == "stopped" and signals.terminal_lost:
            go_on_detached(folder.id, store.home, signals.asked)
            raise SystemExit(128 + signal.SIGHUP)
    if show and not as_json:
        view = read_run(folder)
        print_run(view, view.status, folder.study())
    if status == "stopped":
        sys.stderr.write(hint)
        if signal.SIGTERM in signals.came:
            raise SystemExit(128 + signal.SIGTERM)
    return status


def _detach(run: str, store: Store) -> str:
    go_on_detached(run, store.home)
    sys.stdout.write(f"{attach_words(run)}\n")
    return "detached"


def follow_headless(run: str, store: Store) -> str:
    """Show where a run is until it is over, then print what it found; its status. Raises BadInput."""
    with store.open(run) as folder:
        follower = Follower(folder)
        if _goes_on(follower):
            with _bars() as progress, _followed(store, run, progress):
                while _goes_on(follower):
                    time.sleep(_POLL)
        if follower.problem:
            raise BadInput(follower.problem)
        print_run(read_run(folder), follower.status)
        return follower.status


def _goes_on(follower: Follower) -> bool:
    """Whether a run is at work, or on its way from one process to another."""
    for _ in range(2):
        follower.poll()
        if not follower.problem and (follower.at_work or follower.taken_up):
            return True
        time.sleep(_POLL)  # between the end of its work here and word of who goes on with it
    return False


def prepare_data(study: Study, store: Store) -> None:
    """See that the study's data set is ready, and print what of it is left out, converted and guessed. Raises
    BadInput."""
    name = study.base.data.name
    if not datasets.entry(name, store.home).ready:
        prepare_with_progress(name, store.home, None)
    print_notes(datasets.entry(name, store.home).notes, PlainConsole(stderr=True, highlight=False))


def prepare_with_progress(name: str, home: Path, source: Path | None) -> Path:
    """Prepare a data set under a progress bar on standard error. Raises BadInput."""
    with progress_bar(f"preparing {name}") as report:
        return datasets.prepare(name, home, source, report)


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar on standard error; what it gives takes the stage and the fraction done, 0 to 1."""
    with _bars() as progress:
        task = progress.add_task(doing, total=1.0, words="")
        yield lambda stage, done: progress.update(task, completed=done, words=stage)


def _as_json(folder: RunFolder, store: Store) -> str:
    """Print one event a line. Where nobody takes them any longer, the run is stopped, and the error raised."""
    from engine.runner import run

    lost: list[OSError] = []

    def line(stamped: Stamped) -> None:
        if lost:
            return
        facts = stamped.event.model_dump_json()
        try:
            sys.stdout.write(f'{{"id":{stamped.id},"time":{stamped.time!r},{facts[1:]}\n')
            sys.stdout.flush()
        except OSError as error:
            lost.append(error)
            folder.request(Request.STOP)

    status = run(folder, store, line)
    if lost:
        gone = "nobody reads its events any longer" if isinstance(lost[0], BrokenPipeError) else str(lost[0].strerror)
        hint = "" if status == "done" else f"; to go on where it was: lth-tui resume {folder.id}"
        sys.stderr.write(f"{folder.id} is {status}: {gone}{hint}\n")
        raise lost[0]
    return status


def _with_progress(folder: RunFolder, store: Store) -> str:
    from engine.runner import run

    with _bars() as progress, _followed(store, folder.id, progress):
        return run(folder, store)


def _bars() -> Progress:
    console = PlainConsole(stderr=True, highlight=False)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=console,
        transient=True,
        # Else an empty line would stand before what is said.
        disable=not console.is_terminal,
    )


@contextmanager
def _followed(store: Store, run: str, progress: Progress) -> Iterator[None]:
    """Show where the run is, read from the store by a thread of its own, as any other viewer would."""
    over = threading.Event()

    def follow() -> None:
        study = progress.add_task("study", total=None, words="")
        rounds = progress.add_task("round", total=None, words="preparing")
        with store.open(run) as folder:
            while not over.wait(_POLL):
                found = folder.progress()
                if found is None:
                    continue
                now = found[1]
                if now.rounds_total:
                    total = now.steps_total or 1
                    rate = "" if now.rate is None else f"{now.rate:,.0f} iterations/s"
                    eta = "" if now.eta is None else f", {duration(now.eta)} left"
                    words = f"{now.rounds_done}/{now.rounds_total} rounds, {rate}{eta}"
                    progress.update(study, completed=now.steps_done, total=total, words=words)
                lanes = ", ".join(f"{lane.arm} {lane.trial + 1} round {lane.round}" for lane in now.lanes[:4])
                more = f" and {len(now.lanes) - 4} more" if len(now.lanes) > 4 else ""
                words = f"{now.state}: {now.about}" if now.about else f"{now.state} {lanes}{more}"
                progress.update(rounds, completed=now.iteration, total=now.iterations or None, words=words)

    thread = threading.Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass
class _Signals:
    """The signals that came, and what was asked of the run before the first of them."""

    came: set[int] = field(default_factory=set)
    asked: Request | None = None

    @property
    def terminal_lost(self) -> bool:
        """Whether the run was asked to stop for no other reason."""
        return self.came == {signal.SIGHUP} and self.asked is not Request.STOP


@contextmanager
def _signals(store: Store, run: str) -> Iterator[_Signals]:
    """The first ctrl-c, SIGTERM or SIGHUP asks the run to stop, through the store; where it cannot be asked, or at a
    second ctrl-c, it stops at once.

    Without a terminal there is none to lose: SIGHUP is then ignored, as it is where the run cannot be asked.
    """
    found = _Signals()

    def ask(first: bool) -> None:
        try:
            with store.open(run) as folder:
                if first:
                    found.asked = folder.requested()
                folder.request(Request.STOP)
        except LabError as error:
            found.came &= {signal.SIGINT, signal.SIGTERM}  # without its terminal alone it goes on, here
            if found.came:
                sys.stderr.write(f"it cannot be asked to stop, and stops at once: {error}\n")
                interrupt_main()

    def handle(number: int, frame: FrameType | None) -> None:
        first = not found.came
        found.came.add(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr.write("stopping at a checkpoint (ctrl-c again stops at once)\n")
        # Not here: this may have interrupted a transaction of the same thread.
        threading.Thread(target=ask, args=(first,), name="stop").start()

    handlers: dict[int, Callable[[int, FrameType | None], None] | signal.Handlers] = {
        signal.SIGINT: handle,
        signal.SIGTERM: handle,
    }
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = handle if terminal.can_be_lost() else signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
