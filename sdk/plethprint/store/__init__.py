"""Fingerprints kept: an append-only log, and ways out of it into other tools.

>>> import tempfile, numpy as np
>>> from pathlib import Path
>>> from plethprint import Fingerprint
>>> fp = Fingerprint(np.array([3, -4], np.int8), 0.2, start=1.7e9, duration_s=10.0,
...                  quality=0.9, model="toy@1+00000000")
>>> with tempfile.TemporaryDirectory() as folder:
...     with FingerprintStore(Path(folder) / "log.db", key=bytes(range(32))) as store:
...         store.append(StoredFingerprint(fp, wearer="ada"))
...         store.append(StoredFingerprint(fp, wearer="ada"))
...         [row.fingerprint.start for row in store.query(wearer="ada")]
True
False
[1700000000.0]
"""

from __future__ import annotations

from plethprint.store.key_file import create_key_file, read_key_file
from plethprint.store.log import FingerprintStore, StoreSummary
from plethprint.store.row import StoredFingerprint

__all__ = [
    "FingerprintStore",
    "StoreSummary",
    "StoredFingerprint",
    "create_key_file",
    "read_key_file",
]
