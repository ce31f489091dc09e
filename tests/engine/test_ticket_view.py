"""What survived in a round, against plain loops over the arrays."""

import math

import numpy as np
import pytest

from engine.store import (
    ArmPlan,
    DatasetFacts,
    LayerCount,
    Magnitudes,
    RoundFinished,
    RoundResult,
    RunStarted,
    Stamped,
)
from engine.views import RunView, fold
from engine.views.ticket import TicketView, histograms, ticket_view


def drawn(shapes: dict[str, tuple[int, ...]], share: float = 0.3, seed: int = 0):
    """Random masks, and weights that are zero where a mask is."""
    random = np.random.default_rng(seed)
    masks = {f"{name}/kernel": random.random(shape) < share for name, shape in shapes.items()}
    params = {name: (random.normal(size=mask.shape) * mask).astype(np.float32) for name, mask in masks.items()}
    biases = {f"{name}/bias": random.normal(size=shape[-1]).astype(np.float32) for name, shape in shapes.items()}
    return masks, params | biases


DENSE = {"dense1": (12, 5), "dense2": (5, 4), "output": (4, 3)}
CONV = {"conv1": (3, 3, 2, 4), "conv2": (3, 3, 4, 6), "dense1": (2 * 3 * 6, 7), "output": (7, 3)}


def test_pixels_count_the_weights_of_all_units_and_channels():
    masks, weights = drawn(DENSE)
    layer = ticket_view(masks, weights, (2, 3, 2)).layers["dense1"]
    assert (layer.input_kind, layer.counts.shape, layer.size) == ("pixels", (1, 2, 3), 60)
    for row in range(2):
        for column in range(3):
            inputs = [(row * 3 + column) * 2 + channel for channel in range(2)]
            left = [
                abs(weights["dense1/kernel"][i, u]) for i in inputs for u in range(5) if masks["dense1/kernel"][i, u]
            ]
            assert layer.counts[0, row, column] == len(left)
            mean = layer.means[0, row, column]
            assert mean == pytest.approx(sum(left) / len(left)) if left else math.isnan(mean)
    assert layer.left == masks["dense1/kernel"].sum()
    np.testing.assert_array_equal(
        layer.unit(3).values[1],
        np.where(masks["dense1/kernel"], weights["dense1/kernel"], np.nan)[:, 3].reshape(2, 3, 2)[..., 1],
    )


def test_dead_inputs_and_units_are_told_apart():
    masks, weights = drawn(DENSE, share=1.0)
    masks["dense1/kernel"][[2, 7]] = False
    masks["dense1/kernel"][:, 1] = False
    masks["dense2/kernel"][[1, 4]] = False
    layers = ticket_view(masks, weights, (3, 4, 1)).layers
    first, second, last = layers.values()
    assert (first.unused, first.no_inputs, first.no_outputs) == (2, 1, 2)
    assert first.incoming.tolist() == [10, 0, 10, 10, 10]
    assert first.outgoing is not None
    assert first.outgoing.tolist() == [4, 0, 4, 4, 0]
    assert math.isnan(first.mean_abs_in[1])
    assert (second.input_kind, second.unused, second.no_inputs, second.no_outputs) == ("units", 2, 0, 0)
    assert second.counts[:, 0, 0].tolist() == [4, 0, 4, 4, 0]
    assert (last.outgoing, last.no_outputs) == (None, None)
    tiles = first.left_tiles().values
    assert np.isnan(tiles[0, 0, 2])
    assert np.isnan(tiles[0, 1, 3])
    assert np.nanmin(tiles) == 4


