"""A small run of made-up numbers, with its rounds in the store: nothing is trained, so it takes no time."""

from pathlib import Path

import numpy as np

from engine.networks import Snapshot
from engine.spec import Study, digest, parse_study
from engine.store import (
    ArmPlan,
    CurvePoint,
    DatasetFacts,
    LayerCount,
    Magnitudes,
    Note,
    RoundFinished,
    RoundResult,
    RoundStarted,
    RunFinished,
    RunStarted,
    Signal,
    Similarity,
    Store,
    StoredRound,
)

STUDY = """
name = "sample"
about = "two arms\\nof small rounds"
trials = 2
[base.train]
iterations = 40
evaluate_every = 20
[base.prune]
rounds = 2
rate = 0.5
[[arm]]
name = "ticket"
[[arm]]
name = "reinit"
"""
SHAPES = {"dense1": (4, 6), "output": (6, 2)}


def sample_study() -> Study:
    return parse_study(STUDY, source="sample.toml")


def key_of(*place: object) -> str:
    return digest(place)


def sample_round(key: str, number: int, draw: np.random.Generator) -> StoredRound:
    """A round as it is kept, a half of its weights gone each round; with a NaN, as after a loss that was not finite."""
    layers = {
        name: draw.permutation(np.arange(np.prod(s)) < np.prod(s) >> number).reshape(s) for name, s in SHAPES.items()
    }
    params = {}
    for name, mask in layers.items():
        params[f"{name}/kernel"] = np.where(mask, draw.normal(size=mask.shape), 0).astype(np.float32)
        params[f"{name}/bias"] = np.full(mask.shape[1], np.nan, np.float32)
    network = Snapshot(params)
    result = RoundResult(
        iterations=40,
        early_stop_iteration=20,
        validation_loss=0.25,
        test_accuracy=0.875,
        test_accuracy_end=1 / 3,
        layers={name: LayerCount(survivors=int(mask.sum()), size=mask.size) for name, mask in layers.items()},
        seconds=1.5,
        diverged=False,
        validation_accuracy=0.9,
        magnitudes={
            name: Magnitudes(start=(1, 2), end=(3, 0), start_top=1.0, end_top=2.0, start_distance=0.1, end_distance=0.2)
            for name in layers
        },
    )
    curve = [
        CurvePoint(iteration=at, train_loss=1 / at, validation_loss=None, validation_accuracy=0.5) for at in (20, 40)
    ]
    masks = {f"{name}/kernel": mask for name, mask in layers.items()}
    return StoredRound(key, result, curve, masks, network, network, {7: network})


def write_sample(home: Path, name: str = "one") -> Store:
    """A home with the run in it, finished."""
    store, study, draw = Store(home), sample_study(), np.random.default_rng(0)
    arms = tuple(ArmPlan(name=arm.name, kind=arm.kind, seeds=(1, 2), rounds=(0, 1, 2)) for arm in study.arm)
    with store.create(study, name) as run:
        run.append(
            RunStarted(
                run=name,
                study=study.name,
                hash=study.hash,
                dataset=DatasetFacts(name="digits", train=1000, validation=100, test=300),
                layers={layer: int(np.prod(shape)) for layer, shape in SHAPES.items()},
                arms=arms,
                distinct=10,
                stored=0,
                device="a sample",
                lanes=2,
            )
        )
        for arm in arms:
            for trial in (0, 1):
                for number in arm.rounds:
                    place = {"arm": arm.name, "trial": trial, "round": number}
                    # The dense rounds are one and the same for both arms.
                    key = key_of("" if number == 0 else arm.name, trial, number)
                    known = store.rounds.read(key)
                    stored = known or sample_round(key, number, draw)
                    if known is None:
                        run.append(RoundStarted(**place, key=key))
                        store.rounds.write(stored)
                        run.append_curve(key, stored.curve)
                    alike = Similarity(alive=(None, 0.5)[number - 1], all=0.25, jaccard=0.5, chance=0.1)
                    similar = dict.fromkeys(SHAPES, alike)
                    run.append(
                        RoundFinished(
                            **place,
                            key=key,
                            reused=known is not None,
                            result=stored.result,
                            similarity=similar if number else {},
                        )
                    )
        run.append(Signal(kind="stabilised", arm="ticket", trial=0, round=2, layer="dense1", text="it settled"))
        run.append(Note(text="a note ✓\nof two lines"))
        run.append(RunFinished(status="done", trained=10, reused=2, seconds=12.5))
    return store
