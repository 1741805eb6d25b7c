"""The measured part of the model cards, written from the figures of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plethprint_distill.card_benchmark import Whose, benchmark_notes

__all__ = ["student_notes", "teacher_card"]

_COMMAND = (
    "Measured by `make train` (its step `python -m plethprint_distill evaluate`) on people "
    "held out from all training, on windows that do not overlap; means over people, 95 % "
    "bootstrap intervals over people."
)
_LIMITS = """## Limits

* Not a medical device; no diagnosis may rest on a fingerprint.
* ECG as painted from PPG is a picture of beat times, not an electrocardiogram.
* A fingerprint carries heart rate, rhythm and pulse shape, and with them something of who
  the wearer is: treat it as personal data.
* BIDMC and UCI are intensive-care patients under finger clips, Stress-Predict healthy
  volunteers with one model of wristband. Other skin, sites and devices are untested.
* UCI names no people: its "people" are guesses, and its split is by file.
* BIDMC and UCI both come from MIMIC-II. No ten seconds of a UCI training recording were
  found in a BIDMC test recording, and the 16 most alike were left out; that the same
  person lies in both at other times cannot be excluded.
"""

_SPLITS = """## Splits

Decided once, by name, before any training (`plethprint_distill.splits`); nobody held out
trained teacher, student or control, or set a range for int8.

* BIDMC: by person (`mimic_id`), by a hash of the name; 14 of 46 people are held out.
* UCI cuff-less: by file, since it names no people; part 3 is held out.
* Stress-Predict: by volunteer; S26 and later are held out.
* CinC 2017 (teacher alone): by a hash of the record; three records in ten are held out.
* Virtual wearers: other seeds than those of training.
* Welltory, ppg_arrhythmia_valid, PPG-BP and PTB-XL never train; probes on them are fitted
  and asked in folds over people.
"""
_FIGURES = "../../../../docs/figures"
"""From the folder of a package that ships to the repository's pictures."""
_STUDENT_PICTURES = {
    "map.svg": "the student's fingerprints on the axes of the teacher's",
    "parity.svg": "how alike two windows are to teacher and student",
}
_TEACHER_PICTURES = {
    "painted.svg": "waves painted from the other modality",
    "map.svg": "fingerprints by what is known of their windows",
    "probe_curve.svg": "what probes made of its checkpoints, against windows seen",
    "training.png": "losses of training",
}


def _pictures(pictures: Mapping[str, str], of: str) -> list[str]:
    lines = [f"* [{told}]({_FIGURES}/{name})" for name, told in pictures.items()]
    return ["## Figures", "", f"In the repository, drawn {of}:", "", *lines, ""]


