"""Readers of open recordings: every corpus becomes a stream of `CorpusRecording`.

One module a corpus reads it in its original public form, and in the compact npz form
where there is one; which of them a folder holds is seen from its files. Person ids,
licences and labels travel along, so that splits are by person and a model card can name
what trained it. `docs/corpora.md` has the table of all of them.
"""

from plethprint_distill.corpora.compact import decode
from plethprint_distill.corpora.recording import Corpus, CorpusRecording
from plethprint_distill.corpora.registry import CORPORA

__all__ = ["CORPORA", "Corpus", "CorpusRecording", "decode"]
