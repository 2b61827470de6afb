"""Ten minutes of the soak: what a day of it promises, holds in small."""

from __future__ import annotations

import importlib

import pytest
from support import ROOT

from edge_ser.recognition.events import Ended, SpeechEnd, SpeechStart, Window


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("soak")


def test_ten_minutes_of_speech_silence_and_noise(soak, corpora_dir):
    found = soak.soak(10 / 60, corpora_dir, None)
    print(found)
    assert found["faults"] == []
    assert found["audio_s"] == pytest.approx(600)
    assert found["utterances"] > 40
    assert found["windows"] > 400


COMMON = {"source": "s", "monotonic_s": 0.0, "time": ""}


def window(seq: int, start_s: float, end_s: float) -> Window:
    return Window(
        **COMMON, seq=seq, at_s=end_s, start_s=start_s, end_s=end_s, label="a", confidence=1.0,
        probs={"a": 1.0}, level_dbfs=-20.0, clipped=0.0, compute_ms=1.0, latency_ms=1.0,
    )  # fmt: skip


def speech_end(seq: int) -> SpeechEnd:
    return SpeechEnd(
        **COMMON, seq=seq, at_s=2.0, start_s=0.0, label="a", confidence=1.0, abstained=False,
        probs={"a": 1.0}, n_windows=1, latency_ms=1.0,
    )  # fmt: skip


START = SpeechStart(**COMMON, seq=0, at_s=0.0, latency_ms=1.0)


def end(**changes: float) -> Ended:
    counts = {"n_windows": 1, "n_utterances": 1, "n_overruns": 0, "lost_s": 0.0, "heard_s": 5.0}
    return Ended(**COMMON, seq=3, at_s=5.0, reason="source", **{**counts, **changes})


@pytest.mark.parametrize(
    ("events", "values"),
    [
        ([window(1, 0, 1)], ("event 1 ", " 0 ")),
        ([window(0, 0, 1)], ("a window ", "nobody")),
        ([START, window(1, 0, 1.5)], ("first window ", " 1.500 s")),
        ([START, window(1, 0, 1), window(2, 0, 1.5)], ("windows ", " 1.000 and 1.500 s")),
        ([START, SpeechStart(**COMMON, seq=1, at_s=1.0, latency_ms=1.0)], ("two starts",)),
        ([speech_end(0)], ("end without ",)),
    ],
)
def test_the_ledger_finds_what_is_missing(soak, events, values):
    ledger = soak.Ledger(window_s=3.0, hop_s=0.25, first_s=1.0)
    for event in events:
        ledger.take(event)
    assert any(all(v in found for v in values) for found in ledger.faults), ledger.faults


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"n_windows": 2}, " 1 windows "),
        ({"lost_s": 0.1}, "0.1 s lost"),
        ({"heard_s": 4.0}, "4.0 s heard"),
    ],
)
def test_the_ledger_closes(soak, changes, fault):
    ledger = soak.Ledger(window_s=3.0, hop_s=0.25, first_s=1.0)
    for event in (START, window(1, 0, 1), speech_end(2), end(**changes)):
        ledger.take(event)
    assert ledger.faults == []
    found = ledger.closing_faults(5.0)
    assert found == [] if fault is None else fault in found[0]
    assert " 6.0 s " in ledger.closing_faults(6.0)[0]
