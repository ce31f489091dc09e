"""Where a run is: state, rounds and iterations with their rates."""

from textual.content import Content
from textual.widget import Widget

from engine.store import ResourceUsage
from engine.views import summary
from screens.keys import keyed
from screens.lab import Follower
from screens.text import STATUS_MARKS, STATUS_STYLES, amount, bar, duration, plain, size

WORDS = {
    "preparing": "preparing the data",
    "taking": "taking the rounds that are stored",
    "compiling": "compiling",
    "starting": "starting the engine",
    "stopping": "stopping…",
    "pausing": "pausing…",
    "interrupted": "interrupted: its process is gone; {live.take-up} goes on with it",
    "new": "not begun",
}

BAR_CELLS = 4


class RunStatus(Widget):
    """Three lines on a run; redrawn when one of them changed."""

    def __init__(self, *, id: str | None = None):
        super().__init__(id=id)
        self._lines: tuple[Content, ...] = ()
        self._told: object = None

    def show(self, follower: Follower | None, state: str) -> None:
        """Tell of a run in a state."""
        run = None if follower is None else (follower.run, follower.progress, state, follower.view.last_event)
        told = (run, self.size.width)
        if told == self._told:
            return
        self._told = told
        self._lines = () if follower is None else self._describe(follower, state)
        self.refresh()

    def render(self) -> Content:
        return Content("\n").join(self._lines)

    def _describe(self, follower: Follower, state: str) -> tuple[Content, ...]:
        view, progress = follower.view, follower.progress
        status = (
            "running"
            if state in ("training", "testing", "waiting", "preparing", "compiling", "starting", "pausing")
            else state
        )
        if state == "preparing" and progress is not None and progress.rounds_total:
            state = "taking"
        mark, style = STATUS_MARKS.get(status, "▶"), STATUS_STYLES.get(status, "")
        parts: list[Content | str | tuple[str, str]] = [
            (f"{mark} {keyed(self.app, WORDS.get(state, state))}", style or "bold")
        ]
        parts += ["  ", plain(follower.run)]
        if progress is not None and progress.use is not None and follower.at_work:
            parts += _use_words(progress.use)
        elif view.dataset is not None:
            data = view.dataset
            parts.append(
                f"  {plain(data.name)} {amount(data.train)}+{amount(data.validation)}, test {amount(data.test)}"
            )
        diverged = sum(item.result.diverged for item in view.state.rounds.values())
        if diverged:
            parts.append((f"  ! {diverged} diverged", "$text-warning"))
        first = Content.assemble(*parts)
        live = progress is not None and follower.at_work and state not in ("starting",)
        if progress is None or not live:
            words = follower.problem or view.message or (summary(view) if view.seconds is not None else "")
            return first, self._bar("rounds", view.rounds_done, view.rounds_total, ""), Content(plain(words))
        eta = f"{duration(progress.eta)} left" if progress.eta is not None else ""
        done, total = (progress.steps_done, progress.steps_total)
        rate = f"{amount(progress.rate)} it/s" if progress.rate else ""
        share = done / total if total else None
        if progress.about:
            return (
                first,
                self._bar("rounds", view.rounds_done, view.rounds_total, "", share),
                Content(plain(progress.about)),
            )
        lanes = f"{len(progress.lanes)} lanes" if len(progress.lanes) != 1 else "1 lane"
        return (
            first,
            self._bar("rounds", view.rounds_done, view.rounds_total, eta, share),
            self._bar("iteration", progress.iteration, progress.iterations, f"{lanes}  {rate}"),
        )

    def _bar(self, label: str, done: int, total: int, after: str, fraction: float | None = None) -> Content:
        """`fraction` is what the bar shows where it is finer than `done` of `total`."""
        if fraction is None:
            fraction = done / total if total else 0.0
        count = f"{amount(done)}/{amount(total)}" if total else "-"
        width = max(8, min(40, self.size.width - 50))
        drawn = bar(fraction, width)
        return Content.assemble((f"{label:<10}", "dim"), (drawn, "$success"), f" {fraction:4.0%}  {count}  {after}")


def _use_words(use: ResourceUsage) -> list[Content | str | tuple[str, str]]:
    """How busy the cores are that a run may use, and what it has of the memory, of its devices where they have some."""
    parts: list[Content | str | tuple[str, str]] = []
    busy, told = use.cpu / use.cores, ("memory", use.memory, use.memory_total)
    if use.device_memory_total:
        told = ("GPU memory", use.device_memory, use.device_memory_total)
    name, used, total = told
    for label, share, words in (
        ("CPU", busy, f"{busy:.0%}"),
        (name, used / total if total else 0.0, f"{size(used)}"),
    ):
        parts += [f"  {label} ", (bar(share, BAR_CELLS), "$success"), f" {words}"]
    return parts
