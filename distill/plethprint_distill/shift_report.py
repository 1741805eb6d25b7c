"""All figures of shift from recordings, as JSON, tables and one figure of the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.cli.output import plain
from plethprint.errors import RecordingError
from plethprint.fingerprinter import Fingerprinter
from plethprint.quality import assess
from plethprint_distill.device_changes import pulse_sd
from plethprint_distill.invariance import Embedder, embedder_of, invariance, table
from plethprint_distill.physiology import TARGETS
from plethprint_distill.polarity import PolarityFigures, polarity_figures
from plethprint_distill.shift import (
    BREAKS_AT,
    LabelledWindows,
    Left,
    Subgroup,
    across_people,
    degradation,
    heart_rate_probe,
    leave_one_corpus_out,
    leave_one_corpus_out_damage,
    quantile_groups,
    subgroups,
)
from plethprint_distill.splits import test_mask
from plethprint_distill.stretches import StretchSet, read_stretches
from plethprint_distill.virtual import virtual_windows

FloatArray = npt.NDArray[np.float64]

__all__ = ["PARTS", "draw_curves", "shift_report", "tables"]

PARTS = ("polarity", "invariance", "corpora", "curves", "subgroups")

_PER_PERSON = {"bidmc": 30, "stress_predict": 30, "uci_cuffless": 12}
_VIRTUAL = 2000
_RATE = TARGETS.index("log_heart_rate")
_POLARITY_CORPORA = (
    "bidmc",
    "uci_cuffless",
    "stress_predict",
    "welltory",
    "wrist_exercise",
    "ppg_bp",
    "ppg_arrhythmia_valid",
)
_SHARES = ("strong_and_wrong", "strong_and_right", "turned_wrongly", "left_inverted")
_POLARITY_HEADS = ["corpus", "window", "quality >= .5", "30 s", "60 s"]
_POLARITY_HEADS += [*(name.replace("_", " ") for name in _SHARES), "delay s"]
_CORPORA_HEADS = ["task", "left out", "probe of the others", "own probe", "control"]


def shift_report(
    data: Path, package: Path | None = None, *, parts: Sequence[str] = PARTS
) -> dict[str, Any]:
    """Measure everything asked for; plain values, ready for JSON.

    Parameters
    ----------
    data
        Folder of the corpora's folders; a corpus that is not there is left out.
    package
        Model package; the shipped one by default.
    parts
        Of `PARTS`.

    Raises
    ------
    RecordingError
        If a part has no corpus to measure on.
    PackageError
        If the package cannot be used.
    """
    fingerprinter = Fingerprinter(package)
    embed = embedder_of(fingerprinter)
    store = _Stretches(data)
    report: dict[str, Any] = {"model": fingerprinter.model}
    if "polarity" in parts:
        report["polarity"] = [asdict(row) for row in _polarity(store)]
    if "invariance" in parts:
        names = store.present("bidmc", "stress_predict", "ppg_bp")
        rows = [
            row
            for name in names
            for cold in (False, True)
            for row in invariance(embed, _held_out(store[name]), cold=cold)
        ]
        report["invariance"] = [asdict(row) for row in rows]
        report["invariance_table"] = table(rows)
    if "corpora" in parts:
        report["corpora"] = [asdict(row) for row in _corpora(embed, store)]
    if "curves" in parts:
        store.present("bidmc")
        report["curves"] = [asdict(row) for row in degradation(embed, store["bidmc"])]
    if "subgroups" in parts:
        report["subgroups"] = {
            task: [asdict(row) for row in rows]
            for task, rows in _subgroups(embed, store).items()
        }
    plain_report: dict[str, Any] = plain(report)
    return plain_report


class _Stretches:
    """Stretches of each corpus, read when first asked for."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._read: dict[str, StretchSet] = {}

    def present(self, *names: str) -> list[str]:
        there = [name for name in names if (self._data / name).is_dir()]
        if not there:
            raise RecordingError(f"{self._data} holds none of {', '.join(names)}")
        return there

    def folder(self, name: str) -> Path:
        return self._data / name

    def __getitem__(self, name: str) -> StretchSet:
        if name not in self._read:
            count = _PER_PERSON.get(name, 200)
            self._read[name] = read_stretches(name, self._data / name, per_person=count)
        return self._read[name]


