"""Privacy figures: one where the answer is one, chance where nothing is to be known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("sklearn", reason="needs the `train` extra")

from plethprint.errors import RecordingError  # noqa: E402
from plethprint.protection import KeyedProjection  # noqa: E402
from plethprint_distill.privacy.attributes import (  # noqa: E402
    Person,
    attributes,
    looped_to_window,
    ppg_bp_windows,
)
from plethprint_distill.privacy.bootstrap import (  # noqa: E402
    auroc_over_people,
    det_curve,
)
from plethprint_distill.privacy.embedders import pulse_features, pulse_peaks  # noqa: E402
from plethprint_distill.privacy.figures import save_figures  # noqa: E402
from plethprint_distill.privacy.inversion import judge, pulse_train  # noqa: E402
from plethprint_distill.privacy.membership import membership  # noqa: E402
from plethprint_distill.privacy.protection import (  # noqa: E402
    Breach,
    align,
    protection_trade,
    way_back,
)
from plethprint_distill.privacy.reidentification import (  # noqa: E402
    by_half,
    by_record,
    fit_scorer,
    reidentify,
)
from plethprint_distill.privacy.report import privacy_report  # noqa: E402
from plethprint_distill.privacy.table import markdown_table  # noqa: E402
from plethprint_distill.splits import is_test_person, test_mask  # noqa: E402
from plethprint_distill.windows import WindowSet  # noqa: E402

DATA = Path("../shared/data")
PEOPLE, WINDOWS = 12, 16


def worn(virtual: WindowSet, corpus: str = "bidmc", people: int = PEOPLE) -> WindowSet:
    """The virtual windows as if of some people, WINDOWS in a row each."""
    n = people * WINDOWS
    whose = np.arange(n) // WINDOWS
    name = {"bidmc": "{}", "stress_predict": "S{:02d}"}[corpus]
    person = np.array([f"{corpus}/{name.format(15 + 2 * p)}" for p in whose])
    return dataclasses.replace(
        virtual.take(np.arange(n) % len(virtual)),
        person=person,
        record=person,
        start_s=(10.0 * (np.arange(n) % WINDOWS)).astype(np.float32),
    )


def person_vectors(windows: WindowSet) -> np.ndarray:
    """An embedding that is the person and nothing else."""
    _, inverse = np.unique(windows.person, return_inverse=True)
    return np.random.default_rng(0).normal(size=(inverse.max() + 1, 24))[inverse]


def noise_vectors(windows: WindowSet, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(windows), 24))


def found(windows, vectors, **changes):
    strangers = np.random.default_rng(9).normal(size=(200, 24))
    scorer = fit_scorer(strangers, np.array([f"x/{i % 20}" for i in range(200)]))
    settings = {"corpus": "c", "features": "f", "probe_windows": 2, **changes}
    return reidentify(vectors, by_half(windows), scorer, **settings)


def test_an_embedding_that_is_the_person_finds_everybody(virtual: WindowSet) -> None:
    windows = worn(virtual)
    result = found(windows, person_vectors(windows))
    assert result.rank1.mean == result.rank5.mean == 1.0
    assert result.verification.equal_error_rate.mean < 0.01
    assert (result.gallery, result.rank1.people) == (PEOPLE, PEOPLE)


def test_noise_finds_people_by_chance(virtual: WindowSet) -> None:
    windows = worn(virtual)
    ranks = [
        found(windows, noise_vectors(windows, seed), galleries=(4,), minutes=(0.5,))
        for seed in range(20)
    ]
    assert np.mean([r.rank1.mean for r in ranks]) == pytest.approx(1 / PEOPLE, abs=0.03)
    assert np.mean([r.rank5.mean for r in ranks]) == pytest.approx(5 / PEOPLE, abs=0.06)
    small = [r.rank1_by_gallery["4"].mean for r in ranks]
    assert np.mean(small) == pytest.approx(1 / 4, abs=0.05)
    equal = [r.verification.equal_error_rate.mean for r in ranks]
    assert np.mean(equal) == pytest.approx(0.5, abs=0.05)
    assert ranks[0].chance_rank1 == 1 / PEOPLE


def test_an_embedding_that_never_changes_does_not_win_by_ties(virtual: WindowSet) -> None:
    windows = worn(virtual)
    assert found(windows, np.ones((len(windows), 24))).rank1.mean == 0.0


def test_no_window_is_both_enrolled_and_probe(virtual: WindowSet) -> None:
    windows = worn(virtual)
    halves = by_half(windows)
    assert not np.intersect1d(halves.enrol, halves.probe).size
    start = np.asarray(windows.start_s)
    assert start[halves.enrol].max() + 10.0 <= start[halves.probe].min()
    records = np.array([f"{r}/{i % 2}" for i, r in enumerate(windows.record)])
    other = by_record(dataclasses.replace(windows, record=records))
    assert set(records[other.enrol]).isdisjoint(records[other.probe])


def test_a_learnt_scorer_looks_past_what_changes_within_people(virtual: WindowSet) -> None:
    windows = worn(virtual)
    rng = np.random.default_rng(3)
    loud = np.zeros(24)
    loud[:4] = 12.0  # the first numbers change all the time and say nothing of anybody
    vectors = person_vectors(windows) + rng.normal(size=(len(windows), 24)) * loud
    whose = np.array([f"x/{i // 20}" for i in range(400)])
    people = rng.normal(size=(20, 24))[np.arange(400) // 20]
    strangers = people + rng.normal(size=(400, 24)) * (loud + 0.3)
    plain, learnt = (
        reidentify(
            vectors,
            by_half(windows),
            fit_scorer(strangers, whose, learnt=learnt),
            corpus="c",
            features="f",
            probe_windows=1,
        ).rank1.mean
        for learnt in (False, True)
    )
    assert learnt > plain + 0.2


def test_error_rates_cross_where_they_should() -> None:
    rng = np.random.default_rng(0)
    who = np.arange(60)
    scores = rng.normal(size=(60, 60)) + 2.0 * np.eye(60)
    curve = det_curve(scores, who, who)
    # Two unit normals two apart: each error is the normal tail beyond one.
    assert curve.equal_error_rate.low < 0.1587 < curve.equal_error_rate.high
    assert np.all(np.diff(curve.false_accept) <= 0)
    assert np.all(np.diff(curve.false_reject) >= 0)


def test_auroc_counts_ties_half() -> None:
    members = np.array([True, True, False, False])
    assert auroc_over_people([1.0, 1.0, 1.0, 1.0], members).mean == 0.5
    assert np.isnan(auroc_over_people([1.0, 2.0], np.array([True, True])).mean)


def test_a_window_judged_against_itself_is_recovered_whole(virtual: WindowSet) -> None:
    windows = worn(virtual).take(np.arange(60))
    ppg, person = np.asarray(windows.ppg), np.asarray(windows.person)
    turned = np.roll(ppg, 100, axis=1)
    own, other = judge(turned, ppg, person), judge(np.roll(ppg, 7, axis=0), ppg, person)
    assert own.pearson.mean > 0.999
    assert own.coherence.mean > 0.999
    assert own.beat_f1.mean > 0.97  # peaks at the seam of the turn may go
    assert own.heart_rate_error_bpm.mean < 0.5
    assert other.pearson.mean < 0.6
    flat = judge(np.zeros(ppg.shape), ppg, person)
    assert flat.pearson.mean == 0.0
    assert flat.shows_a_rate.mean == 0.0


def test_a_pulse_train_has_the_rate_it_was_asked_for() -> None:
    pulse = np.exp(-((np.arange(64) / 64) ** 2) * 20)
    beats = pulse_peaks(pulse_train(pulse, 90.0))
    assert np.diff(beats) == pytest.approx(60 / 90, abs=0.02)


def test_the_simple_baseline_knows_the_rate(virtual: WindowSet) -> None:
    rates = np.exp(virtual.targets[:, 0])
    regular = np.isfinite(rates) & (virtual.rhythm == 0)
    told = 60.0 * 2.0 ** (pulse_features(virtual.take(regular))[:, -1] / 4.0)
    assert np.median(np.abs(told - rates[regular])) < 3.0


def test_age_is_read_where_it_is_written_and_not_from_noise() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"c/{i:02d}" for i in range(60)])
    age = rng.uniform(20, 80, 60)
    people = {
        n: Person(a, "F" if i % 2 else "M")
        for i, (n, a) in enumerate(zip(names.tolist(), age, strict=True))
    }
    noise = rng.normal(size=(60, 8))
    written = noise.copy()
    written[:, 0] = age + rng.normal(size=60)
    written[:, 1] = np.arange(60) % 2
    told, untold = (
        attributes(x, names, people, corpus="c", features="f", repeats=2)
        for x in (written, noise)
    )
    assert told.age_r.mean > 0.95
    assert told.age_mae_years.mean < 0.3 * told.age_mae_of_the_mean_years.mean
    assert told.sex_auroc.mean > 0.95
    assert untold.age_r.low < 0.3
    assert untold.sex_auroc.low < 0.5 < untold.sex_auroc.high


def test_sex_that_is_not_told_is_at_chance_over_many_small_sets() -> None:
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        names = np.array([f"c/{i:02d}" for i in range(30)])
        people = {n: Person(50.0 + i, "FM"[i % 2]) for i, n in enumerate(names.tolist())}
        told = attributes(
            rng.normal(size=(30, 3)), names, people, corpus="c", features="f", repeats=1
        )
        found.append(told.sex_auroc.mean)
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_two_seconds_of_pulse_are_looped_in_whole_beats() -> None:
    t = np.arange(0, 2.1, 1 / 125)
    pulse = np.exp(np.sin(2 * np.pi * 1.3 * t))
    looped = looped_to_window(pulse, 125.0, 20.0)
    assert looped.shape == (2500,)
    assert np.abs(np.diff(looped)).max() < 1.3 * np.abs(np.diff(pulse)).max()
    spectrum = np.abs(np.fft.rfft((looped - looped.mean()) * np.hanning(2500)))
    assert np.argmax(spectrum) * 125 / 2500 == pytest.approx(1.3, abs=0.06)


def test_members_are_told_by_a_score_that_knows_them_and_not_by_noise() -> None:
    person = np.repeat([f"c/{i:02d}" for i in range(40)], 5)
    trained = np.repeat(np.arange(40) % 2 == 0, 5)
    noise = np.random.default_rng(0).normal(size=200)
    scores = {"knows": noise + 5.0 * trained, "noise": noise}
    knows, blind = membership(scores, person, trained, corpus="c")
    assert knows.auroc.mean > 0.99
    assert blind.auroc.low < 0.5 < blind.auroc.high
    assert (knows.training_people, knows.held_out_people) == (20, 20)


def test_enough_known_pairs_undo_a_rotation_and_few_do_not() -> None:
    rng = np.random.default_rng(0)
    plain = rng.integers(-60, 61, (500, 64)).astype(np.int8)
    projection = KeyedProjection(bytes(16), "toy@1+00000000", 64, form="rotation")
    protected = projection.apply(plain)

    def got_back(pairs: int) -> float:
        centre, matrix, level = way_back(protected[:pairs], plain[:pairs])
        back = (protected[300:] - centre) @ matrix + level
        truth = plain[300:].astype(float)
        cosine = (back * truth).sum(1) / np.linalg.norm(back, axis=1)
        return float((cosine / np.linalg.norm(truth, axis=1)).mean())

    few, all_but, enough = got_back(8), got_back(48), got_back(90)
    assert few < 0.5 < all_but < enough
    assert got_back(64) > all_but  # no dip where pairs are as many as numbers
    assert enough > 0.95


def test_a_cloud_with_a_shape_of_its_own_is_laid_over_its_like_without_any_pair() -> None:
    rng = np.random.default_rng(0)

    def cloud(n: int) -> np.ndarray:
        return (rng.exponential(size=(n, 8)) - 1.0) * np.arange(8, 0, -1)

    turn, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    ours, theirs = cloud(1000), cloud(1000)
    back = align(ours @ turn, theirs)
    cosine = (back * ours).sum(1) / np.linalg.norm(back, axis=1)
    assert (cosine / np.linalg.norm(ours, axis=1)).mean() > 0.9


def test_protection_links_within_a_key_and_not_across(virtual: WindowSet) -> None:
    windows = worn(virtual)
    rng = np.random.default_rng(5)
    people = rng.normal(size=(PEOPLE + 30, 64))
    whose = np.arange(len(windows)) // WINDOWS
    victims = np.rint(30 * (people[whose] + 0.5 * rng.normal(size=(len(whose), 64))))
    others = np.rint(30 * (np.repeat(people[PEOPLE:], 20, 0) + rng.normal(size=(600, 64))))
    breach = Breach(
        victims.clip(-127, 127).astype(np.int8),
        np.asarray(windows.person),
        by_half(windows),
        others.clip(-127, 127).astype(np.int8),
        np.repeat([f"x/{i}" for i in range(30)], 20),
        60.0 + victims[:, :8].sum(axis=1) / 10.0,
        whose >= PEOPLE // 2,
    )
    none, rotation, signs = protection_trade(
        breach, (("rotation", 64), ("signs", 64)), pairs=(8, 256), keys=3
    )
    assert none.rank1_within_key.mean == none.key.rank1.mean == 1.0
    for row in (rotation, signs):
        assert row.rank1_within_key.mean > 0.9
        assert row.rank1_across_keys.mean < 0.35
        assert row.equal_error_rate_across_keys.mean == pytest.approx(0.5, abs=0.12)
        assert row.pairs["8"].cosine.mean < row.pairs["256"].cosine.mean
        assert abs(row.alignment.cosine.mean) < 0.3
    assert rotation.own_alignment.cosine.mean > signs.own_alignment.cosine.mean + 0.1
    assert rotation.key.cosine.mean > 0.99 > 0.9 > signs.key.cosine.mean
    assert none.heart_rate_mae_bpm.mean < rotation.heart_rate_mae_bpm.mean + 0.5
    assert rotation.heart_rate_mae_bpm.mean < 0.7 * signs.heart_rate_mae_bpm.mean


def test_two_keys_over_the_same_windows_are_linked_by_the_shape_of_the_clouds(
    virtual: WindowSet,
) -> None:
    windows = worn(virtual)
    rng = np.random.default_rng(6)
    whose = np.arange(len(windows)) // WINDOWS
    # Lopsided and of unequal spread, as fingerprints are: that is what a rotation keeps.
    scale = 30.0 * 0.93 ** np.arange(64)
    people = (rng.exponential(size=(PEOPLE, 64)) - 1.0) * scale
    victims = people[whose] + 0.3 * scale * (rng.exponential(size=(len(whose), 64)) - 1.0)
    victims = np.rint(victims).clip(-127, 127).astype(np.int8)
    others = np.rint(rng.normal(size=(200, 64)) * scale).clip(-127, 127).astype(np.int8)
    breach = Breach(
        victims,
        np.asarray(windows.person),
        by_half(windows),
        others,
        np.repeat([f"x/{i}" for i in range(20)], 10),
        60.0 + victims[:, 0] / 10.0,
        whose >= PEOPLE // 2,
    )
    _, row = protection_trade(breach, (("rotation", 64),), pairs=(8,), keys=2)
    assert row.rank1_across_keys.mean < 0.35
    assert row.rank1_across_keys_same_windows.mean > 0.9


def test_the_report_is_json_and_its_table_and_figures_are_drawn(
    virtual: WindowSet, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="needs the `train` extra")
    whole = {c: worn(virtual, c) for c in ("bidmc", "stress_predict")}
    masks = {c: test_mask(s.person) for c, s in whole.items()}
    weights = np.random.default_rng(0).normal(size=(640, 64)) / 40
    report = privacy_report(
        {c: s.take(~masks[c]) for c, s in whole.items()},
        {c: s.take(masks[c]) for c, s in whole.items()},
        {
            "student": lambda w: np.rint(np.asarray(w.ppg) @ weights).astype(np.float32),
            "pulse shape and rate": pulse_features,
        },
        forms=(("signs", 64),),
        epochs=1,
        progress=False,
    )
    plain = report.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["windows"]["stress_predict"] == {
        "windows": PEOPLE * WINDOWS,
        "people": PEOPLE,
        "people_held_out": sum(
            is_test_person(f"stress_predict/S{15 + 2 * p:02d}") for p in range(PEOPLE)
        ),
    }
    assert set(plain["inversion"]["student"]) == {"bidmc", "stress_predict"}
    assert {row["form"] for row in plain["protection"]} == {"none", "signs"}
    table = markdown_table(plain)
    for question in ("who is it", "the wave back", "did they train it", "other key"):
        assert question in table
    made = save_figures(report, tmp_path)
    assert [p.name for p in made] == ["privacy-det.svg", "privacy-inversion.svg"]
    assert all(b"</svg>" in p.read_bytes() for p in made)


def test_people_are_not_their_own_strangers_as_another_sensor_saw_them(
    virtual: WindowSet,
) -> None:
    # What `prepare` writes: each corpus, once more through other sensors, and ECG alone.
    sets = {c: worn(virtual, c) for c in ("bidmc", "stress_predict")}
    heart = dataclasses.replace(sets["bidmc"], has_ppg=np.zeros(PEOPLE * WINDOWS, np.bool_))
    given = {**sets, "bidmc_resensed": sets["bidmc"], "cinc2017": heart}
    report = privacy_report(given, {}, {"student": person_vectors}, parts=())
    assert set(report.windows) == set(sets)


def test_one_corpus_has_no_strangers(virtual: WindowSet) -> None:
    windows = worn(virtual)
    with pytest.raises(RecordingError, match="two real corpora"):
        privacy_report({"bidmc": windows, "virtual": virtual}, {}, {}, progress=False)


@pytest.mark.skipif(not (DATA / "ppg_bp").is_dir(), reason="no ../shared/data")
def test_ppg_bp_gives_windows_of_219_people_with_a_pulse() -> None:
    windows, people = ppg_bp_windows(DATA)
    assert len(people) == 219
    beats = [pulse_peaks(row).size for row in np.asarray(windows.ppg[::20])]
    assert np.mean([5 <= n <= 25 for n in beats]) > 0.9
