"""The public Python interface: run studies, and read their rounds, masks and weights.

Arms are named as in the study, trials counted from 1 as on the screens, rounds from 0, which is dense. Tables are data
frames of polars, else of pandas, else lists of dictionaries. Accuracies are from 0 to 1, densities in percent. Every
expected failure is a `LabError` of one line; its subclass `BadInput` is one that other arguments avoid.
"""

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from engine import paths
from engine.errors import BadInput, InvariantViolated, LabError
from engine.plugins import check, load, load_inherited
from engine.spec import Study, load_study, parse_study, to_toml
from engine.store import Event, Progress, Request, RunFolder, Store
from engine.views import RunView, read_run, show_json, summary_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BadInput", "InvariantViolated", "Lab", "LabError", "Run", "open"]

Frame: TypeAlias = Any
"""A `polars.DataFrame`, else a `pandas.DataFrame`, else a `list[dict[str, Any]]`: the first that is installed."""
Setting: TypeAlias = bool | int | float | str | Sequence[Any]
"""The value of a field of a study."""
Which = Literal["final", "best", "initial"]
Part = TypeVar("Part")

_POLL_S = 0.2


def open(home: str | os.PathLike[str] | None = None, *, plugins: Sequence[str | os.PathLike[str]] = ()) -> "Lab":
    """Open the laboratory that keeps its runs below `home`; without one, that of the command line.

    Nothing is created before it is needed.

    **Arguments:** `plugins`, Python files that register networks, criteria, data sets and so on, as `--plugin` takes
    them; installed plug-ins are loaded too. **Raises:** BadInput for a plug-in that cannot be loaded.
    """
    load_inherited()
    load([Path(file) for file in plugins])
    return Lab(paths.home() if home is None else Path(home).expanduser().absolute())


class Lab:
    """The runs below one folder, `home`."""

    def __init__(self, home: Path):
        self.home = home
        self._store = Store(home)

    def __repr__(self) -> str:
        return f"lth_tui.open({str(self.home)!r})"

    def run(
        self,
        study: str | os.PathLike[str] | Study,
        *,
        set: Mapping[str, Setting] | None = None,
        name: str | None = None,
        wait: bool = True,
    ) -> "Run":
        """Train a study, round after round.

        **Arguments:** `study`, the name of a preset, the path of a TOML file, or a `Study`; `set`, fields to change, as
        in `{"base.prune.rounds": 3, "arm.reinit.per_ticket": 2}`; `name` of the run; `wait=False` trains in a thread of
        this process and returns at once: see `Run.wait`, `Run.follow` and `Run.stop`.
        **Returns:** the run; it is "stopped" where that was asked for from elsewhere. `Lab.resume` continues it.
        **Raises:** BadInput for a study that is invalid or impossible here, LabError where training fails.
        """
        from engine import datasets
        from engine.experiment import check_room

        settled = self.study(study, set=set)
        data = settled.base.data.name
        if not datasets.entry(data, self.home).ready:
            datasets.prepare(data, self.home)
        check_room(settled, self._store)
        with self._store.create(settled, name) as folder:
            made = Run(self, folder.id)
        return self._train(made, wait)

    def resume(self, run: "str | Run", *, wait: bool = True) -> "Run":
        """Continue a run that was stopped, interrupted or failed. Its results are as if it had never been interrupted.

        **Arguments:** as of `run`. **Raises:** as `run`; BadInput too while another process trains it.
        """
        return self._train(self.open_run(run if isinstance(run, str) else run.name), wait)

    def study(self, study: str | os.PathLike[str] | Study, *, set: Mapping[str, Setting] | None = None) -> Study:
        """Read and check a study without running it; arguments as of `run`. **Raises:** BadInput."""
        settings = tuple(f"{field}={_toml(field, value)}" for field, value in (set or {}).items())
        if isinstance(study, Study):
            return parse_study(to_toml(study), source=study.name, settings=settings, note=_warn) if settings else study
        return load_study(os.fspath(study), settings, _warn)

    def runs(self) -> Frame:
        """Return a table of all runs, the newest first: name, title, study, status, dataset, device, trials, created
        (seconds since the epoch), rounds_done, rounds_total, seconds, and the mean test accuracies of the first arm:
        dense, best and last."""
        return _frame([_summary_row(summary_json(item)) for item in self._store.runs()])

    def open_run(self, name: str) -> "Run":
        """Return the run of that name. **Raises:** BadInput that lists the newest runs."""
        self._store.check_name(name)
        return Run(self, name)

    def _train(self, run: "Run", wait: bool) -> "Run":
        if wait:
            _execute(self._store, run.name)
        else:
            run._thread = _Training(self._store, run.name)
        return run


