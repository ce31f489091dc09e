"""The language in which runs are asked for, and the orders that they can be in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sample_run import write_sample

from engine.errors import BadInput
from engine.store import STATUSES, RoundMean, RunSummary, Store
from engine.views import ORDERS, ordered, parse_filter, suggestions

NOW = 1_700_000_000.0
HOUR, DAY = 3600.0, 86_400.0


def a_run(name: str, **changes: object) -> RunSummary:
    usual = RunSummary(
        id=name,
        title="",
        note="",
        study="lenet-mnist",
        status="done",
        dataset="mnist",
        device="cpu",
        arms=("ticket",),
        trials=3,
        created=NOW - DAY,
        rounds_done=20,
        rounds_total=20,
        seconds=2 * HOUR,
        rounds=(
            RoundMean(0, 100.0, 0.98, 0.97),
            RoundMean(1, 80.0, 0.985, 0.98),
            RoundMean(10, 10.7, 0.99, 0.95),
            RoundMean(20, 1.2, 0.9, 0.9),
        ),
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


RUNS = [
    a_run("good", title="The good one", arms=("ticket", "reinit")),
    a_run("fashion", dataset="fashion-mnist", study="less-data", created=NOW - 10 * DAY, note="of two\nlines"),
    a_run(
        "busy", status="running", seconds=None, rounds_done=3, rounds=(RoundMean(0, 100.0, 0.7, 0.7),), created=NOW - 60
    ),
    a_run("cut", status="interrupted", seconds=None, rounds_done=0, rounds=(), device="NVIDIA H100"),
    a_run("broken", study="?", status="damaged", dataset="", created=0.0, seconds=None, rounds=(), rounds_done=0),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "good fashion busy cut broken"),
        ("GOOD", "good"),
        ("lenet", "good busy cut"),
        ('"good one"', "good"),
        ('"one good"', ""),
        ("two lines", "fashion"),
        ('"a:b"', ""),
        ("12:30", ""),
        ("status:done", "good fashion"),
        ("status:running,int", "busy cut"),
        ("status:d", "good fashion broken"),
        ("dataset:mnist", "good busy cut"),
        ("dataset:*mnist", "good fashion busy cut"),
        ("dataset:mn,fa", "good fashion busy cut"),
        ("study:*data", "fashion"),
        ("arm:reinit", "good"),
        ("name:one", "good"),
        ("note:lines", "fashion"),
        ('note:"of two"', "fashion"),
        ("device:nvidia", "cut"),
        ("acc>0.98", "good fashion"),
        ("acc>=98.5%", "good fashion"),
        ("acc>98.5%", ""),
        ("dense<0.9", "busy"),
        ("last<.95", "good fashion busy"),
        ("rounds<10", "busy cut broken"),
        ("rounds=3", "busy"),
        ("took>1h", "good fashion"),
        ("took<=120m", "good fashion"),
        ("age<2d", "good busy cut"),
        ("age>1w", "fashion"),
        ("age<90s", "busy"),
        ("-status:done", "busy cut broken"),
        ("-acc>0.9", "busy cut broken"),
        ("-lenet -broken", "fashion"),
        ("status:done -dataset:fashion acc>0.9", "good"),
        ("STATUS:Done DATASET:MNIST", "good"),
    ],
)
def test_what_is_asked_for_is_found(text: str, found: str) -> None:
    wanted = parse_filter(text)
    assert [run.id for run in RUNS if wanted.wants(run, NOW)] == found.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour:red", '"colour:red": there is no field "colour"; allowed: status:, dataset:, '),
        ("a>b", "there is no field"),
        ("lenet status:dune", '"status:dune": there is no status "dune"; allowed: new, running, '),
        ("status:", "its value is missing; allowed: status:running,paused"),
        ("dataset:,", "its value is missing; allowed: dataset:word"),
        ("dataset>mnist", "dataset is no number; allowed: dataset:word"),
        ("acc>", '"acc>": not understood; allowed: acc with > >= < <= and 0.98 or 98%'),
        ("acc>98", "0.98 or 98%"),
        ("acc>101%", "0.98 or 98%"),
        ("acc:0.9", "acc with >"),
        ("acc=0.9", "acc with > >= < <= and"),
        ("acc>nan", "0.98 or 98%"),
        ("acc>٣", "0.98 or 98%"),
        ("rounds<1h", "rounds with > >= < <= = and 10"),
        ("took>90", "90s, 5m, 1h, 2d or 3w"),
        ("age<2y", "90s, 5m, 1h, 2d or 3w"),
        ("-", "what is to be left out is missing"),
        ("--jsn", "what is to be left out is missing"),
        ("-colour:red", '"-colour:red": there is no field'),
        ("status:\x1b[31m", "there is no status"),
    ],
)
def test_what_cannot_be_understood_is_told_in_a_line_with_the_word(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_filter(text)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert "allowed: " in str(caught.value)


TOKENS = st.one_of(
    st.text(max_size=12),
    st.tuples(
        st.sampled_from(["", "-", "--", '"']),
        st.sampled_from(["status", "dataset", "arm", "note", "acc", "rounds", "took", "age", "x"]),
        st.sampled_from([":", ">", "<", ">=", "<=", "="]),
        st.text('0123456789.%smhdw*,"ab', max_size=8) | st.sampled_from(["done", "mnist", "1h", "98%"]),
    ).map("".join),
)
LINES = st.lists(TOKENS, max_size=4).map(" ".join)
TEXT = st.text(max_size=8)
SUMMARIES = st.builds(
    RunSummary,
    id=TEXT,
    title=TEXT,
    note=TEXT,
    study=TEXT,
    status=st.sampled_from(STATUSES),
    dataset=TEXT,
    device=TEXT,
    arms=st.lists(TEXT, max_size=2).map(tuple),
    trials=st.integers(0, 5),
    created=st.floats(0, 2e9),
    rounds_done=st.integers(0, 50),
    rounds_total=st.integers(0, 50),
    seconds=st.none() | st.floats(0, 1e6),
    rounds=st.lists(st.builds(RoundMean, st.integers(0, 3), st.floats(0, 100), st.floats(0, 1)), max_size=3).map(tuple),
)


def test_the_best_round_is_chosen_by_validation_accuracy() -> None:
    assert (RUNS[0].dense, RUNS[0].best, RUNS[0].last) == (0.98, 0.985, 0.9)
    assert RUNS[3].best is None


def wanted(text: str, run: RunSummary) -> bool | None:
    """None where the line cannot be understood."""
    try:
        return parse_filter(text).wants(run, NOW)
    except BadInput:
        return None


@given(LINES, LINES, SUMMARIES)
def test_a_line_of_two_asks_for_both_and_nothing_else_is_raised(one: str, two: str, run: RunSummary) -> None:
    found = [wanted(text, run) for text in (one, two, f"{one} {two}")]
    if '"' not in one:  # which may go on behind the space
        assert found[2] == (None if None in found[:2] else all(found[:2]))


@given(TOKENS, SUMMARIES)
def test_what_is_left_out_is_what_would_be_found(token: str, run: RunSummary) -> None:
    if token and not token.startswith("-") and not any(char.isspace() for char in token):
        plain, negated = wanted(token, run), wanted(f"-{token}", run)
        assert negated is (None if plain is None else not plain)


@given(LINES, st.lists(SUMMARIES, max_size=3))
def test_a_suggestion_goes_on_from_what_is_typed(text: str, runs: list[RunSummary]) -> None:
    found = suggestions(text, runs)
    assert found is None or (found.startswith(text) and len(found) > len(text))


def test_fields_and_values_that_there_are_are_suggested() -> None:
    told = {
        text: suggestions(text, RUNS)
        for text in ("", "st", "lenet -da", "status:r", "dataset:mnist,f", "ac", "acc>", "zz")
    }
    assert told == {
        "": None,
        "st": "status:",
        "lenet -da": "lenet -dataset:",
        "status:r": "status:running",
        "dataset:mnist,f": "dataset:mnist,fashion-mnist",
        "ac": "acc>",
        "acc>": None,
        "zz": None,
    }


@given(st.lists(SUMMARIES, max_size=6), st.sampled_from(sorted(ORDERS)), st.booleans())
def test_every_order_keeps_every_run_and_what_is_unknown_last(runs: list[RunSummary], by: str, reverse: bool) -> None:
    found = ordered(runs, by, reverse=reverse)
    key, falling = ORDERS[by]
    values = [key(run) for run in found]
    known = [value for value in values if value is not None]
    assert values == known + [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=falling != reverse)  # type: ignore[type-var]
    assert sorted(map(id, found)) == sorted(map(id, runs))


def test_orders_are_what_one_looks_for_first() -> None:
    told = {by: " ".join(run.id for run in ordered(RUNS, by)) for by in ORDERS}
    assert told == {
        "when": "busy good cut fashion broken",
        "acc": "good fashion busy cut broken",
        "rounds": "good fashion busy cut broken",
        "took": "good fashion busy cut broken",
        "name": "broken busy cut fashion good",
        "data": "broken fashion busy good cut",
        "status": "busy cut good fashion broken",
    }
    assert [run.id for run in ordered(RUNS, "acc", reverse=True)][:3] == ["busy", "good", "fashion"]


# The commands


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lth_tui.cli import command_line

    write_sample(tmp_path)
    monkeypatch.setenv("LTH_TUI_HOME", str(tmp_path))

    def said(*words: str) -> str:
        result = CliRunner().invoke(command_line, words, standalone_mode=False, catch_exceptions=True)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return said


def test_runs_are_asked_for_on_the_command_line(say) -> None:
    (row,) = json.loads(say("runs", "--json", "status:done", "-zebra"))
    assert (row["id"], row["dense"], row["status"]) == ("one", 0.875, "done")
    assert "one" in say("runs", "acc>0.8")
    assert say("runs", "-status:done") == "No run is like that.\n"
    with pytest.raises(BadInput, match="there is no field"):
        say("runs", "statuss:done")
    with pytest.raises(BadInput, match="--jsn"):
        say("runs", "--jsn")


def test_title_and_note_are_printed_as_text_and_ids_whole(say, tmp_path: Path) -> None:
    long = "x" * 90
    (tmp_path / "runs" / "one").rename(tmp_path / "runs" / long)
    with Store(tmp_path).open(long) as run:
        run.describe(title="[/b]\x1b[31mmine", note="[red]first\nsecond")
    assert say("show", long).startswith("[/b]\\x1b[31mmine\n[red]first\nsecond\n")
    assert f"\n{long}  done" in say("runs")
    with Store(tmp_path).open(long) as run:
        run.describe(title="short")
    (tmp_path / "runs" / long).rename(tmp_path / "runs" / "one")
    assert "short" in say("runs").splitlines()[1]


def test_a_run_is_deleted_and_brought_back_on_the_command_line(say) -> None:
    assert say("delete", "one") == "one is in the trash for 30 days; to bring it back: lth-tui restore one\n"
    assert json.loads(say("runs", "--json")) == []
    with pytest.raises(BadInput, match="run 'one': there is none of that name"):
        say("delete", "one")
    assert say("restore").startswith("one is back")
    with pytest.raises(BadInput, match="there is no deleted run"):
        say("restore")
