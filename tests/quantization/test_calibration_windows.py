"""Calibration windows are the runtime's own, and each recording that gives none is counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support import FakeRunner, make_card

from edge_ser.card import FrontendConfig, Normalization
from edge_ser.errors import AudioError
from edge_ser.quantization.calibration_sampling import Refused, cut, scan
from edge_ser.recognition.recognizer import Recognizer

SMALL = FrontendConfig(n_mels=26, n_mfcc=13)
CARDS = {
    "plain": make_card(),
    "centred": make_card(frontend=dataclasses.replace(SMALL, center=True)),
    "deltas": make_card(
        frontend=dataclasses.replace(SMALL, deltas=2),
        normalization=Normalization((0.0,) * 39, (1.0,) * 39),
    ),
    "long hop": make_card(hop_s=1.5),
    "odd window": make_card(window_s=0.7003, hop_s=0.1),
}


@pytest.mark.parametrize("name", CARDS)
def test_they_are_what_the_runtime_shows_a_model(record, name):
    card = CARDS[name]
    clips = [record("a", 2.3), record("b", 1.4, rate=44_100), record("c", 5.2, rate=8_000)]

    pool = scan(clips, card, seed=3)
    windows = cut(pool.candidates, card)

    assert {candidate.clip for candidate in pool.candidates} == set(clips)
    for candidate, window in zip(pool.candidates, windows, strict=True):
        runner = FakeRunner(card)
        shown = Recognizer(runner).recognize(candidate.clip.path, vad=False).windows
        (at,) = (i for i, w in enumerate(shown) if w.start_s == candidate.start_s)
        np.testing.assert_array_equal(window, runner.inputs[at][0])
        assert candidate.level_dbfs == pytest.approx(shown[at].level_dbfs, abs=1e-6)


def test_a_model_of_audio_gets_the_windows_of_its_front_end(record):
    clips = [record("a", 2.3), record("b", 1.4)]
    card, audio = make_card(), make_card(input="waveform")

    candidates = scan(clips, audio, seed=0).candidates

    assert candidates == scan(clips, card, seed=0).candidates
    np.testing.assert_array_equal(cut(candidates, audio), cut(candidates, card))


def test_a_clip_gives_one_window_and_a_long_recording_one_for_each_stretch(record):
    clips = [record("short", 1.0), record("clip", 1.9), record("long", 10.0)]

    starts = {}
    for candidate in scan(clips, make_card(), seed=0).candidates:
        starts.setdefault(candidate.clip.path.stem, []).append(candidate.start_s)

    assert starts["short"] == [0.0]
    assert len(starts["clip"]) == 1
    assert [int(start) for start in starts["long"]] == list(range(10))


def test_recordings_that_give_none_are_counted(record):
    clips = [
        record("good"),
        record("short", 0.99),
        record("shorter", 0.01),
        record("silent", dbfs=-90),
        record("silent too", 4.0, dbfs=-90),
        record("short and silent", 0.5, dbfs=-90),
    ]
    seen = []

    pool = scan(clips, make_card(), seed=0, progress=lambda: seen.append(1))

    assert [candidate.clip for candidate in pool.candidates] == clips[:1]
    assert pool.refused == {Refused.TOO_SHORT: 3, Refused.SILENT: 2}
    assert len(seen) == len(clips)


def test_silent_stretches_of_a_recording_are_passed_over(record):
    clip = record("late", 6.0, pause_s=3.0)
    for seed in range(10):
        pool = scan([clip], make_card(), seed)
        assert len(pool.candidates) == 4  # one from the pause's end, which is audible
        assert min(candidate.start_s for candidate in pool.candidates) > 2
        assert pool.refused == {}


def test_the_same_audio_is_read_once(record):
    first, second = record("a"), record("b")
    twin = dataclasses.replace(second, group=first.group)
    pool = scan([first, twin], make_card(), seed=0)
    assert [candidate.clip for candidate in pool.candidates] == [first]


def test_the_seed_decides_and_each_recording_by_itself(record):
    clips = [record(name, 1.9) for name in "abcdefgh"]
    card = make_card()

    def drawn(seed, own=clips):
        return {c.clip.group: c.start_s for c in scan(own, card, seed).candidates}

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert drawn(0, clips[3:]).items() <= drawn(0).items()
    assert len(set(drawn(0).values())) > 1


def test_what_cannot_be_read_is_named(record):
    broken = record("broken")
    broken.path.write_bytes(b"no audio")
    with pytest.raises(AudioError, match=r"broken\.wav\b"):
        scan([record("good"), broken], make_card(), seed=0)


def test_a_recording_that_changes_meanwhile_is_named(record):
    pool = scan([record("a", 5.0)], make_card(), seed=0)
    record("a", 1.5)
    with pytest.raises(AudioError, match=r"a\.wav changed\b"):
        cut(pool.candidates, make_card())
