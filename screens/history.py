"""All that was typed into the form, in the order in which it was: nothing that undo takes back is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from engine.errors import BadInput, Unwritable
from engine.store import Drafts
from screens.form import Form, Typed

MOST_STEPS = 500
"""Kept of one laboratory; the oldest go first."""
PAUSE_SECONDS = 2.0
"""What is typed into one place without such a pause is one step."""


@dataclass(frozen=True)
class Step:
    """What the form said. `source`: what it was filled from, a preset's name, a file or a run; `draft` names the
    sitting at it; `began` whether nothing had been typed yet."""

    typed: Typed
    source: str
    draft: str
    began: bool = False


_STEP = TypeAdapter(Step)


class History:
    """The steps, and which of them is in the form. A change after an undo puts the steps that were undone before it, so
    that they can be undone to."""

    def __init__(self, typed: Typed, source: str):
        self._steps = [_beginning(typed, source)]
        self._at = 0
        self._place, self._when = "", 0.0

    @property
    def now(self) -> Step:
        """What is in the form."""
        return self._steps[self._at]

    def begin(self, typed: Typed, source: str) -> None:
        """The form is filled anew."""
        self._add(_beginning(typed, source))
        self._place = ""

    def change(self, typed: Typed, place: str, when: float) -> None:
        """Something was typed at a place, '' for what is a step of its own, at a time in seconds."""
        if typed == self.now.typed:
            return
        now = self.now
        begun = next((step.typed for step in self._steps if step.began and step.draft == now.draft), None)
        step = replace(now, typed=typed, began=typed == begun)
        if place and place == self._place and when - self._when < PAUSE_SECONDS and self._at == len(self._steps) - 1:
            self._steps[self._at] = step
        else:
            self._add(step)
        self._place, self._when = place, when

    def pause(self) -> None:
        """What is typed next is a step of its own, wherever it is."""
        self._place = ""

    def recall(self, drafts: Sequence[Step]) -> None:
        """What was typed before this laboratory was opened, the oldest first: undone to from its first step."""
        self._steps[:0] = drafts
        self._at += len(drafts)

    def go(self, by: int) -> bool:
        """Undo (-1) or redo (1); whether there was a step to go to."""
        if not 0 <= self._at + by < len(self._steps):
            return False
        self._at += by
        self._place = ""
        return True

    def beginning(self, source: str) -> Typed | None:
        """What the form said when it was last filled from there."""
        return next((step.typed for step in reversed(self._steps) if step.began and step.source == source), None)

    def can(self, by: int) -> bool:
        """Whether there is a step to go to."""
        return 0 <= self._at + by < len(self._steps)

    def _add(self, step: Step) -> None:
        undone = self._steps[self._at + 1 :]
        self._steps += [*reversed(undone[:-1]), self.now] if undone else []
        self._steps.append(step)
        del self._steps[:-MOST_STEPS]
        self._at = len(self._steps) - 1


def _beginning(typed: Typed, source: str) -> Step:
    return Step(typed, source, uuid4().hex, began=True)


def keep_draft(drafts: Drafts, step: Step, wanted: bool) -> str:
    """Keep what was typed, or no longer where nothing was or it is not `wanted`; what kept it from being kept."""
    try:
        if step.began or not wanted:
            drafts.drop(step.draft)
        else:
            drafts.keep(step.draft, _STEP.dump_json(step))
    except (Unwritable, ValueError) as error:
        return f"what is typed here is not kept as a draft: {error}"
    return ""


def kept_drafts(drafts: Drafts) -> tuple[list[tuple[Step, float]], str]:
    """What was typed before and when, the oldest first; and of what is damaged where it was put."""
    found, words = [], ""
    for name, when, data in drafts.kept():
        try:
            step = _STEP.validate_json(data)
            Form.of(step.typed)
            found.append((replace(step, draft=name, began=False), when))
        except (ValidationError, BadInput):
            words = f"a damaged draft was put aside as {drafts.set_aside(name)}"
    return found, words
