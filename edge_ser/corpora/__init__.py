"""Labelled speech: six public corpora and own recordings, as one kind of `Clip`.

Only names of files and folders are read here, never the audio.
"""

from __future__ import annotations

from edge_ser.corpora.clip import UNKNOWN_SPEAKER, Clip, Copy, speaker_known
from edge_ser.corpora.info import CORPORA, CorpusInfo, corpus_info
from edge_ser.corpora.labels import EMOTIONS, shared_emotion, sort_emotions
from edge_ser.corpora.load import load_corpora, load_corpus
from edge_ser.corpora.spec import CorpusKind, CorpusSpec, parse_spec
from edge_ser.corpora.summary import CorpusSummary, describe

__all__ = [
    "CORPORA",
    "EMOTIONS",
    "UNKNOWN_SPEAKER",
    "Clip",
    "Copy",
    "CorpusInfo",
    "CorpusKind",
    "CorpusSpec",
    "CorpusSummary",
    "corpus_info",
    "describe",
    "load_corpora",
    "load_corpus",
    "parse_spec",
    "shared_emotion",
    "sort_emotions",
    "speaker_known",
]
