"""Every corpus there is a reader for."""

from __future__ import annotations

from plethprint_distill.corpora.bidmc import BIDMC
from plethprint_distill.corpora.cinc2017 import CINC2017
from plethprint_distill.corpora.code15 import CODE15
from plethprint_distill.corpora.mimic_perform import MIMIC_PERFORM
from plethprint_distill.corpora.mimic_waveforms import MIMIC3_WAVEFORMS, MIMIC4_WAVEFORMS
from plethprint_distill.corpora.mit_bih import MIT_BIH
from plethprint_distill.corpora.ppg_arrhythmia import PPG_ARRHYTHMIA_VALID
from plethprint_distill.corpora.ppg_bp import PPG_BP
from plethprint_distill.corpora.ptbxl import PTBXL, PTBXL500
from plethprint_distill.corpora.pulsedb import PULSEDB
from plethprint_distill.corpora.stress_predict import STRESS_PREDICT
from plethprint_distill.corpora.uci_cuffless import UCI_CUFFLESS
from plethprint_distill.corpora.vitaldb import VITALDB
from plethprint_distill.corpora.welltory import WELLTORY
from plethprint_distill.corpora.wesad_dalia import PPG_DALIA, WESAD
from plethprint_distill.corpora.wrist_exercise import WRIST_EXERCISE

__all__ = ["CORPORA"]

CORPORA = {
    corpus.name: corpus
    for corpus in (
        BIDMC,
        UCI_CUFFLESS,
        STRESS_PREDICT,
        MIMIC_PERFORM,
        WRIST_EXERCISE,
        WELLTORY,
        PPG_BP,
        PPG_ARRHYTHMIA_VALID,
        CINC2017,
        PTBXL500,
        PTBXL,
        CODE15,
        MIT_BIH,
        PULSEDB,
        MIMIC3_WAVEFORMS,
        MIMIC4_WAVEFORMS,
        VITALDB,
        WESAD,
        PPG_DALIA,
    )
}
"""Every corpus by its folder's name."""
