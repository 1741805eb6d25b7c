"""Heads find what is there, say how sure they are, and refuse what they cannot know."""

from __future__ import annotations

import json

import numpy as np
import pytest

from plethprint.errors import FingerprintMismatchError, HeadError
from plethprint.fingerprint import Fingerprint, unit_scale
from plethprint.head import HEADS_FOLDER, Head
from plethprint.head_fit import people_folds
from plethprint.package import ModelPackage

MODEL = "toy@1+00000000"
DIM = 12


def toy(vector, **changes):
    vector = np.asarray(vector, np.int8)
    fields = {"start": 0.0, "duration_s": 10.0, "quality": 0.9, "model": MODEL, **changes}
    return Fingerprint(vector, unit_scale(vector), **fields)


def crowd(people, each, seed=0, own=0.5):
    """Fingerprints of people, each with an offset of their own; vectors, people."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(0, own, (people, DIM)).repeat(each, axis=0)
    vectors = centre + rng.normal(size=(people * each, DIM))
    vectors *= 90 / np.abs(vectors).max(axis=1, keepdims=True)
    return [toy(np.rint(v)) for v in vectors], np.arange(people).repeat(each)


def numbers(prints, noise, seed=0):
    x = np.stack([fp.unit() for fp in prints]).astype(float)
    rng = np.random.default_rng(seed + 1)
    return 70 + 20 * x[:, 0] - 10 * x[:, 3] + noise * rng.normal(size=len(x))


def classes(prints, seed=0):
    x = np.stack([fp.unit() for fp in prints]).astype(float)
    p = 1 / (1 + np.exp(-6 * x[:, 1]))
    return np.random.default_rng(seed + 2).random(len(x)) < p


@pytest.fixture(scope="module")
def rate():
    prints, people = crowd(40, 12)
    return Head.fit(prints, numbers(prints, 3.0), people, name="rate", unit="bpm")


@pytest.fixture(scope="module")
def state():
    prints, people = crowd(40, 12)
    return Head.fit(prints, classes(prints), people, name="state")


def test_a_number_is_found_in_people_never_seen(rate):
    prints, _ = crowd(60, 12, seed=9)
    truth = numbers(prints, 0.0, seed=9)
    told = rate.predict(prints)
    assert np.abs([t.value for t in told] - truth).mean() < 1.0
    assert rate.figures["held_out"]["mae"] < rate.figures["held_out"]["mae_of_mean"] / 2
    assert (rate.people, rate.rows, rate.unit) == (40, 480, "bpm")


@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_intervals_hold_the_truth_of_new_people_about_as_often_as_said(confidence):
    covered = []
    for seed in range(6):
        prints, people = crowd(30, 6, seed=seed)
        rng = np.random.default_rng(seed)
        off = rng.normal(0, 4, 30).repeat(6)  # people differ beyond their fingerprints
        answers = numbers(prints, 2.0, seed=seed) + off
        head = Head.fit(prints, answers, people, confidence=confidence)
        new, _ = crowd(80, 6, seed=100 + seed)
        truth = numbers(new, 2.0, seed=100 + seed) + rng.normal(0, 4, 80).repeat(6)
        told = head.predict(new)
        covered.append(
            [t.low <= v <= t.high for t, v in zip(told, truth.tolist(), strict=True)]
        )
    assert confidence - 0.05 < np.mean(covered) < min(confidence + 0.1, 1.0)


def test_a_logarithm_keeps_a_number_positive():
    prints, people = crowd(20, 5)
    answers = np.exp(numbers(prints, 1.0) / 20)
    told = Head.fit(prints, answers, people, log=True).predict(prints)
    assert all(0 < t.low < t.value < t.high for t in told)
    with pytest.raises(HeadError, match="positive"):
        Head.fit(prints, answers - answers.mean(), people, log=True)


def test_probabilities_are_calibrated_in_people_never_seen(state):
    prints, _ = crowd(150, 12, seed=5)
    truth = classes(prints, seed=5)
    told = state.predict(prints)
    p = np.array([t.probabilities["True"] for t in told])
    assert np.allclose([sum(t.probabilities.values()) for t in told], 1.0)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        inside = (p >= low) & (p < high)
        assert inside.sum() > 100
        assert abs(p[inside].mean() - truth[inside].mean()) < 0.08
    assert state.figures["held_out"]["accuracy"] > 0.7


def test_a_head_abstains_when_the_classes_cannot_be_told_apart(state):
    prints, _ = crowd(80, 12, seed=6)
    truth = classes(prints, seed=6)
    told = state.predict(prints)
    held = [str(bool(v)) in t.classes for t, v in zip(told, truth, strict=True)]
    assert np.mean(held) > 0.85
    uncertain = np.array([t.abstained == "uncertain" for t in told])
    right = np.array([t.value for t in told]) == truth.astype(str)
    assert 0.05 < uncertain.mean() < 0.95
    assert right[~uncertain].mean() > right[uncertain].mean() + 0.1


def test_a_head_of_three_classes_names_them_all():
    prints, people = crowd(30, 8)
    first = np.stack([fp.unit() for fp in prints])[:, 0]
    words = np.array(["low", "mid", "high"])[np.digitize(first, [-0.15, 0.15])]
    head = Head.fit(prints, words, people)
    assert head.labels == ("high", "low", "mid")
    told = head.predict(prints)
    assert np.mean([t.value for t in told] == words) > 0.75


def test_nothing_low_quality_and_strange_fingerprints_are_not_answered(rate):
    prints, _ = crowd(2, 1, seed=3)
    assert rate.predict(toy(np.zeros(DIM))).abstained == "no_signal"
    assert rate.predict(toy(prints[0].vector, quality=0.2)).abstained == "low_quality"
    narrow = [toy([90, *v]) for v in np.random.default_rng(0).integers(-9, 9, (90, 5))]
    head = Head.fit(narrow, np.arange(90.0))
    assert head.predict(narrow[4]).abstained == ""
    assert head.predict(toy([-90, 3, 1, 2, 0, 4])).abstained == "far"


@pytest.mark.parametrize("which", ["rate", "state"])
def test_a_head_that_was_saved_says_the_same(which, request, tmp_path):
    head = request.getfixturevalue(which)
    file = tmp_path / "head.json"
    head.save(file)
    again = Head.load(file, model=MODEL)
    prints, _ = crowd(3, 5, seed=8)
    assert again.predict(prints) == head.predict(prints)
    assert again.figures == head.figures
    assert again.predict(prints[0]) == head.predict(prints)[0]
    assert json.dumps(again.predict(prints[0]).to_dict())
    assert head.predict([]) == []


def test_fingerprints_of_another_model_are_refused(rate, tmp_path):
    prints, people = crowd(12, 2)
    other = toy(prints[0].vector, model="toy@2+00000000")
    for wrong in (other, prints[0].protect(bytes(16)), toy(prints[0].vector[:5])):
        with pytest.raises(FingerprintMismatchError):
            rate.predict(wrong)
        with pytest.raises(FingerprintMismatchError):
            Head.fit([*prints[:-1], wrong], np.arange(24.0), people)
    rate.save(tmp_path / "rate.json")
    with pytest.raises(FingerprintMismatchError, match="belongs to"):
        Head.load(tmp_path / "rate.json", model="toy@2+00000000")


@pytest.mark.parametrize(
    ("labels", "people", "options", "words"),
    [
        (np.arange(23.0), None, {}, "one for each"),
        (np.arange(24.0), np.arange(23), {}, "one for each"),
        (np.full(24, np.nan), None, {}, "finite"),
        (np.arange(24.0), np.zeros(24), {}, "two people"),
        (np.arange(24.0), np.arange(24) % 4, {}, "needs 9 people"),
        (np.zeros(24, int), None, {}, "two or more"),
        (np.arange(24) == 3, None, {}, "fewer than two people"),
        (np.arange(24.0), None, {"confidence": 1.0}, "confidence"),
        (np.arange(24.0), None, {"min_quality": 0.95}, "two people"),
    ],
    ids=str,
)
def test_what_cannot_be_fitted_is_said(labels, people, options, words):
    prints, _ = crowd(12, 2)
    with pytest.raises(HeadError, match=words):
        Head.fit(prints, labels, people, **options)


def test_bare_vectors_are_refused_because_they_do_not_say_their_model(rate):
    prints, people = crowd(12, 2)
    vectors = np.stack([fp.unit() for fp in prints])
    for ask in (rate.predict, lambda rows: Head.fit(rows, np.arange(24.0), people)):
        with pytest.raises(HeadError, match="bare vectors do not say their model"):
            ask(vectors)
    with pytest.raises(HeadError, match="bare vectors"):
        rate.predict(vectors[0])


def test_whole_numbers_that_make_no_classes_are_told_to_be_made_floating_point():
    prints, people = crowd(12, 2)
    with pytest.raises(HeadError, match="floating-point labels"):
        Head.fit(prints, 60 + people, people)


def test_no_fingerprints_are_no_head():
    with pytest.raises(HeadError, match="needs fingerprints"):
        Head.fit([], [])


def test_no_person_crosses_a_fold_and_kinds_are_shared_out():
    owner = np.arange(40).repeat(5)
    kind = (owner % 10 == 0).astype(int)  # four people in forty
    folds = people_folds(owner, kind, seed=0)
    for person in range(40):
        assert len(set(folds[owner == person])) == 1
    assert len(set(folds[kind == 1])) == 4
    assert np.bincount(folds).tolist() == [20] * 10


BROKEN = {
    "nothing": lambda f: f.clear(),
    "another format": lambda f: f.update(format="x"),
    "a later version": lambda f: f.update(format_version=2),
    "an unknown field": lambda f: f.update(more=1),
    "a missing field": lambda f: f.pop("unit"),
    "a label that is none": lambda f: f.update(labels=["a", 3]),
    "labels without curves": lambda f: f.update(labels=["a", "b"]),
    "a confidence of 2": lambda f: f.update(confidence=2),
    "people as text": lambda f: f.update(people="9"),
    "no weights": lambda f: f["parameters"].pop("weights"),
    "text for weights": lambda f: f["parameters"].update(weights="many"),
    "weights too short": lambda f: f["parameters"].update(weights=[[1.0]]),
    "null weights": lambda f: f["parameters"].update(weights=None),
    "ragged whitening": lambda f: f["parameters"].update(whitening=[[1], [1, 2, 3]]),
    "null residuals": lambda f: f["parameters"].update(residuals=None),
    "a number too large": lambda f: f["parameters"]["bias"].__setitem__(0, 10**400),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_is_no_head_is_refused(broken, rate, tmp_path):
    file = tmp_path / "head.json"
    rate.save(file)
    fields = json.loads(file.read_text())
    BROKEN[broken](fields)
    file.write_text(json.dumps(fields))
    with pytest.raises(HeadError):
        Head.load(file)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path):
    file = tmp_path / "head.json"
    for content in (b"", b"\xff", b"[]", b'{"a": NaN}', b"[" * 100_000):
        file.write_bytes(content)
        with pytest.raises(HeadError):
            Head.load(file)
    for path in (tmp_path / "none.json", tmp_path, "\0"):
        with pytest.raises(HeadError):
            Head.load(path)


def test_a_shipped_head_belongs_to_the_shipped_model():
    model = ModelPackage.load().model_id
    folder = HEADS_FOLDER / model.partition("+")[0].replace("@", "_v")
    if not (folder / "heart_rate.json").is_file():
        pytest.skip("the shipped model has no head yet; see docs/heads.md")
    head = Head.shipped("heart_rate", model)
    assert (head.model, head.unit) == (model, "bpm")
    with pytest.raises(FingerprintMismatchError):
        Head.shipped("heart_rate", model[:-8] + "00000000")


@pytest.mark.parametrize("name", ["mood", "../heart_rate", "", ".."])
def test_a_head_that_does_not_ship_is_said(name):
    with pytest.raises(HeadError):
        Head.shipped(name, ModelPackage.load().model_id)
    with pytest.raises(HeadError):
        Head.shipped("heart_rate", "../x@1+0")