def _held_out(stretches: StretchSet) -> StretchSet:
    return stretches.take(test_mask(stretches.person))


def _polarity(store: _Stretches) -> list[PolarityFigures]:
    names = store.present(*_POLARITY_CORPORA)
    return [polarity_figures(name, store.folder(name)) for name in names]


def _corpora(embed: Embedder, store: _Stretches) -> list[Left]:
    """Every task that more than one corpus has labels for."""
    rates = {
        name: _labelled(store[name], store[name].heart_rate_bpm)
        for name in store.present("bidmc", "uci_cuffless", "welltory", "wrist_exercise")
    }
    virtual = virtual_windows(_VIRTUAL, seed=77)
    rate = np.exp(np.asarray(virtual.targets, np.float64)[:, _RATE])
    person = np.asarray(virtual.person)
    rates["virtual"] = LabelledWindows(np.asarray(virtual.ppg), rate, person)
    rows = leave_one_corpus_out(embed, rates, task="heart rate")
    pressed = store.present("uci_cuffless", "ppg_bp")
    if len(pressed) == 2:
        for key in ("sbp", "dbp"):
            given = {
                name: _labelled(store[name], _numbers(store[name], key)) for name in pressed
            }
            rows += leave_one_corpus_out(embed, given, task=key)
    spoilt = {
        name: _held_out(store[name])
        for name in store.present("bidmc", "uci_cuffless", "ppg_bp", "stress_predict")
    }
    if len(spoilt) > 1:
        rows += leave_one_corpus_out_damage(embed, spoilt)
    return rows


def _labelled(stretches: StretchSet, target: FloatArray) -> LabelledWindows:
    windows = stretches.windows()
    return LabelledWindows(windows, target, stretches.person)


def _numbers(stretches: StretchSet, key: str) -> FloatArray:
    """A label as numbers, NaN where it is none ("90+" is 90)."""
    if key not in stretches.labels:
        return np.full(len(stretches), np.nan)
    texts = [str(text).removesuffix("+") for text in stretches.labels[key]]
    return np.array(
        [float(t) if t.replace(".", "", 1).isdigit() else np.nan for t in texts]
    )


def _subgroups(embed: Embedder, store: _Stretches) -> dict[str, list[Subgroup]]:
    """Heart rate on BIDMC's people held out, blood pressure on PPG-BP across people."""
    found: dict[str, list[Subgroup]] = {}
    names = store.present("bidmc", "ppg_bp")
    if "bidmc" in names:
        probe = heart_rate_probe(embed, store["bidmc"])
        tested = _held_out(store["bidmc"])
        tested = tested.take(np.isfinite(tested.heart_rate_bpm))
        error = np.abs(probe(tested.windows()) - tested.heart_rate_bpm)
        found["heart rate, BIDMC, bpm"] = subgroups(
            error, tested.person, _groupings(tested, tested.heart_rate_bpm)
        )
    if "ppg_bp" in names:
        people = store["ppg_bp"]
        for key in ("sbp", "dbp"):
            truth = _numbers(people, key)
            guess = across_people(embed(people.windows()), truth, people.person)
            found[f"{key}, PPG-BP, mmHg"] = subgroups(
                np.abs(guess - truth), people.person, _groupings(people, truth)
            )
    return found


