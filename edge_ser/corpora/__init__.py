"""Corpora of speech: seven public corpora and own recordings, all as `Clip`.

Only names of files and folders are read and, for halves of a corpus, digests of files. No audio is
decoded.
"""

from __future__ import annotations

from edge_ser.corpora.clip import (
    UNKNOWN_SPEAKER,
    Clip,
    CorpusSummary,
    PaperAugmentation,
    Role,
    common_emotions,
    describe,
    is_background,
    is_labelled,
    occurring_emotions,
    possible_emotions,
    speaker_known,
)
from edge_ser.corpora.crowd import Half
from edge_ser.corpora.info import CORPORA, CorpusInfo, corpus_info
from edge_ser.corpora.labels import EMOTIONS, UNLABELLED, shared_emotion, sort_emotions
from edge_ser.corpora.load import (
    COMMERCIAL,
    CorpusKind,
    CorpusSpec,
    Terms,
    load_corpora,
    load_corpus,
    parse_licences,
    parse_spec,
)

__all__ = [
    "COMMERCIAL",
    "CORPORA",
    "EMOTIONS",
    "UNKNOWN_SPEAKER",
    "UNLABELLED",
    "Clip",
    "CorpusInfo",
    "CorpusKind",
    "CorpusSpec",
    "CorpusSummary",
    "Half",
    "PaperAugmentation",
    "Role",
    "Terms",
    "common_emotions",
    "corpus_info",
    "describe",
    "is_background",
    "is_labelled",
    "load_corpora",
    "load_corpus",
    "occurring_emotions",
    "parse_licences",
    "parse_spec",
    "possible_emotions",
    "shared_emotion",
    "sort_emotions",
    "speaker_known",
]
