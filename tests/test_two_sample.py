from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from event_toys import gaussian_events, many_dimensional
from presage.analysis.residuals import compare, residuals
from presage.analysis.two_sample import Classifier, classifier_auc, effective, roc_area, scores
from presage.labels import LabelError


def normal(n, seed, shift=0.0, rho=0.0, dims=2):
    x = np.random.default_rng(seed).standard_normal((n, dims))
    x[:, 1] = rho * x[:, 0] + np.sqrt(1 - rho**2) * x[:, 1]
    return x + shift


def test_the_same_distribution_gives_half_within_its_error():
    pulls = []
    for seed in range(6):
        found = classifier_auc(normal(1500, seed), normal(2000, seed + 50), seed=seed)
        pulls.append((found.value - 0.5) / found.error)
    assert abs(np.mean(pulls)) < 1.3
    assert max(map(abs, pulls)) < 4


@pytest.mark.parametrize(
    ("distortion", "best"),
    # best: Φ(shift / √2) for a shift; the correlation has no marginal trace
    [({"shift": (0.2, 0.0)}, 0.5562), ({"rho": 0.3}, 0.575)],
)
def test_a_small_distortion_is_found(distortion, best):
    found = classifier_auc(normal(12_000, 1), normal(12_000, 2, **distortion))
    assert 0.5 + 0.7 * (best - 0.5) < found.value < best + 4 * found.error
    assert found.value - 0.5 > 5 * found.error


def test_small_errors_follow_the_law_of_the_density_error():
    # A density error δ of rms 0.14 along one direction, uniform otherwise.
    rng = np.random.default_rng(0)
    x = rng.random((40_000, 2))
    keep = rng.random(len(x)) < (1 + 0.2 * np.sin(2 * np.pi * x[:, 0])) / 1.2
    other = rng.random((int(keep.sum()), 2))
    found = classifier_auc(other, x[keep])
    assert found.value == pytest.approx(0.5 + 0.28 * 0.2 / np.sqrt(2), abs=4 * found.error)


def test_it_is_reproducible_and_leaves_global_randomness_alone():
    a, b = normal(1000, 1), normal(1000, 2)
    state = torch.random.get_rng_state()
    first, second, third = (classifier_auc(a, b, seed=seed).value for seed in (3, 3, 4))
    assert first == second != third
    assert torch.equal(state, torch.random.get_rng_state())


def test_outliers_and_monotone_maps_do_not_matter():
    a, b = normal(2000, 1), normal(2000, 2, shift=(0.3, 0.0))
    expected = classifier_auc(a, b)
    assert classifier_auc(np.exp(3 * a), np.exp(3 * b)) == expected
    a[0], b[5] = 1e30, -1e30
    assert classifier_auc(a, b).value == pytest.approx(expected.value, abs=0.01)
    assert np.isfinite(scores(np.concatenate([a, b]))).all()


def test_roc_area_is_that_of_sklearn_with_ties():
    rng = np.random.default_rng(0)
    score, truth = rng.integers(0, 5, 300).astype(float), rng.random(300) < 0.3
    assert roc_area(score, truth) == pytest.approx(roc_auc_score(truth, score))


def test_the_subsample_is_recorded():
    found = classifier_auc(normal(900, 1), normal(1200, 2), subsample=500)
    assert found.events == (500, 500)


def test_unbalanced_sides_and_many_variables():
    found = classifier_auc(normal(4000, 1, dims=5), normal(500, 2, dims=5))
    assert abs(found.value - 0.5) < 4 * found.error


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (normal(100, 1), normal(1000, 1), r"needs 200 events a side, got \(100, 1000\)"),
        (normal(300, 1), normal(300, 1, dims=3), "same variables"),
        (normal(300, 1)[:, 0], normal(300, 1), "same variables"),
    ],
)
def test_wrong_samples_are_refused(a, b, message):
    with pytest.raises(LabelError, match=message):
        classifier_auc(a, b)


def test_copies_of_events_are_no_trace_of_the_distribution():
    pulls, rng = [], np.random.default_rng(0)
    for seed in range(6):
        copies = normal(400, seed + 50)[rng.integers(400, size=4000)]
        found = classifier_auc(normal(4000, seed), copies, seed=seed)
        pulls.append((found.value - 0.5) / found.error)
        assert found.error > 0.015  # 4 000 events would have 0.007
    assert abs(np.mean(pulls)) < 1.3
    assert max(map(abs, pulls)) < 4
    with pytest.raises(LabelError, match=r"got \(4000, \d+\) without copies"):
        classifier_auc(normal(4000, 1), copies[rng.integers(120, size=4000)])


def test_one_variable_in_single_precision_is_no_sample_of_copies():
    a, b = (np.random.default_rng(s).standard_normal((60_000, 1)) for s in (1, 2))
    rough = [np.float32(x).astype(float) for x in (a, b)]
    assert len(np.unique(rough[0])) < 60_000
    assert effective(rough[0]) > 59_900
    assert abs(classifier_auc(*rough).value - 0.5) < 4 * classifier_auc(*rough).error


def test_rivals_that_repeat_events_get_an_auc_with_the_error_of_the_events_they_have():
    labels = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]
    train = gaussian_events([labels[0], labels[2]], 300, seed=1)
    reference, drawn = (gaussian_events([labels[1]], 1500, seed=s) for s in (2, 3))
    found = residuals(drawn, reference, train=train).dataset.isel(label=0)
    error = found["auc_error"]
    assert np.isfinite(found["auc"].sel(source=["flow", "morphing", "nearest"])).all()
    assert error.sel(source="nearest") > 1.5 * error.sel(source="flow")
    assert found["auc"].sel(source="nearest") > 0.7
    assert found["auc"].sel(source="floor") == 0.5


# a network or trees alone find less than 0.501 of the second and of the first
@pytest.mark.parametrize(("distort", "least"), [("shift", 0.506), ("ring", 0.51)])
def test_smooth_distortions_and_thin_structures_are_both_found(distort, least):
    def ring(seed, width):
        rng = np.random.default_rng(seed)
        angle, radius = rng.uniform(0, 2 * np.pi, 50_000), 1 + width * rng.standard_normal(50_000)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    pair = (ring(1, 0.10), ring(2, 0.11))
    if distort == "shift":
        pair = normal(50_000, 1), normal(50_000, 2, shift=(0.05, 0.0))
    assert classifier_auc(*pair).value > least


def test_the_test_can_be_kept_to_held_out_labels():
    events = many_dimensional(250)
    found = compare(
        events,
        {"flow": many_dimensional(250, seed=1)},
        held_out_labels=[(1.0, 1.0, 1.0)],
        classifier="held_out",
    )
    known = np.isfinite(found["auc"].sel(source="flow").values)
    np.testing.assert_array_equal(known, found["held_out"].values)


def test_more_folds_score_every_event():
    found = classifier_auc(normal(600, 1), normal(600, 2), classifier=Classifier(folds=3))
    assert 0.4 < found.value < 0.6