class Run:
    """One execution of a study, running or over: everything is read from the store when it is asked for."""

    def __init__(self, lab: Lab, name: str):
        self.lab, self.name = lab, name
        self._store = Store(lab.home)
        self._thread: _Training | None = None

    def __repr__(self) -> str:
        view = self.view
        return f"<run {self.name}: {self.status}, {view.rounds_done} of {view.rounds_total} rounds>"

    # What it is

    @property
    def status(self) -> str:
        """new, running, paused, done, stopped, failed, or interrupted: its process ended before the run did."""
        with self._folder() as folder:
            return folder.status(read_run(folder).status)

    @property
    def study(self) -> Study:
        """The study that it executes."""
        with self._folder() as folder:
            return folder.study()

    @property
    def title(self) -> str:
        """What its user calls it, in one line; may be empty."""
        with self._folder() as folder:
            return folder.title

    @property
    def note(self) -> str:
        """What its user wrote about it, in a few lines; may be empty."""
        with self._folder() as folder:
            return folder.note

    @property
    def progress(self) -> Progress | None:
        """What it is doing now, with rounds, iterations, rate and remaining seconds; None before it began."""
        with self._folder() as folder:
            found = folder.progress()
            return found[1] if found else None

    @property
    def view(self) -> RunView:
        """Its state, folded from its events."""
        with self._folder() as folder:
            return read_run(folder)

    def to_json(self) -> dict[str, Any]:
        """Return what `lth-tui show --json` prints: `p_m` in percent, accuracies from 0 to 1."""
        with self._folder() as folder:
            view = read_run(folder)
            return show_json(view, folder.status(view.status))

    # What it found

    def rounds(self) -> Frame:
        """Return a table with a row for each finished round of each trial.

        Columns: arm, trial, seed, round, density (weights left in percent), survivors (weights left),
        early_stop_iteration (of the lowest validation loss), validation_loss, validation_accuracy, test_accuracy (with
        the weights of that iteration), test_accuracy_end (with the last weights), test_accuracy_pruned (under the new
        masks, before training), collapsed, seconds, key, reused; and the registered measures of the whole network.
        """
        return _frame(round_rows(self.view))

    def layers(self) -> Frame:
        """Return a table with a row for each layer of each finished round: arm, trial, seed, round, layer, density,
        survivors, size, spearman (the rank correlation of |w| with the round before over weights left in both), and the
        registered measures of layers."""
        return _frame(layer_rows(self.view))

    def curve(self, arm: str, trial: int, round: int) -> Frame:
        """Return a table with a row for each validation of a round: iteration, train_loss, validation_loss (nats per
        example), validation_accuracy."""
        key = self._key(arm, trial, round)
        with self._folder() as folder:
            points = folder.curve(key)
        return _frame([point.model_dump() for point in points or self._readable(self._store.rounds.read_curve, key)])

    def masks(self, arm: str, trial: int, round: int) -> "dict[str, NDArray[np.bool_]]":
        """Return the masks of a round by parameter: True where a weight is left."""
        return dict(self._readable(self._store.rounds.read_masks, self._key(arm, trial, round)))

    def weights(self, arm: str, trial: int, round: int, which: Which = "final") -> "dict[str, NDArray[np.float32]]":
        """Return the parameters of a round by path; pruned weights are zero.

        **Arguments:** `which`: "final", after the last iteration; "best", at the lowest validation loss, which
        `test_accuracy` belongs to; "initial", the trial's weights before any training, under the masks of the round.
        """
        if which not in ("final", "best", "initial"):
            raise BadInput(f"which {which!r}; allowed: 'final', 'best', 'initial'")
        if which != "initial":
            stored = self._readable(self._store.rounds.read, self._key(arm, trial, round))
            return dict((stored.final if which == "final" else stored.best).params)
        masks, initial = self.masks(arm, trial, round), self._initial(self._seed(arm, trial))
        return {name: value * masks[name] if name in masks else value for name, value in initial.items()}

    # While it runs

    def follow(self) -> Iterator[Event]:
        """Yield the events of the run from the first one on, as they happen, until it is over."""
        after = 0
        with self._folder() as folder:
            while True:
                alive = folder.owner_alive()
                for stamped in folder.events(after=after):
                    after = stamped.id
                    yield stamped.event
                if not alive:
                    return
                time.sleep(_POLL_S)

    def wait(self, timeout: float | None = None) -> "Run":
        """Wait for the run to end, at most `timeout` seconds, and return it.

        **Raises:** the error that ended it, where this process trains it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._thread is not None:
            self._thread.wait(timeout)
            return self
        with self._folder() as folder:
            while folder.owner_alive() and (deadline is None or time.monotonic() < deadline):
                time.sleep(_POLL_S)
        return self

    def pause(self) -> None:
        """Ask the process that trains the run to pause it."""
        self._request(Request.PAUSE)

    def unpause(self) -> None:
        """Ask the process that trains the run to go on after `pause`."""
        self._request(Request.RESUME)

    def stop(self) -> None:
        """Ask the process that trains the run to stop it at a checkpoint; `Lab.resume` continues it."""
        self._request(Request.STOP)

    def _request(self, request: Request) -> None:
        with self._folder() as folder:
            if not folder.owner_alive():
                raise BadInput(f"run {self.name!r} is {self.status}; allowed: a run that is running")
            folder.request(request)

    def _folder(self) -> RunFolder:
        return self._store.open(self.name)

    def _seed(self, arm: str, trial: int) -> int:
        view = self.view
        names = [item.name for item in view.arms]
        if arm not in names:
            raise BadInput(f"arm {arm!r}; allowed: {', '.join(names) or 'none yet'}")
        trials = view.arm(arm).trials
        if not 1 <= trial <= len(trials):
            raise BadInput(f"trial {trial} of arm {arm!r}; allowed: 1 to {len(trials)}")
        return trials[trial - 1].seed

    def _key(self, arm: str, trial: int, round: int) -> str:
        self._seed(arm, trial)
        finished = self.view.arm(arm).trials[trial - 1].rounds
        if round not in finished:
            known = ", ".join(map(str, finished)) or "none yet"
            raise BadInput(f"round {round} of arm {arm!r}, trial {trial}; allowed: {known}")
        return finished[round].key

    def _readable(self, read: Callable[[str], Part | None], key: str) -> Part:
        """What `read` gives of a round. Raises LabError where its file is missing or damaged."""
        found = read(key)
        if found is None:
            raise LabError(f"{self._store.rounds.path(key)} is missing or damaged; to train it again: run the study")
        return found

    def _initial(self, seed: int) -> "dict[str, NDArray[np.float32]]":
        from engine import datasets
        from engine.networks import build, initial_weights
        from engine.training import prepare_jax

        base = self.study.base
        data = datasets.entry(base.data.name, self.lab.home)
        prepare_jax(paths.cache_folder(self.lab.home))
        network = build(base.network.name, data.image_shape, data.classes, **base.network.parameters)
        return initial_weights(network, seed).params


def _warn(words: str) -> None:
    """Warn of what is left out of a study."""
    warnings.warn(words, stacklevel=5)


def round_rows(view: RunView) -> list[dict[str, Any]]:
    """The rows of `Run.rounds`: what `show --json` says of a round, without what it says of layers."""
    return [
        {
            **place,
            **{_COLUMNS.get(name, name): value for name, value in found.items() if _is_plain(name, value)},
            **_measured(found, ""),
        }
        for place, found in _rounds(view)
    ]


def layer_rows(view: RunView) -> list[dict[str, Any]]:
    """The rows of `Run.layers`."""
    return [
        {
            **place,
            "round": found["round"],
            "layer": layer,
            "density": 100 * count["survivors"] / count["size"],
            **count,
            "spearman": found["spearman"].get(layer),
            **_measured(found, layer),
        }
        for place, found in _rounds(view)
        for layer, count in found["layers"].items()
    ]


_COLUMNS = {"p_m": "density"}


def _is_plain(name: str, value: object) -> bool:
    """Whether a value is a number or a word; `early_bird` may be None, as a number may."""
    return name != "early_bird" and not isinstance(value, (Mapping, list, tuple))


def _measured(found: Mapping[str, Any], layer: str) -> dict[str, Any]:
    """The measures of a layer; those of the whole network are of the layer ""."""
    return {name: values[layer] for name, values in found.get("measures", {}).items() if layer in values}


def _rounds(view: RunView) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Each finished round: where it is, and what `show --json` says of it."""
    for arm in show_json(view, view.status)["arms"]:
        for number, trial in enumerate(arm["trials"], 1):
            for found in trial["rounds"]:
                yield {"arm": arm["name"], "trial": number, "seed": trial["seed"]}, found


