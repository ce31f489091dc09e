"""The article's experiments, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from engine.claims import Verdict, judge, verdict_rows
from engine.errors import BadInput, InvariantViolated, LabError
from engine.experiment import check_room, forecast
from engine.spec import EXPERIMENTS, QUICK, Study, load_study
from engine.store import UNREADABLE, Store
from engine.views import read_run
from lth_tui.headless import prepare_data, resume_headless
from lth_tui.printing import duration


@dataclass(frozen=True)
class Experiment:
    """One of the list. `run` is None and `problem` says why where there is none; `verdicts` are of its run."""

    study: Study
    run: str | None = None
    status: str = "not run"
    problem: str = ""
    verdicts: tuple[Verdict, ...] = ()


def read_instead(given: Sequence[str]) -> dict[str, str]:
    """`NAME=OTHER` of the command line. Raises BadInput."""
    pairs = [text.partition("=") for text in given]
    known = {load_study(name).base.data.name for name in EXPERIMENTS}
    for (name, _, other), text in zip(pairs, given, strict=True):
        if name not in known or not other:
            raise BadInput(f"--data {text!r}: allowed: NAME=OTHER with a name of {', '.join(sorted(known))}")
    return {name: other for name, _, other in pairs}


def reproduce(store: Store, *, quick: bool, instead: Mapping[str, str], quiet: bool) -> Iterator[Experiment]:
    """Each experiment of the list once it is done, or as far as it came.

    One that was done before is taken as it is, one that was cut short goes on. `instead`: names of data sets, and of
    those to take for them. What cannot run here does not hinder the others. Ends after an experiment that was stopped.
    Raises InvariantViolated.
    """
    for number, name in enumerate(EXPERIMENTS, 1):
        study = load_study(name + QUICK if quick else name)
        if study.base.data.name in instead:
            study = load_study(study.name, (f"base.data.name={instead[study.base.data.name]}",))
        words = f"{number} of {len(EXPERIMENTS)}: {study.name}"
        try:
            run, status = _newest(store, study) or ("", "new")
            if status == "done":
                click.echo(f"{words} was done before, as {run}", err=True)
            else:
                prepare_data(study, store)
                on = f" goes on as {run}" if run else ""
                click.echo(f"{words}{on}, {_cost(study, store)}", err=True)
                if not run:
                    check_room(study, store)
                    with store.create(study) as folder:
                        run = folder.id
                status = resume_headless(run, store, as_json=False, show=not quiet)
        except InvariantViolated:
            raise
        except LabError as error:
            click.echo(f"{words} cannot run: {error}", err=True)
            yield Experiment(study, problem=str(error))
            continue
        yield Experiment(study, run, status, verdicts=_verdicts(store, study, run))
        if status == "stopped":
            return


def experiment_rows(found: list[Experiment]) -> list[dict[str, Any]]:
    """The experiments as JSON has them."""
    return [
        {
            "experiment": item.study.name,
            "data": item.study.base.data.name,
            "run": item.run,
            "status": item.status,
            "problem": item.problem,
            "claims": verdict_rows(list(item.verdicts)),
        }
        for item in found
    ]


def _newest(store: Store, study: Study) -> tuple[str, str] | None:
    """The newest run of just that study, or the newest one that is done; its status."""
    own: list[tuple[str, str]] = []
    for item in store.runs():
        if item.study == study.name and item.status not in UNREADABLE:
            with store.open(item.id) as folder:
                if folder.study() == study:
                    own.append((item.id, item.status))
    return next((run for run in own if run[1] == "done"), own[0] if own else None)


def _cost(study: Study, store: Store) -> str:
    told = forecast(study, store)
    time = "" if told.seconds is None else f", about {duration(told.seconds)}"
    return f"{told.distinct - told.stored} rounds to train{time}"


def _verdicts(store: Store, study: Study, run: str) -> tuple[Verdict, ...]:
    with store.open(run) as folder:
        return tuple(judge(read_run(folder), study))
