"""One plug-in of each kind, from docs/plugins, runs through the command line to the end of a study."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import plugins, registry
from lth_tui.cli import BAD_INPUT, DONE, main

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "plugins"

STUDY = """
name = "extended"
trials = 1
[base.train]
iterations = 12
batch = 30
evaluate_every = 6
[base.prune]
rounds = 1
rate = 0.5
[[arm]]
name = "ticket"
"""


@dataclass(frozen=True)
class Ran:
    """What a command ended with: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """The events of finished rounds in what `run --json` printed."""
        return [event for event in map(json.loads, self.out.splitlines()) if event["event"] == "round-finished"]


Call = Callable[..., Ran]


@pytest.fixture
def call(
    jax_ready: None,
    new_home: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Call]:
    """Runs the command line in a home and a folder of its own; each command loads only the plug-ins that it names."""
    monkeypatch.setenv("LTH_TUI_HOME", str(new_home()))
    monkeypatch.setenv("LTH_TUI_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(STUDY)

    def call(*arguments: str) -> Ran:
        plugins.forget()
        monkeypatch.setattr(sys, "argv", ["lth-tui", *arguments])
        code = main()
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    yield call
    plugins.forget()


def own(file: str) -> Path:
    """A copy of an example that can be edited."""
    return Path(shutil.copy(EXAMPLES / file, Path.cwd()))


def one_line(ran: Ran) -> str:
    assert ran.code == BAD_INPUT
    assert "Traceback" not in ran.err
    (line,) = ran.err.splitlines()
    return line


USES: dict[str, tuple[str, tuple[str, ...]]] = {
    "criterion": ("relative-movement", ("base.prune.criterion=relative-movement",)),
    "network": ("conv-1-bn", ("base.network.name=conv-1-bn",)),
    "treatment": ("between", ("base.restart.treatment=between",)),
    "arm": ("reversed-mask", ('arm=[{name = "ticket"}, {name = "reversed", kind = "reversed-mask"}]',)),
    "dataset": ("bars", ("base.data.name=bars",)),
    "measure": ("dead-units", ()),
    "optimizer": ("lion", ("base.train.optimizer=lion",)),
    "schedule": ("inverse-square-root", ("base.train.schedule=inverse-square-root",)),
}
"""For each kind, what its example in docs/plugins registers, and the settings of a study that uses it."""
ARMS = {"arm": ["reversed", "ticket"]}
MOST_LINES = {"criterion": 12, "network": 40}


@pytest.mark.parametrize("kind", USES)
def test_a_plug_in_of_each_kind_runs_to_the_end_and_is_described(call: Call, kind: str) -> None:
    name, settings = USES[kind]
    file = str(EXAMPLES / f"{kind}.py")
    assert len(Path(file).read_text().splitlines()) <= MOST_LINES.get(kind, 30)
    given = [option for setting in settings for option in ("--set", setting)]
    ran = call("run", "study.toml", *given, "--plugin", file, "--name", "with", "--json")
    assert (ran.code, ran.err) == (DONE, "")
    done = [(item["arm"], item["round"]) for item in ran.rounds]
    assert sorted(done) == [(arm, number) for arm in ARMS.get(kind, ["ticket"]) for number in range(2)]
    if kind == "measure":
        for item in ran.rounds:
            measured = item["result"]["measures"][name]
            assert set(measured) == {"dense1", "dense2", "output"}
            assert all(0 <= share < 1 for share in measured.values())

    (entry,) = (
        item for item in json.loads(call("describe", kind, "--plugin", file, "--json").out) if item["name"] == name
    )
    assert entry["origin"] == file
    assert entry["source"]
    text = call("describe", "--plugin", file).out
    assert name in text
    assert max(map(len, text.splitlines())) <= 80

    if given:
        line = one_line(call("run", "study.toml", *given))
        assert f'"{name}"' in line or repr(name) in line
        assert "allowed: " in line


def test_describe_lists_every_entry_and_shows_one_in_full(call: Call) -> None:
    rows = json.loads(call("describe", "--json").out)
    assert [(row["kind"], row["name"]) for row in rows] == [
        (kind.kind, name) for kind in registry.REGISTRIES for name in kind.names()
    ]
    assert all(row["help"] and row["origin"] == "built in" for row in rows)
    full = call("describe", "optimizer", "sgd").out
    assert "parameters  momentum = 0.9, nesterov = false" in full
    assert "describe network 'conv2': allowed: lenet-300-100" in one_line(call("describe", "network", "conv2"))
    assert one_line(call("describe", "network", "conv2")).endswith("; did you mean conv-2?")
    assert "allowed: network, criterion, treatment" in one_line(call("describe", "networks"))


def test_every_kind_has_an_example_that_its_page_quotes() -> None:
    assert set(USES) == {kind.kind for kind in registry.REGISTRIES} == {file.stem for file in EXAMPLES.glob("*.py")}
    page = (EXAMPLES.parent / "extending.md").read_text()
    for file in EXAMPLES.glob("*.py"):
        assert f"<!-- plugins/{file.name} -->\n\n```python\n{file.read_text()}```\n" in page


def test_a_run_needs_the_plug_in_that_it_began_with(call: Call) -> None:
    name, (setting,) = USES["criterion"]
    file = own("criterion.py")
    assert call("run", "study.toml", "--set", setting, "--plugin", str(file), "--name", "mine", "--json").code == DONE
    for command in ("show", "resume"):
        line = one_line(call(command, "mine"))
        assert f'base.prune.criterion: found "{name}"; allowed: magnitude' in line
        assert f"it comes from the plug-in {file}: give it with --plugin" in line
        assert call(command, "mine", "--plugin", str(file)).code == DONE


def test_a_plug_in_that_has_changed_does_not_go_on_with_a_run(call: Call) -> None:
    from engine.spec import load_study
    from engine.store import Store

    _, (setting,) = USES["criterion"]
    file = own("criterion.py")
    plugins.load([file])
    folder = Store(Path(sys_home())).create(load_study("study.toml", (setting,)), "mine")
    folder.close()
    file.write_text(file.read_text() + "\n# changed\n")
    assert f"the plug-in {file} has changed: SHA-256" in one_line(call("resume", "mine", "--plugin", str(file)))


def sys_home() -> str:
    from engine.paths import home

    return str(home())


def test_a_round_is_kept_under_the_source_of_the_plug_in(call: Call) -> None:
    _, (setting,) = USES["criterion"]
    file = own("criterion.py")
    command = ("run", "study.toml", "--set", setting, "--plugin", str(file), "--json")
    first = call(*command).rounds
    again = call(*command).rounds
    assert [item["key"] for item in again] == [item["key"] for item in first]
    assert all(item["reused"] for item in again)
    file.write_text(file.read_text().replace("1e-3", "1e-2"))
    changed = call(*command).rounds
    assert changed[0]["key"] == first[0]["key"], "nothing is pruned before the dense network is trained"
    assert not {item["key"] for item in changed[1:]} & {item["key"] for item in first}


BAD: dict[str, tuple[str, str]] = {
    "absent": ("import nothing_of_that_name", "cannot be loaded at line 1: ModuleNotFoundError: No module named"),
    "syntax": ("x = 1\ndef f(:", "cannot be loaded at line 2: SyntaxError: invalid syntax"),
    "leaves": ("raise SystemExit(5)", "cannot be loaded at line 1: SystemExit: 5"),
    "empty": ("x = 1", "registers nothing; allowed: one or more entries"),
    "taken": (
        'from engine.registry import network\nnetwork.add("mine", "x", len)\nnetwork.add("conv-2", "x", len)',
        "network 'conv-2' exists already, built in; allowed: another name",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_plug_in_that_cannot_be_used_is_named_in_one_line(call: Call, case: str) -> None:
    source, words = BAD[case]
    Path("bad.py").write_text(source)
    file = Path("bad.py").absolute()
    for arguments in (("--plugin", "bad.py", "runs"), ("describe", "--plugin", "bad.py")):
        assert one_line(call(*arguments)).startswith(f"lth-tui: plug-in {file}: {words}")
    Path("settings.toml").write_text('plugins = ["bad.py"]')
    assert words in one_line(call("runs"))
    assert "mine" not in registry.network


def test_a_plug_in_that_is_not_there_is_named_in_one_line(call: Call) -> None:
    assert "gone.py: No such file or directory; allowed: a Python file" in one_line(call("--plugin", "gone.py", "runs"))


def test_settings_and_the_process_before_load_plug_ins_too(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    file = own("criterion.py")
    name, _ = USES["criterion"]
    assert name not in call("describe", "criterion").out
    Path("settings.toml").write_text('plugins = ["criterion.py"]')
    assert name in call("describe", "criterion", "--plugin", "criterion.py").out, "twice is no error"
    child = [sys.executable, "-m", "lth_tui", "describe", "criterion", name, "--json"]
    Path("settings.toml").unlink()
    plugins.load([file])
    ran = subprocess.run(child, cwd=EXAMPLES.parents[1], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["origin"] == str(file)


def test_an_entry_point_of_an_installed_package_is_loaded(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    information = site / "lth_example-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: lth-example\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[lth_tui.plugins]\nexample = lth_example\n")
    shutil.copy(EXAMPLES / "criterion.py", site / "lth_example.py")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "lth_example", raising=False)
    name, _ = USES["criterion"]
    entry = json.loads(call("describe", "criterion", name, "--json").out)
    assert entry["origin"] == "package lth_example"
    assert len(entry["digest"]) == 64
    monkeypatch.delitem(sys.modules, "lth_example")


def test_a_plug_in_registers_only_what_is_its_own() -> None:
    """What it imports of the engine, as the network's example does, stays built in."""
    plugins.load([EXAMPLES / "network.py"])
    origins = {entry.name: entry.origin.name for entry in registry.network.entries()}
    assert origins["conv-2"] == "built in"
    assert origins["conv-1-bn"] == str(EXAMPLES / "network.py")
    plugins.forget()
    assert "conv-1-bn" not in registry.network
