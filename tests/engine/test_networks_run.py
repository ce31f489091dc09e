"""Networks with batch normalisation through the engine: their statistics in what is stored, resumed and rewound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from resuming import Restored, execute, same_run

from engine import plugins
from engine.datasets import entry
from engine.errors import BadInput
from engine.experiment.graph import DatasetInfo, Plan, make_plan
from engine.networks import Snapshot
from engine.runner import workers
from engine.runner.inputs import InputBuilder
from engine.spec import Study, parse_study
from engine.store import Store, StoredRound

pytestmark = pytest.mark.usefixtures("jax_ready")

NewHome = Callable[[], Path]
REWOUND_TO = 2
STUDY = """
name = "deep"
trials = 1
[base.train]
iterations = 8
batch = 20
optimizer = "sgd"
learning_rate = 0.05
evaluate_every = 4
[base.prune]
rounds = 1
rate = 0.5
[[arm]]
name = "ticket"
restart = { treatment = "rewind", iteration = 2 }
"""


RESNET = "base.network={ name = 'resnet-20', parameters = { width = 0.1 } }"
SMALL = "base.network.name=conv-1-bn"
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "plugins" / "network.py"


@dataclass(frozen=True)
class Ran:
    """A run to its end: its home, the network's setting, the moments that it lived for and what its rounds started
    from."""

    home: Path
    network: str
    moments: int
    starts: list[Snapshot]

    def study(self, *settings: str) -> Study:
        return study(self.network, *settings)


def study(*settings: str) -> Study:
    return parse_study(STUDY, source="deep.toml", settings=settings)


def plan_of(study: Study, home: Path) -> Plan:
    return make_plan(study, DatasetInfo.of(entry("digits", home)), Store(home).machine.numerics)


def stored(home: Path, study: Study) -> list[StoredRound]:
    store = Store(home)
    found = [store.rounds.read(key) for key in plan_of(study, home).rounds]
    assert None not in found
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module", params=[SMALL, pytest.param(RESNET, marks=pytest.mark.slow)])
def whole(request: pytest.FixtureRequest, jax_ready: None, new_home: NewHome) -> Iterator[Ran]:
    plugins.load([EXAMPLE])
    home, starts = new_home(), []
    ingredients = InputBuilder.ingredients

    def watched(builder, item):
        found = ingredients(builder, item)
        starts.append(found.lane.start)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InputBuilder, "ingredients", watched)
        status, moments = execute(home, study(request.param))
    assert status == "done"
    yield Ran(home, request.param, moments, starts)
    plugins.forget()


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


def test_batch_statistics_are_stored_with_every_network_of_a_round(whole: Ran) -> None:
    dense, pruned = stored(whole.home, whole.study())
    if whole.network == RESNET:
        assert dense.final.params["conv1/kernel"].shape == (3, 3, 1, 2), "a tenth of 16 channels"
    for item in (dense, pruned):
        for snapshot in (item.final, item.best, *item.snapshots.values()):
            assert snapshot.state.keys() == whole.starts[0].state.keys() > set()
            assert snapshot.finite
            for name, array in snapshot.state.items():
                assert array.tobytes() != whole.starts[0].state[name].tobytes(), name


def test_a_rewound_round_starts_from_the_statistics_of_its_iteration(whole: Ran, new_home: NewHome) -> None:
    """They are those at the end of a training of so many iterations."""
    dense, _ = stored(whole.home, whole.study())
    short, fewer = (
        new_home(),
        whole.study(f"base.train.iterations={REWOUND_TO}", "arm.0.restart={}", "base.prune.rounds=0"),
    )
    assert execute(short, fewer)[0] == "done"
    (ended,) = stored(short, fewer)
    equal(dense.snapshots[REWOUND_TO].state, ended.final.state)
    equal(whole.starts[1].state, ended.final.state)


def test_a_run_that_dies_goes_on_with_its_statistics(
    whole: Ran, new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    monkeypatch.setattr(workers, "LaneBatch", Restored)
    monkeypatch.setattr(Restored, "at", [])
    assert execute(home, whole.study(), whole.moments // 3)[0] == "killed"
    execute(home, at=whole.moments // 3)
    assert execute(home)[0] == "done"
    assert Restored.at, "it never began within a round"
    same_run(home, whole.home)


def test_parameters_are_in_the_key_and_one_that_the_network_refuses_is_named(new_home: NewHome) -> None:
    home = new_home()
    keys = [
        next(iter(plan_of(study(RESNET, f"base.network.parameters.width={it}"), home).rounds)) for it in ("0.1", "0.2")
    ]
    assert keys[0] != keys[1]
    spelt = [plan_of(study(RESNET, f"base.network.parameters={it}"), home).rounds for it in ("{}", "{width = 1}")]
    assert list(spelt[0]) == list(spelt[1])
    with pytest.raises(BadInput, match=r"deep: base\.network\.parameters: found \{\"width\": -1\.0\}; .*above 0"):
        plan_of(study(RESNET, "base.network.parameters.width=-1.0"), home)
