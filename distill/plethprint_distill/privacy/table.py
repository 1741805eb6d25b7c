"""The one table of ``docs/privacy.md``, written from a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["markdown_table"]

_CORPORA = {
    "bidmc": "BIDMC",
    "stress_predict": "Stress-Predict",
    "uci_cuffless": "UCI",
    "ppg_bp": "PPG-BP",
}


def markdown_table(report: Mapping[str, Any]) -> str:
    """Rows of question, setting, figure and what it must be seen beside.

    Parameters
    ----------
    report
        `PrivacyReport.to_dict`, or that JSON read back.
    """
    rows = ["| question | setting | figure | beside it |", "|---|---|---|---|"]
    rows += _identified(report["reidentification"])
    rows += _inverted(report["inversion"])
    rows += _attributed(report["attributes"])
    rows += _members(report["membership"])
    rows += _protected(report["protection"])
    return "\n".join(rows) + "\n"


def _told(figure: Mapping[str, Any] | None, digits: int = 2) -> str:
    if figure is None or figure["mean"] is None:
        return "unknown"
    ends = [figure[k] for k in ("low", "high")]
    if None in ends:
        return f"{figure['mean']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _corpus(name: str) -> str:
    head, comma, tail = name.partition(",")
    return _CORPORA.get(head, head) + comma + tail


def _identified(found: list[Mapping[str, Any]]) -> list[str]:
    settings: dict[tuple[Any, ...], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for one in found:
        setting = tuple(one[k] for k in ("corpus", "protocol", "probe_s", "gallery"))
        settings.setdefault(setting, {})[one["features"], one["scorer"]] = one
    rows = []
    for (corpus, protocol, probe_s, gallery), by in settings.items():
        for scorer in ("cosine", "learnt"):
            if not (ours := by.get(("student", scorer))):
                continue
            others = ", ".join(
                f"{name} {by[name, kind]['rank1']['mean']:.2f}"
                for name, kind in by
                if kind == scorer and name != "student"
            )
            where = f"{_corpus(corpus)}, {protocol}, {gallery} enrolled"
            where += f", {probe_s:g} s probe, {scorer}, {ours['rank1']['people']} probe"
            figure = f"rank 1 {_told(ours['rank1'])}, rank 5 {_told(ours['rank5'])}, "
            figure += f"EER {_told(ours['verification']['equal_error_rate'])}"
            beside = f"chance {ours['chance_rank1']:.3f}; rank 1 of {others}"
            for key, unit in (
                ("rank1_by_enrolment_min", "minutes enrolled"),
                ("rank1_by_gallery", "gallery size"),
            ):
                grown = {n: i["mean"] for n, i in ours[key].items()}
                if len(grown) > 1 and probe_s > 10.0:
                    told = ", ".join(f"{n}: {mean:.2f}" for n, mean in grown.items())
                    figure += f"; rank 1 by {unit} {told}"
            rows.append(f"| who is it | {where} | {figure} | {beside} |")
    return rows


def _inverted(found: Mapping[str, Any]) -> list[str]:
    names = {
        "pearson": "r",
        "coherence": "coherence",
        "beat_f1": "beat F1",
        "heart_rate_error_bpm": "heart rate off by (bpm)",
        "shape_pearson": "pulse shape r",
    }
    rows = []
    for features, corpora in found.items():
        for corpus, waves in corpora.items():
            for wave, one in waves.items():
                told = ", ".join(f"{n} {_told(one[k])}" for k, n in names.items())
                what = f"{features} decoded" if wave == "decoder" else f"null: {wave}"
                people = one["pearson"]["people"]
                rows.append(
                    f"| the wave back | {_corpus(corpus)}, {people} people held out, "
                    f"{what} | {told} | |"
                )
    return rows


def _attributed(found: list[Mapping[str, Any]]) -> list[str]:
    return [
        f"| age, sex | {_corpus(one['corpus'])}, {one['age_r']['people']} people, "
        f"{one['features']} | age r {_told(one['age_r'])}, "
        f"MAE {_told(one['age_mae_years'], 1)} years; sex AUROC {_told(one['sex_auroc'])} "
        f"| age MAE of the mean {_told(one['age_mae_of_the_mean_years'], 1)} |"
        for one in found
    ]


def _members(found: list[Mapping[str, Any]]) -> list[str]:
    return [
        f"| did they train it | {_corpus(one['corpus'])}, {one['training_people']} who did "
        f"and {one['held_out_people']} who did not: {one['attack']} "
        f"| AUROC {_told(one['auroc'])} | chance 0.5 |"
        for one in found
    ]


def _protected(found: list[Mapping[str, Any]]) -> list[str]:
    rows = []
    for one in found:
        name = "not protected" if one["form"] == "none" else f"{one['form']}, {one['size']}"
        rate = _told(one["heart_rate_mae_bpm"])
        rank, error = (
            _told(one[k]) for k in ("rank1_within_key", "equal_error_rate_within_key")
        )
        rows.append(
            f"| protected: cost | {name} | rank 1 {rank}, EER {error}; "
            f"heart rate by linear probe, MAE {rate} bpm | |"
        )
        if one["form"] == "none":
            continue
        across = _told(one["equal_error_rate_across_keys"])
        linked = _told(one["rank1_across_keys"])
        same, other = (
            _told(one.get(f"rank1_across_keys_{w}_windows")) for w in ("same", "other")
        )
        rows.append(
            f"| protected: other key | {name} | EER {across}, rank 1 {linked}; clouds laid "
            f"over one another: rank 1 {same} with the same windows, {other} with other "
            "windows of the same people | |"
        )
        attacks = {
            "others' plain ones": one["alignment"],
            "the same windows' plain ones, unpaired": one["own_alignment"],
        }
        attacks |= {f"{n} pairs": attack for n, attack in one["pairs"].items()}
        attacks["the key"] = one["key"]
        told = "; ".join(
            f"{n}: {_told(a['cosine'])}, {_told(a['rank1'])}" for n, a in attacks.items()
        )
        rows.append(
            f"| protected: attacks | {name} | cosine to the true one, rank 1 in a plain "
            f"gallery: {told} | |"
        )
    return rows
