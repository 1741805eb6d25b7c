"""Intervals over people and tests between models: right where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the `train` extra")

from plethprint_distill import metrics
from plethprint_distill.statistics import (
    delong,
    estimate,
    holm,
    mean_over_people,
    paired_bootstrap,
    paired_permutation,
    people_weights,
)


def _scores(n: int, seed: int, better: float, worse: float) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    shared = rng.normal(size=n)
    first = better * truth + 0.6 * shared + rng.normal(size=n)
    second = worse * truth + 0.6 * shared + rng.normal(size=n)
    return truth, first, second


def _auroc(truth: np.ndarray, score: np.ndarray, person: np.ndarray):
    return estimate(lambda w: metrics.auroc(truth, score, w), person, draws=2000)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    truth, score, _ = _scores(60, 1, 1.0, 0.0)
    score = score.round(1)  # ties
    pairs = score[truth][:, None] - score[~truth][None, :]
    by_hand = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    assert metrics.auroc(truth, score)[0] == pytest.approx(by_hand)


def test_weights_count_rows_as_often_as_repeating_them_would() -> None:
    truth, score, _ = _scores(50, 2, 1.0, 0.0)
    times = np.random.default_rng(0).integers(0, 4, 50)
    again = np.repeat(np.arange(50), times)
    for metric in (metrics.auroc, lambda t, s, w=None: metrics.pearson(t * 1.0, s, w)):
        weighted = metric(truth, score, times[None].astype(float))[0]
        assert weighted == pytest.approx(metric(truth[again], score[again])[0])


def test_pairs_counted_once_give_the_area_of_any_draw_of_people() -> None:
    truth, score, _ = _scores(200, 2, 1.0, 0.0)
    score = score.round(1)  # ties
    person = np.repeat(np.arange(20), 10).astype(str)
    weights = people_weights(person, 40, seed=1)
    fast = metrics.auroc_of_people(truth, score, person)(weights)
    assert fast == pytest.approx(metrics.auroc(truth, score, weights))


def test_delong_agrees_with_the_bootstrap() -> None:
    truth, first, second = _scores(400, 3, 1.5, 1.0)
    person = np.arange(400).astype(str)
    exact = delong(truth, first, second, person)
    drawn = paired_bootstrap(_auroc(truth, first, person), _auroc(truth, second, person))
    assert exact.test == "DeLong"
    assert exact.difference == pytest.approx(drawn.difference)
    assert exact.high - exact.low == pytest.approx(drawn.high - drawn.low, rel=0.08)
    assert exact.p == pytest.approx(drawn.p, abs=0.02)


def test_clustered_delong_agrees_with_drawing_people() -> None:
    rng = np.random.default_rng(4)
    person = np.repeat(np.arange(80), 6)
    truth = rng.random(480) < np.repeat(rng.uniform(0.1, 0.9, 80), 6)
    habit = np.repeat(rng.normal(size=80), 6)
    first = truth + habit + 0.5 * rng.normal(size=480)
    second = truth + 1.5 * rng.normal(size=480)
    clustered = delong(truth, first, second, person.astype(str))
    drawn = paired_bootstrap(
        _auroc(truth, first, person.astype(str)), _auroc(truth, second, person.astype(str))
    )
    assert clustered.test == "DeLong, clustered"
    assert clustered.high - clustered.low == pytest.approx(drawn.high - drawn.low, rel=0.12)
    # Rows of one person are alike: taking them for as many people is too sure.
    alone = delong(truth, first, second)
    assert clustered.high - clustered.low > 1.2 * (alone.high - alone.low)


def test_delong_of_several_partitions_compares_the_mean_areas() -> None:
    rng = np.random.default_rng(11)
    truth = rng.random(200) < 0.4
    person = np.arange(200).astype(str)
    first = truth + 1.5 * rng.normal(size=(5, 200))
    second = truth + 1.5 * rng.normal(size=200)
    found = delong(truth, first, second, person)
    areas = [metrics.auroc(truth, score)[0] for score in first]
    shown = np.mean(areas) - metrics.auroc(truth, second)[0]
    assert found.difference == pytest.approx(shown)
    # Each partition errs anew, so that their mean score is better than any of them.
    assert delong(truth, first.mean(axis=0), second, person).difference > shown + 0.1


def test_delong_knows_nothing_of_spread_where_one_person_holds_a_whole_class() -> None:
    rng = np.random.default_rng(10)
    person = np.repeat(np.arange(12), 10).astype(str)
    truth = person == "0"  # all positives are windows of one person
    first, second = truth + rng.normal(size=120), rng.normal(size=120)
    found = delong(truth, first, second, person)
    assert np.isnan([found.p, found.low]).all()
    two = np.isin(person, ["0", "1"])
    assert np.isfinite(delong(two, first, second, person).p)


def test_delong_finds_no_difference_in_five_of_a_hundred() -> None:
    p = [delong(*_scores(120, seed, 1.0, 1.0)).p for seed in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1


def test_flipping_signs_tells_a_smaller_error_from_an_equal_one() -> None:
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(30), 4).astype(str)
    error = rng.gamma(2.0, size=120)
    assert paired_permutation(error - 0.5, error, person).p < 0.001
    noise = rng.normal(size=120)
    assert paired_permutation(error + noise, error - noise[::-1], person).p > 0.05


def test_the_interval_narrows_with_people_and_not_with_windows_of_the_same() -> None:
    rng = np.random.default_rng(6)

    def width(people: int, windows: int) -> float:
        person = np.repeat(np.arange(people), windows).astype(str)
        values = np.repeat(rng.normal(size=people), windows)
        found = mean_over_people(values + 0.1 * rng.normal(size=values.size), person)
        return found.high - found.low

    assert width(400, 2) < 0.5 * width(25, 2)
    assert width(25, 40) > 0.6 * width(25, 2)


def test_one_person_alone_has_no_interval_and_no_difference_is_shown_on_them() -> None:
    person = np.full(50, "only")
    error = np.random.default_rng(9).gamma(2.0, size=50)

    def mean(values: np.ndarray):
        return estimate(lambda w: w @ values / w.sum(axis=1), person, draws=200)

    for found in (mean_over_people(error, person), mean(error).interval):
        assert found.mean == pytest.approx(error.mean())
        assert np.isnan([found.low, found.high]).all()
    # Every draw would be the same person, and any difference beyond doubt.
    assert np.isnan(paired_bootstrap(mean(error), mean(error + 0.01)).p)
    assert np.isnan(paired_permutation(error, error + 0.01, person).low)


def test_two_models_see_the_same_people_in_each_draw() -> None:
    person = np.array(["b", "a", "a"])
    weights = people_weights(person, 50, seed=0)
    assert np.array_equal(weights, people_weights(person, 50, seed=0))
    assert np.array_equal(weights[:, 1], weights[:, 2])
    assert (weights[:, 0] + weights[:, 1] == 2).all()


def test_holm_is_no_laxer_than_the_raw_values_and_leaves_unknown_ones() -> None:
    raw = np.array([0.04, 0.001, np.nan, 0.5])
    corrected = holm(raw)
    assert np.isnan(corrected[2])
    known = np.isfinite(raw)
    assert (corrected[known] >= raw[known]).all()
    assert corrected[1] == pytest.approx(0.003)


def test_honest_probabilities_are_calibrated_and_boastful_ones_are_not() -> None:
    rng = np.random.default_rng(7)
    honest = rng.random(20_000)
    truth = rng.random(20_000) < honest
    assert metrics.calibration_error(truth, honest) < 0.02
    boast = np.where(honest > 0.5, 0.99, 0.01)
    assert metrics.calibration_error(truth, boast) > 0.15
    assert metrics.brier(truth, boast)[0] > metrics.brier(truth, honest)[0]


def test_people_who_all_look_alike_are_told_apart_by_chance() -> None:
    rng = np.random.default_rng(8)
    same = rng.normal(size=4000)
    assert metrics.equal_error_rate(same[:2000], same[2000:]) == pytest.approx(
        0.5, abs=0.03
    )
    assert metrics.equal_error_rate(same[:2000] + 9, same[2000:]) == 0.0