def _summary_row(found: dict[str, Any]) -> dict[str, Any]:
    row = {"name": found["id"], **{name: value for name, value in found.items() if name not in ("id", "name")}}
    return {name: value for name, value in row.items() if not isinstance(value, (Mapping, list, tuple))}


def _frame(rows: list[dict[str, Any]]) -> Frame:
    try:
        import polars  # type: ignore[import-not-found, unused-ignore]

        return polars.DataFrame(rows, infer_schema_length=None)
    except ImportError:
        pass
    try:
        import pandas  # type: ignore[import-not-found, import-untyped, unused-ignore]

        return pandas.DataFrame(rows)
    except ImportError:
        return rows


def _toml(field: str, value: Setting) -> str:
    """A value as TOML. Raises BadInput for what TOML has no value for."""
    try:
        if value is None:
            raise TypeError
        # JSON's strings, numbers and lists are TOML's; NumPy's numbers turn into Python's.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=lambda item: item.item())
    except (TypeError, ValueError, AttributeError):
        raise BadInput(f"{field}: found {value!r}; allowed: a number, a text, True, False, or a list of them") from None


def _execute(store: Store, name: str, owned: threading.Event | None = None) -> None:
    from engine.runner import run

    with store.open(name) as folder:
        check(folder.folder)
        folder.own()
        if owned is not None:
            owned.set()
        run(folder, store)


class _Training:
    """A thread that trains a run. It ends with the process: the run can then be resumed."""

    def __init__(self, store: Store, name: str):
        self._error: BaseException | None = None
        self._owned = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(store, name), name=f"train {name}", daemon=True)
        self._thread.start()
        self._owned.wait()
        if self._error is not None:
            raise self._error

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end. Raises the error that ended the training."""
        self._thread.join(timeout)
        if self._error is not None and not self._thread.is_alive():
            raise self._error

    def _work(self, store: Store, name: str) -> None:
        try:
            _execute(store, name, self._owned)
        except BaseException as error:
            self._error = error
        finally:
            self._owned.set()
