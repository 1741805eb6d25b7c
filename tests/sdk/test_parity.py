"""Parity: what a good model passes, a useless or damaged one must not."""

import json

import numpy as np
import pytest

from plethprint.encoder import installed_runtimes
from plethprint.errors import PackageIncompatibleError, WindowShapeError
from plethprint.package import ModelPackage
from plethprint.parity import (
    agreement,
    centred_cosine,
    check_parity,
    cosine,
    neighbour_overlap,
    retrieval_at,
)


def vectors(n=60, dim=16, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, dim)) + shift


def test_a_model_agrees_with_itself_whatever_the_scale():
    a = vectors()
    for value in agreement(a, 3.0 * a).values():
        assert value == pytest.approx(1.0)


def test_a_useless_model_has_raw_cosine_near_one_and_nothing_else():
    figures = agreement(vectors(300, seed=1, shift=20.0), vectors(300, seed=2, shift=20.0))
    assert figures["cosine"] > 0.99
    assert abs(figures["centred_cosine"]) < 0.1
    assert figures["centred_cosine_p5"] < 0.0
    assert figures["overlap_at_10"] < 0.1
    assert figures["retrieval_at_256"] < 0.05


def test_agreement_falls_with_noise():
    a, noise = vectors(200), vectors(200, seed=9)
    figures = [agreement(a, a + share * noise) for share in (0.1, 0.5, 2.0)]
    for name in figures[0]:
        assert figures[0][name] >= figures[1][name] > figures[2][name]


def test_cosine_is_row_by_row_and_zero_for_a_zero_row():
    a = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    b = np.array([[6.0, 8.0], [0.0, 2.0], [1.0, 1.0]])
    assert cosine(a, b).tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_a_centre_can_be_given():
    a = np.array([[1.0, 0.1], [1.0, -0.1]])
    assert centred_cosine(a, a[::-1]) == pytest.approx([-1.0, -1.0])
    zero = np.zeros(2)
    assert centred_cosine(a, a, zero, zero) == pytest.approx(cosine(a, a))


def test_neighbours_shared_are_counted():
    a = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert neighbour_overlap(a, a, k=1).tolist() == [1.0] * 4
    swapped = a[[0, 2, 1, 3]]  # the neighbours of 0 and 3 trade places
    assert neighbour_overlap(a, swapped, k=1).tolist() == [0.0, 0.0, 0.0, 0.0]


def test_neighbours_in_a_bank_are_looked_for_there_and_may_be_the_row_itself():
    bank = vectors(50)
    assert (
        neighbour_overlap(bank[:3], bank[:3], bank_a=bank, bank_b=bank).tolist()
        == [1.0] * 3
    )
    other = vectors(50, seed=5)
    overlap = neighbour_overlap(bank[:3], other[:3], bank_a=bank, bank_b=other)
    assert overlap.mean() < 0.7


def test_fewer_rows_than_neighbours_take_all_there_are():
    a = vectors(4)
    assert neighbour_overlap(a, vectors(4, seed=1), k=10).tolist() == [1.0] * 4


def test_retrieval_finds_partners_and_not_strangers():
    a = vectors(600)
    assert retrieval_at(a, a) == 1.0
    assert retrieval_at(a, np.roll(a, 1, axis=0)) == 0.0
    assert retrieval_at(a[:5], a[:5]) == 1.0


def test_retrieval_of_a_single_window_is_against_the_bank():
    bank = vectors(300)
    mine, strange = bank[:1] + 0.01, vectors(1, seed=9)
    assert retrieval_at(mine, bank[:1], bank_a=bank, bank_b=bank) == 1.0
    assert retrieval_at(strange, bank[:1], bank_a=bank, bank_b=bank) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda a: cosine(a, a[:-1]),
        lambda a: cosine(a[0], a[0]),
        lambda a: neighbour_overlap(a, a, bank_a=a),
        lambda a: neighbour_overlap(a[:1], a[:1]),
        lambda a: retrieval_at(a[:0], a[:0]),
        lambda a: retrieval_at(a, a, bank_b=a),
    ],
)
def test_vectors_that_do_not_belong_together_are_refused(call):
    with pytest.raises(WindowShapeError):
        call(vectors())


@pytest.mark.parametrize(
    "call",
    [
        lambda a: agreement(a, a, bank_a=a[:, :4], bank_b=a[:, :4]),
        lambda a: centred_cosine(a, a, centre_a=np.zeros(3)),
        lambda a: retrieval_at(a, a, 0),
        lambda a: retrieval_at(a, a, 1, bank_a=a, bank_b=a),
        lambda a: cosine(a, a * np.nan),
        lambda a: cosine(a, np.full(a.shape, "x")),
    ],
)
def test_vectors_banks_and_centres_that_cannot_be_compared_are_refused(call):
    with pytest.raises(WindowShapeError):
        call(vectors())


