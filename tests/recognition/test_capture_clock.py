"""Latency of decisions: from capture if audio is live, else from arrival."""

from __future__ import annotations

import pytest

from edge_ser.recognition.event_log import CaptureClock


def test_live_audio_counts_from_its_capture():
    clock = CaptureClock()
    clock.add(end_s=1.0, captured_s=101.0, now_s=101.2)
    clock.add(end_s=2.0, captured_s=102.0, now_s=102.2)

    assert clock.latency_ms(2.0, now_s=102.5) == pytest.approx(500)
    assert clock.latency_ms(1.75, now_s=102.5) == pytest.approx(750)
    assert clock.latency_ms(0.5, now_s=102.5) == pytest.approx(2_000)


def test_audio_that_is_not_live_counts_from_the_arrival_of_its_piece():
    clock = CaptureClock()
    clock.add(end_s=1.0, captured_s=None, now_s=50.0)
    clock.add(end_s=2.0, captured_s=None, now_s=50.1)

    assert clock.latency_ms(1.5, now_s=50.125) == pytest.approx(25)
    assert clock.latency_ms(1.0, now_s=50.125) == pytest.approx(125)


def test_a_gap_of_the_stream_is_no_latency():
    clock = CaptureClock()
    clock.add(end_s=1.0, captured_s=101.0, now_s=101.0)
    clock.add(end_s=9.0, captured_s=109.0, now_s=109.0)
    assert clock.latency_ms(8.5, now_s=109.0) == pytest.approx(500)


def test_a_decision_is_never_before_its_audio():
    clock = CaptureClock()
    clock.add(end_s=1.0, captured_s=101.0, now_s=100.0)
    assert clock.latency_ms(1.0, now_s=100.0) == 0


def test_what_is_remembered_is_bounded():
    clock = CaptureClock()
    for i in range(100_000):
        clock.add(end_s=0.02 * i, captured_s=None, now_s=0.02 * i)
    assert len(clock._chunks) <= 30 / 0.02 + 2