def test_kernels_of_convolutions_and_the_places_after_them():
    masks, weights = drawn(CONV)
    layers = ticket_view(masks, weights, (8, 12, 2)).layers
    first, second, dense, _ = layers.values()
    assert (first.input_kind, first.counts.shape, first.inputs) == ("channels", (4, 3, 3), 2)
    np.testing.assert_array_equal(
        first.counts[2], masks["conv1/kernel"][:, :, 0, 2].astype(int) + masks["conv1/kernel"][:, :, 1, 2]
    )
    pruned = np.where(masks["conv2/kernel"], weights["conv2/kernel"], np.nan)
    np.testing.assert_array_equal(second.unit(5).values[3], pruned[:, :, 3, 5])
    assert second.incoming[5] == masks["conv2/kernel"][..., 5].sum()
    assert first.outgoing is not None
    assert first.outgoing[1] == masks["conv2/kernel"][:, :, 1].sum()
    assert (dense.input_kind, dense.weights.shape) == ("places", (2, 3, 6, 7))
    after = masks["dense1/kernel"].reshape(2, 3, 6, 7)
    assert dense.counts[0, 1, 2] == after[1, 2].sum()
    assert second.outgoing is not None
    assert second.outgoing[4] == after[:, :, 4].sum()


@pytest.mark.parametrize("image", [None, (3, 3, 1)])
def test_an_image_shape_that_does_not_fit_leaves_inputs_as_units(image):
    masks, weights = drawn(DENSE)
    layer = ticket_view(masks, weights, image).layers["dense1"]
    assert (layer.input_kind, layer.counts.shape) == ("units", (12, 1, 1))
    assert layer.counts[:, 0, 0].tolist() == masks["dense1/kernel"].sum(1).tolist()


def test_what_was_read_is_not_changed():
    masks, weights = drawn(CONV)
    before = {name: array.copy() for name, array in weights.items()}
    view: TicketView = ticket_view(masks, weights, (8, 12, 2))
    assert all(np.array_equal(before[name], weights[name]) for name in before)
    assert view.bytes == sum(before[name].nbytes for name in masks)


def ended(number: int, **values: float | tuple[int, ...]) -> RoundFinished:
    found = {"dense1": Magnitudes.model_validate({"start_distance": 0.1, "end_distance": 0.2, **values})}
    result = RoundResult(
        iterations=1,
        early_stop_iteration=1,
        validation_loss=0.5,
        test_accuracy=0.5,
        test_accuracy_end=0.5,
        layers={"dense1": LayerCount(survivors=4, size=10)},
        seconds=1.0,
        diverged=False,
        magnitudes=found,
    )
    return RoundFinished(arm="ticket", trial=0, round=number, key="0" * 40, reused=False, result=result, similarity={})


def test_spreads_of_other_bins_have_one_step():
    dense = ended(0, start=(6, 2), end=(5, 3), start_top=0.2, end_top=0.5)
    later = ended(2, start=(1, 3), end=(3, 1), start_top=0.2, end_top=0.8)
    arms = (ArmPlan(name="ticket", kind="ticket", seeds=(1,), rounds=(0, 1, 2)),)
    begun = RunStarted(
        run="run",
        study="study",
        hash="hash",
        dataset=DatasetFacts(name="digits", train=3, validation=2, test=1),
        layers={"dense1": 10},
        arms=arms,
        distinct=3,
        stored=0,
        device="cpu",
        lanes=1,
    )
    view = fold(RunView(), (Stamped(place, 0.0, event) for place, event in enumerate((begun, dense, later), 1)))
    trial = view.arm("ticket").trials[0]
    step, found = histograms(trial, 2, "dense1")
    assert step == pytest.approx(0.1)
    assert [spread.name for spread in found] == ["after", "before", "dense"]
    after, before, whole = found
    assert after.x == pytest.approx((0.2, 0.6))
    assert after.share == pytest.approx((75 / 4, 25 / 4))
    assert before.share == pytest.approx((25, 75))
    assert (whole.count, whole.share) == (8, pytest.approx((75, 25)))
    assert after.half == pytest.approx(0.4 * 2 / 3)
    assert before.half == pytest.approx(0.1 + 0.1 / 3)
    assert [spread.name for spread in histograms(trial, 0, "dense1")[1]] == ["after", "before"]
    assert histograms(trial, 1, "dense1")[1][0].name == "dense"
    assert histograms(trial, 2, "output") == (1.0, ())
