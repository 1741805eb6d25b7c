"""Probes on frozen features: perfect on the label, at chance on noise, people apart."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint_distill import metrics
from plethprint_distill.folds import folds_over_people, one_split, thinned
from plethprint_distill.probes import _Ridge, probe


def _people(people: int, rows: int) -> np.ndarray:
    return np.repeat([f"p{k:03d}" for k in range(people)], rows)


def test_people_never_straddle_a_fold_and_everyone_is_tested_once() -> None:
    person = _people(23, 5)
    labels = np.eye(3)[np.random.default_rng(0).integers(0, 3, len(person))]
    for partition in folds_over_people(person, labels, folds=5, repeats=3):
        tested = np.concatenate([fold.test for fold in partition])
        assert sorted(tested) == list(range(len(person)))
        for fold in partition:
            assert not set(person[fold.train]) & set(person[fold.test])


def test_folds_share_out_a_rare_class() -> None:
    person = _people(60, 1)
    rare = np.zeros((60, 1))
    rare[:10] = 1.0
    for partition in folds_over_people(person, rare, folds=5, repeats=4):
        assert [int(rare[fold.test].sum()) for fold in partition] == [2] * 5


def test_thinning_takes_from_those_who_have_most() -> None:
    person = np.array(["many"] * 90 + ["few"] * 10)
    kept = thinned(np.arange(100), person, 30, seed=0)
    assert len(kept) == 30
    assert (person[kept] == "few").sum() == 10


def test_a_feature_that_is_the_label_scores_one() -> None:
    rng = np.random.default_rng(1)
    person = _people(30, 4)
    yes = (rng.random(120) < 0.4).astype(float)[:, None]
    features = np.concatenate([yes, rng.normal(size=(120, 8))], axis=1)
    folds = folds_over_people(person, yes)
    said = probe(features, yes, person, folds, classes=True)
    assert all(metrics.auroc(yes[:, 0] > 0, s[:, 0])[0] == 1.0 for s in said.score)
    assert metrics.brier(yes > 0, said.value[0])[0] < 0.02


def test_a_shuffled_label_scores_chance_and_not_below() -> None:
    # Pooled as they come, such scores lie well below a half: see the next test.
    areas = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        person = _people(40, 1)
        yes = (rng.random(40) < 0.4).astype(float)[:, None]
        folds = folds_over_people(person, yes, repeats=2)
        said = probe(rng.normal(size=(40, 16)), yes, person, folds, classes=True)
        areas += [metrics.auroc(yes[:, 0] > 0, s[:, 0])[0] for s in said.score]
    assert 0.44 < np.mean(areas) < 0.56


def test_centring_on_the_training_rows_takes_the_pooling_trap_away() -> None:
    # A feature that says nothing, and folds without balance: each fold's mean gives the
    # label away with the wrong sign.
    rng = np.random.default_rng(3)
    centred, pooled = [], []
    for _ in range(20):
        yes = (rng.random(40) < 0.5).astype(float)[:, None]
        person = _people(40, 1)
        order = rng.permutation(40)
        folds = (
            tuple(
                type(one_split(yes[:, 0] > 0, yes[:, 0] > 0, person)[0][0])(
                    np.setdiff1d(np.arange(40), part), part
                )
                for part in np.array_split(order, 8)
            ),
        )
        said = probe(1e-3 * rng.normal(size=(40, 1)), yes, person, folds, classes=False)
        centred.append(metrics.auroc(yes[:, 0] > 0, said.score[0, :, 0])[0])
        pooled.append(metrics.auroc(yes[:, 0] > 0, said.value[0, :, 0])[0])
    assert np.mean(pooled) < 0.35
    assert np.mean(centred) > np.mean(pooled) + 0.1


@pytest.mark.parametrize(("rows", "columns"), [(90, 12), (60, 200)])
def test_held_out_predictions_are_those_of_a_fit_without_the_block(
    rows: int, columns: int
) -> None:
    rng = np.random.default_rng(4)
    x, weight = rng.normal(size=(rows, columns)), rng.uniform(0.5, 2.0, rows)
    y = (x[:, :2].sum(axis=1) + rng.normal(size=rows))[:, None]
    blocks = np.array_split(rng.permutation(rows), 4)
    held, strength = _Ridge(x, weight).held_out(y, blocks)
    design = np.concatenate([x, np.full((rows, 1), 1e3)], axis=1)
    for block in blocks:
        rest = np.setdiff1d(np.arange(rows), block)
        scaled = design[rest].T * weight[rest]
        gram = scaled @ design[rest] + strength[0] * np.eye(columns + 1)
        fitted = design[block] @ np.linalg.solve(gram, scaled @ y[rest])
        assert np.abs(fitted - held[block]).max() < 1e-6


def test_the_strength_is_chosen_inside_the_fold() -> None:
    # Thirty columns of noise for fifty rows: unpenalised, the fit is worse than the mean.
    rng = np.random.default_rng(5)
    person = _people(50, 1)
    y = rng.normal(size=(50, 1))
    folds = folds_over_people(person, y, repeats=3)
    said = probe(rng.normal(size=(50, 30)), y, person, folds, classes=False)
    assert np.abs(said.value - y).mean() < 1.1 * np.abs(y - y.mean()).mean()


def test_probabilities_of_a_noisy_feature_are_calibrated() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 1))
    chance = 1 / (1 + np.exp(-1.5 * x + 1))
    yes = (rng.random((3000, 1)) < chance).astype(float)
    person = np.arange(3000).astype(str)
    fits = np.arange(3000) < 1500
    said = probe(x, yes, person, one_split(fits, ~fits, person), classes=True)
    assert metrics.calibration_error(yes[~fits] > 0, said.value[0, ~fits]) < 0.05
    assert np.abs(said.value[0, ~fits] - chance[~fits]).mean() < 0.06


def test_a_column_that_stands_still_does_no_harm() -> None:
    person = _people(20, 1)
    y = np.arange(20.0)[:, None]
    features = np.concatenate([y, np.full((20, 1), 7.0)], axis=1)
    said = probe(features, y, person, folds_over_people(person, y), classes=False)
    assert np.abs(said.value - y).max() < 0.2