def _interval(figure: Mapping[str, Any], digits: int = 3) -> str:
    mean, low, high = (f"{figure[k]:.{digits}f}" for k in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _parity_table(parity: Mapping[str, Any]) -> list[str]:
    rows = [
        "| people held out | against teacher on | centred cosine | 5th percentile "
        "| overlap@10 | retrieval@256 | people | windows |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for corpus, views in parity.items():
        for view, found in views.items():
            seen = {"both": "ECG + PPG", "ppg": "PPG"}[view]
            rows.append(
                f"| {corpus} | {seen} | {_interval(found['centred_cosine'])} "
                f"| {found['centred_cosine_p5']:.3f} | {_interval(found['overlap_at_10'])} "
                f"| {found['retrieval_at_256']:.3f} | {found['centred_cosine']['people']} "
                f"| {found['windows']} |"
            )
    return rows


def _heart_rate_table(rows: Mapping[str, Any]) -> list[str]:
    names = {
        "teacher_ppg": "teacher on PPG, ridge probe",
        "student": "student, ridge probe",
        "student_untrained": "untrained student, ridge probe",
        "beat_counting": "beat counting (`plethprint.quality`; no rate: that mean)",
        "mean_of_training": "the training people's mean",
    }
    table = ["| heart rate, BIDMC | mean absolute error, bpm |", "|---|---|"]
    table += [f"| {names[k]} | {_interval(v, 2)} |" for k, v in rows.items()]
    return [
        *table,
        "",
        "Ridge probes are fitted on the BIDMC training people. Beat counting has nothing "
        "to fit, but was developed with all BIDMC people in view, those held out too.",
    ]


def _training(facts: Mapping[str, Any]) -> str:
    """One paragraph on how a model was trained, from its checkpoint's own words."""
    told = ", ".join(
        f"{key.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{key} {value}"
        for key, value in facts.items()
        if key not in ("windows", "windows_seen", "windows_seen_before")
    )
    before = facts.get("windows_seen_before", 0)
    began = f", {before:,} of them with an earlier recipe" if before else ""
    return f"Trained on {facts['windows_seen']:,} windows{began} ({told})."


def student_notes(figures: Mapping[str, Any]) -> str:
    """Markdown for the end of the student's card."""
    parts = []
    if facts := figures.get("training", {}).get("student"):
        parts += ["## Training", "", _training(facts), ""]
    parts += ["## On people held out", "", _COMMAND, ""]
    if "parity" in figures:
        parts += ["Int8 student against the float teacher:", ""]
        parts += _parity_table(figures["parity"])
    if "heart_rate_mae_bpm" in figures:
        parts += ["", *_heart_rate_table(figures["heart_rate_mae_bpm"])]
    parts += ["", *_rivals(figures, "student"), _SPLITS]
    # They are drawn of the student that ships as default.
    parts += _pictures(_STUDENT_PICTURES, "of people held out, for `plethprint-micro`")
    return "\n".join([*parts, _LIMITS])


def _rivals(figures: Mapping[str, Any], whose: Whose) -> list[str]:
    found = figures.get("benchmark")
    return [benchmark_notes(found, whose), ""] if found else []


def teacher_card(
    name: str, figures: Mapping[str, Any], training_data: list[dict[str, Any]], facts: str
) -> str:
    """The teacher's whole README.md."""
    parts = [
        f"# {name}",
        "",
        "M2AE-style masked autoencoder over paired ECG and PPG, after the abstract of "
        "arXiv 2605.09579; not a reproduction. It gives the fingerprint that devices are "
        "checked against, from ECG, PPG or both.",
        "",
        "`teacher.onnx` gives fingerprints and needs no torch; `teacher.npz` holds all "
        "weights, decoders too, in float16 (`plethprint_distill.checkpoint.load_teacher`).",
        "",
        facts,
        "",
        *(
            [_training(told), ""]
            if (told := figures.get("training", {}).get("teacher"))
            else []
        ),
        "## On people held out",
        "",
        _COMMAND,
        "",
    ]
    if painted := figures.get("ecg_from_ppg"):
        labels = {
            "pearson": "Pearson r of the painted ECG",
            "f1_50ms": "R-peak F1 within 50 ms, best lag of the record",
            "f1_100ms": "R-peak F1 within 100 ms, best lag of the record",
            "f1_50ms_zero_lag": "R-peak F1 within 50 ms, zero lag",
            "f1_100ms_zero_lag": "R-peak F1 within 100 ms, zero lag",
            "f1_50ms_null": "the same with predictions swapped within the record (null)",
            "rmse": "root mean square error, standard deviations (silence: 1)",
            "interval_error_ms": "median error of RR intervals between matched peaks, ms",
        }
        parts += ["| ECG from PPG, BIDMC | mean over people |", "|---|---|"]
        parts += [f"| {labels[k]} | {_interval(v)} |" for k, v in painted.items()]
        parts.append("")
    if table := figures.get("teacher"):
        parts += [
            "| people held out | retrieval PPG→ECG @256 | effective rank "
            "| PPG against ECG + PPG: centred cosine | overlap@10 |",
            "|---|---|---|---|---|",
        ]
        for corpus, found in table.items():
            both = found["ppg_against_both"]
            parts.append(
                f"| {corpus} | {found['retrieval_ppg_to_ecg_at_256']:.3f} "
                f"| {found['effective_rank']:.1f} | {_interval(both['centred_cosine'])} "
                f"| {_interval(both['overlap_at_10'])} |"
            )
        parts.append("")
    if "heart_rate_mae_bpm" in figures:
        parts += [*_heart_rate_table(figures["heart_rate_mae_bpm"]), ""]
    parts += [*_rivals(figures, "teacher"), _SPLITS]
    parts += _pictures(_TEACHER_PICTURES, "of people held out and of its training")
    parts += ["## Training data", "", "| corpus | licence | windows | people |"]
    parts.append("|---|---|---|---|")
    for row in training_data:
        cells = (str(row[k]) for k in ("name", "licence", "windows", "people"))
        parts.append(f"| {' | '.join(cells)} |")
    return "\n".join([*parts, "", _LIMITS])
