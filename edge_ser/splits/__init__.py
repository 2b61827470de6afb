"""Splits of clips into training, validation and test, checked for leaks. No torch, no audio decoding."""

from __future__ import annotations

from edge_ser.splits.digest import data_digest, fold_digest
from edge_ser.splits.fold import Fold, Shared, speakers
from edge_ser.splits.leaks import LeakReport, Overlap, find_leaks, refuse_leaks
from edge_ser.splits.registry import (
    PROTOCOLS,
    Protocol,
    SplitConfig,
    choose_fold,
    make_folds,
    protocol_of,
)

__all__ = [
    "PROTOCOLS",
    "Fold",
    "LeakReport",
    "Overlap",
    "Protocol",
    "Shared",
    "SplitConfig",
    "choose_fold",
    "data_digest",
    "find_leaks",
    "fold_digest",
    "make_folds",
    "protocol_of",
    "refuse_leaks",
    "speakers",
]