def _groupings(stretches: StretchSet, truth: FloatArray) -> dict[str, npt.NDArray[np.str_]]:
    age = _numbers(stretches, "age")
    names = np.array(["to 44", "45 to 64", "65 and over", ""])
    windows = stretches.windows()
    amplitude = pulse_sd(stretches.rows, stretches.rate_hz)[:, 0]
    return {
        "age": np.where(
            np.isfinite(age), names[np.searchsorted([45, 65], age, "right") % 3], ""
        ),
        "sex": stretches.labels.get("sex", np.full(len(stretches), "")),
        "amplitude (third)": quantile_groups(amplitude, 3),
        "quality (tenth)": quantile_groups(assess(windows), 10),
        "truth (third)": quantile_groups(truth, 3),
    }


def tables(report: dict[str, Any]) -> str:
    """The report's figures as tables of Markdown."""
    parts = [f"model `{report['model']}`"]
    if "polarity" in report:
        heads = ("window", "good_window", "after_30_s", "after_60_s")
        lines = [
            [row["corpus"], *(_text(row[head]) for head in heads)]
            + [_share(row[key]) for key in _SHARES]
            + [_share(row["delay_s"], 0)]
            for row in report["polarity"]
        ]
        parts.append(
            _markdown(
                _POLARITY_HEADS,
                lines,
            )
        )
    if "invariance" in report:
        parts.append(report["invariance_table"])
    if "corpora" in report:
        lines = [
            [row["task"], row["tested_on"], _text(row["error"]), _text(row["within"]),
             _text(row["control"])]
            for row in report["corpora"]
        ]  # fmt: skip
        parts.append(_markdown(_CORPORA_HEADS, lines))
    for curve in report.get("curves", []):
        lines = [
            [level, _text(error), _text(control)]
            for level, error, control in zip(
                curve["levels"], curve["error"], curve["control"], strict=True
            )
        ]
        breaks = f"{curve['family']}: breaks at {curve['breaks_at'] or 'no level'}"
        breaks += f" (beat counting: {curve['control_breaks_at'] or 'no level'})"
        parts.append(
            breaks + "\n\n" + _markdown(["level", "probe", "beat counting"], lines)
        )
    for task, rows in report.get("subgroups", {}).items():
        lines = [
            [r["grouping"], r["group"], _text(r["error"]), str(r["error"]["people"]),
             str(r["windows"])]
            for r in rows
        ]  # fmt: skip
        parts.append(
            task + "\n\n" + _markdown(["by", "group", "error", "people", "windows"], lines)
        )
    return "\n\n".join(parts) + "\n"


def _markdown(heads: list[str], lines: list[list[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _text(figure: dict[str, float | None] | None) -> str:
    if figure is None:
        return "-"
    mean, low, high = figure["mean"], figure["low"], figure["high"]
    if mean is None:
        return "-"
    if low is None or high is None:  # one person
        return f"{mean:.3f}"
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _share(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def draw_curves(curves: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the degradation curves of a report (`report["curves"]`) into a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 3
    figure = Figure(figsize=(11, 3.2 * -(-len(curves) // columns)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, curve in enumerate(curves):
        axes = figure.add_subplot(-(-len(curves) // columns), columns, place + 1)
        at = np.arange(len(curve["levels"]))
        for key, label in (("error", "fingerprint, ridge"), ("control", "beat counting")):
            mean = [e["mean"] for e in curve[key]]
            # Of one person there is no interval: None, and nothing is filled.
            low, high = (
                np.array([e[side] for e in curve[key]], np.float64)
                for side in ("low", "high")
            )
            axes.plot(at, mean, marker="o", markersize=3, label=label)
            axes.fill_between(at, low, high, alpha=0.2)
        limit = BREAKS_AT * curve["error"][0]["mean"]
        axes.axhline(limit, color="grey", linestyle=":", linewidth=1)
        axes.set_xticks(at, [level.split()[0] for level in curve["levels"]])
        unit = curve["levels"][-1].partition(" ")[2]
        axes.set_xlabel(f"{curve['family']} ({unit})" if unit else curve["family"])
        axes.set_ylabel("heart-rate error, bpm")
        axes.set_ylim(bottom=0)
        if not place:
            axes.legend(fontsize=8)
    figure.savefig(path)
