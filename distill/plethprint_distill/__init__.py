"""Corpora -> M2AE teacher -> PPG-only student. Torch lives here."""
