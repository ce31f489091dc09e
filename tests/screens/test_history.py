"""What was typed: undone, done again, kept for another time, and never lost."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.spec import load_study
from engine.store import Drafts
from engine.store.drafts import MOST_BYTES, MOST_DRAFTS
from screens.form import Form, Typed
from screens.history import PAUSE_SECONDS, History, keep_draft, kept_drafts

FORM = Form(load_study("quickstart"))


def saying(name: str) -> Typed:
    typed = FORM.typed()
    return replace(typed, texts={**typed.texts, "name": name})


def name_of(history: History) -> str:
    return history.now.typed.texts["name"]


@given(st.lists(st.one_of(st.sampled_from(["undo", "redo", "fill"]), st.text(min_size=1, max_size=2)), max_size=30))
def test_whatever_was_ever_in_the_form_can_be_undone_to(done: list[str]):
    history, seen = History(saying("quickstart"), "quickstart"), ["quickstart"]
    for when, what in enumerate(done):
        if what in ("undo", "redo"):
            history.go(-1 if what == "undo" else 1)
        elif what == "fill":
            history.begin(saying(f"preset {when}"), "a preset")
        else:
            history.change(saying(what), "name", when * 2 * PAUSE_SECONDS)
        seen.append(name_of(history))
    while history.go(1):
        pass
    found = [name_of(history)]
    while history.go(-1):
        found.append(name_of(history))
    assert found[-1] == "quickstart"
    assert set(found) == set(seen)
    assert not history.can(-1)


def test_what_is_typed_in_one_go_is_one_step():
    history = History(saying("q"), "quickstart")
    for when, text in enumerate(("qu", "qui", "quick")):
        history.change(saying(text), "name", when * PAUSE_SECONDS / 2)
    assert history.go(-1)
    assert name_of(history) == "q"
    assert not history.go(-1)
    history.go(1)
    history.change(saying("quick!"), "name", 1.5 * PAUSE_SECONDS)
    history.go(-1)
    assert name_of(history) == "quick", "after an undo another step begins"


def test_a_draft_comes_back_and_one_that_is_damaged_is_put_aside(tmp_path: Path):
    drafts = Drafts(tmp_path / "drafts")
    assert kept_drafts(drafts) == ([], "")
    history = History(saying("mine"), "quickstart")
    assert keep_draft(drafts, history.now, True) == ""
    assert drafts.kept() == [], "nothing was typed"
    history.change(saying("typed"), "name", 0)
    first = history.now
    assert keep_draft(drafts, first, True) == ""
    history.begin(saying("other"), "one-shot")
    history.change(replace(saying("other"), unread="name ="), "toml", 0)
    assert keep_draft(drafts, history.now, True) == ""
    (tmp_path / "drafts" / "bad.json").write_text('{"typed": {}}')
    (tmp_path / "drafts" / "odd.json").write_bytes(b"\xff\x00")
    found, words = kept_drafts(drafts)
    assert sorted(step.typed.texts["name"] for step, _ in found) == ["other", "typed"]
    assert {step.typed.unread for step, _ in found} == {None, "name ="}
    assert "damaged draft" in words
    assert "damaged-1" in words
    assert len(kept_drafts(drafts)[0]) == 2
    assert kept_drafts(drafts)[1] == ""

    later = History(saying("new"), "quickstart")
    later.recall([step for step, _ in found])
    assert name_of(later) == "new"
    later.go(-1)
    later.change(saying("typed on"), "name", 0)
    assert later.now.draft in {step.draft for step, _ in found}, "the same draft goes on"
    assert keep_draft(drafts, later.now, True) == ""
    assert keep_draft(drafts, first, False) == ""
    assert first.draft not in {step.draft for step, _ in kept_drafts(drafts)[0]}, "it is a run now"


def test_drafts_are_few_and_small(tmp_path: Path):
    drafts = Drafts(tmp_path / "drafts")
    for number in range(MOST_DRAFTS + 3):
        drafts.keep(f"draft{number:02}", b"{}")
    assert [name for name, _, _ in drafts.kept()] == [f"draft{number:02}" for number in range(3, MOST_DRAFTS + 3)]
    long = replace(History(saying("x" * MOST_BYTES), "quickstart").now, began=False)
    assert "is not kept as a draft" in keep_draft(drafts, long, True)
    (tmp_path / "file").write_text("")
    assert "is not kept as a draft" in keep_draft(Drafts(tmp_path / "file"), replace(long, typed=saying("y")), True)