def test_a_dead_model_finds_nothing_in_a_bank():
    bank, truth = vectors(50, seed=3), vectors(5, seed=4)
    dead, dead_bank = 0.0 * truth, 0.0 * bank
    assert retrieval_at(dead, truth, 32, bank_a=dead_bank, bank_b=bank) == 0.0
    assert retrieval_at(truth, dead, 32, bank_a=bank, bank_b=dead_bank) == 0.0


def test_a_good_package_passes_on_every_runtime(package):
    report = check_parity(package)
    assert report.ok
    assert report.failures == []
    assert {level.runtime for level in report.levels} == set(installed_runtimes())
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert fields["ok"] is True
    assert fields["windows"] == 48
    for levels in fields["runtimes"].values():
        assert list(levels) == ["golden", "quantisation", "teacher"]
        assert levels["golden"]["max_lsb"] <= levels["golden"]["at_most"]["max_lsb"]
        assert levels["quantisation"]["centred_cosine"] > 0.99
        assert levels["teacher"]["centred_cosine"] > 0.9
        assert levels["teacher"]["ppg_centred_cosine"] > 0.9


def test_only_the_runtimes_asked_for_are_run(package):
    report = check_parity(package, ["onnx"])
    assert {level.runtime for level in report.levels} == {"onnx"}


def spoil(folder, **arrays):
    with np.load(folder / "golden.npz") as archive:
        np.savez(folder / "golden.npz", **{**dict(archive), **arrays})


@pytest.mark.parametrize(
    ("array", "level", "figure"),
    [
        ("vectors", "golden", "max_lsb"),
        ("float_vectors", "quantisation", "centred_cosine"),
        ("teacher_both", "teacher", "centred_cosine"),
    ],
)
def test_vectors_that_belong_to_other_windows_fall_short_at_their_level(
    package_folder, rewrite, trusted, array, level, figure
):
    with np.load(package_folder / "golden.npz") as archive:
        rolled = np.roll(archive[array], 7, axis=0)
    spoil(package_folder, **{array: rolled})
    rewrite(package_folder)
    report = check_parity(ModelPackage.load(package_folder, trusted_keys=trusted), ["onnx"])
    assert not report.ok
    assert any(f.startswith(f"onnx, {level}: {figure}") for f in report.failures)
    assert {f.split(": ")[0] for f in report.failures} == {f"onnx, {level}"}
    assert report.to_dict()["runtimes"]["onnx"][level]["ok"] is False


GOLDEN_BARS = {"onnx": 2, "litert": 2, "tflm": 0}


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({}, "thresholds for quantisation"),
        ({"quantisation": {}}, "thresholds for quantisation"),
        ({"quantisation": {"beauty": 1}}, "thresholds for quantisation"),
        ({"quantisation": {"cosine": 0.9}, "teacher": 3}, "thresholds for teacher"),
        (
            {"quantisation": {"cosine": 0.9}, "teacher": {"ppg_cosine": 0.9}},
            "no golden_max_lsb threshold for onnx",
        ),
        (
            {
                "quantisation": {"cosine": "high"},
                "teacher": {"cosine": 0.9},
                "golden_max_lsb": GOLDEN_BARS,
            },
            "quantisation.cosine must be a number",
        ),
    ],
)
def test_a_package_without_proper_thresholds_does_not_pass_silently(
    package_folder, rewrite, trusted, thresholds, message
):
    rewrite(package_folder, thresholds=thresholds)
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    with pytest.raises(PackageIncompatibleError, match=message):
        check_parity(package, ["onnx"])


def test_a_threshold_just_above_the_figure_is_missed(package_folder, rewrite, trusted):
    figure = check_parity(
        ModelPackage.load(package_folder, trusted_keys=trusted), ["onnx"]
    ).to_dict()["runtimes"]["onnx"]["quantisation"]["overlap_at_10"]
    for bar, ok in ((figure, True), (figure + 1e-6, False)):
        thresholds = {
            "golden_max_lsb": GOLDEN_BARS,
            "quantisation": {"overlap_at_10": bar},
            "teacher": {"cosine": 0.5},
        }
        rewrite(package_folder, thresholds=thresholds)
        package = ModelPackage.load(package_folder, trusted_keys=trusted)
        assert check_parity(package, ["onnx"]).ok is ok
