"""Boundaries of utterances: exact times with a script, real speech with the real detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import skip_or_fail

from edge_ser.audio.io import load
from edge_ser.errors import AudioError, ConfigError
from edge_ser.vad.detectors import open_detector
from edge_ser.vad.segmenter import LATER_S, Segmenter, SegmenterConfig, SpeechBoundary

RATE = 16_000
FRAME_S = 0.1
SETTINGS = SegmenterConfig(
    on_threshold=0.5,
    off_threshold=0.3,
    min_speech_s=0.2,
    min_silence_s=0.4,
    pre_roll_s=0.0,
    post_roll_s=0.0,
    search_s=0.0,
)
"""By the detector alone; what the level adds has tests of its own."""


class Scripted:
    """A detector of frames of 0.1 s: a frame's probability is its first sample."""

    name = "scripted"

    def __init__(self, sample_rate=RATE):
        self.sample_rate = sample_rate
        self.frame_samples = round(FRAME_S * sample_rate)
        self.n_resets = 0

    def push(self, frame):
        assert frame.shape == (self.frame_samples,)
        assert frame.dtype == np.float32
        return float(frame[0])

    def reset(self):
        self.n_resets += 1


def stream(*probabilities):
    """Return samples that Scripted gives these probabilities for."""
    return np.repeat(np.asarray(probabilities, dtype=np.float32), round(FRAME_S * RATE))


def times(boundaries):
    return [(b.kind, round(b.at_s, 6), round(b.sure_s, 6)) for b in boundaries]


def segmented(settings, *probabilities):
    segmenter = Segmenter(Scripted(), RATE, settings)
    return times((*segmenter.push(stream(*probabilities)), *segmenter.flush()))


def test_a_start_is_sure_after_enough_speech_and_dated_back():
    segmenter = Segmenter(Scripted(), RATE, SETTINGS)

    assert segmenter.push(stream(0, 0, 0.9)) == ()
    assert not segmenter.speaking
    assert times(segmenter.push(stream(0.9))) == [("start", 0.2, 0.4)]
    assert segmenter.speaking
    assert segmenter.probability == pytest.approx(0.9)
    assert segmenter.end_s == pytest.approx(0.4)


def test_an_end_is_sure_after_enough_silence_and_dated_back():
    segmenter = Segmenter(Scripted(), RATE, SETTINGS)
    segmenter.push(stream(0.9, 0.9, 0.9, 0, 0, 0))

    assert segmenter.speaking
    assert times(segmenter.push(stream(0))) == [("end", 0.3, 0.7)]
    assert not segmenter.speaking


def test_a_pause_within_a_sentence_does_not_end_it():
    boundaries = segmented(SETTINGS, 0.9, 0.9, 0, 0, 0, 0.9, 0, 0, 0, 0, 0)

    assert boundaries == [("start", 0.0, 0.2), ("end", 0.6, 1.0)]


def test_between_the_thresholds_speech_goes_on_but_does_not_begin():
    assert segmented(SETTINGS, 0.4, 0.4, 0.4, 0.4) == []
    assert segmented(SETTINGS, 0.5, 0.4, 0.3, 0.29, 0, 0, 0) == [
        ("start", 0, 0.2),
        ("end", 0.3, 0.7),
    ]
    # Once below off_threshold, only on_threshold counts again.
    assert segmented(SETTINGS, 0.5, 0.5, 0.2, 0.4, 0.4, 0.4) == [
        ("start", 0, 0.2),
        ("end", 0.2, 0.6),
    ]


def test_clicks_are_no_utterances():
    assert segmented(SETTINGS, 0, 1, 0, 1, 0, 0, 1) == []


def test_lead_and_tail_widen_but_utterances_do_not_overlap():
    settings = replace(SETTINGS, min_silence_s=0.2, pre_roll_s=0.15, post_roll_s=0.1)
    boundaries = segmented(settings, 1, 1, 0, 0, 1, 1, 0, 0)

    # Nothing begins before the stream, nor before the one before has ended.
    assert boundaries == [
        ("start", 0.0, 0.2),
        ("end", 0.3, 0.4),
        ("start", 0.3, 0.6),
        ("end", 0.7, 0.8),
    ]


def test_flush_ends_an_open_utterance_where_the_stream_ends():
    segmenter = Segmenter(Scripted(), RATE, SETTINGS)
    segmenter.push(np.concatenate([stream(1, 1, 1), np.ones(800, dtype=np.float32)]))

    assert times(segmenter.flush()) == [("end", 0.35, 0.35)]
    assert not segmenter.speaking
    assert segmenter.flush() == ()


def test_flush_ends_it_where_the_silence_began():
    assert segmented(SETTINGS, 1, 1, 0, 0) == [("start", 0, 0.2), ("end", 0.2, 0.4)]


def test_after_a_flush_the_clock_goes_on():
    segmenter = Segmenter(Scripted(), RATE, SETTINGS)
    segmenter.push(stream(1, 1, 0))
    segmenter.flush()

    assert segmenter.end_s == pytest.approx(0.3)
    assert times(segmenter.push(stream(1, 1))) == [("start", 0.3, 0.5)]


def test_a_reset_forgets_and_sets_the_clock():
    detector = Scripted()
    segmenter = Segmenter(detector, RATE, SETTINGS)
    segmenter.push(np.concatenate([stream(1, 1), np.ones(100, dtype=np.float32)]))
    assert segmenter.speaking
    segmenter.reset(60.0)

    assert detector.n_resets == 1
    assert not segmenter.speaking
    assert segmenter.probability == 0.0
    assert segmenter.end_s == 60.0
    # The 100 samples before the gap are not part of the frames after it, nor is the speech.
    assert times(segmenter.push(stream(1, 0, 1, 1))) == [("start", 60.2, 60.4)]


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_stream_time_is_exact_where_the_detector_wants_another_rate(rate):
    """Loud from 0.95 to 1.95 s: of frames of 0.1 s, those from 1.0 to 2.0 s begin in it."""
    samples = np.zeros(3 * rate, dtype=np.float32)
    samples[round(0.95 * rate) : round(1.95 * rate)] = 1.0
    segmenter = Segmenter(Scripted(), rate, SETTINGS)
    chunks = np.array_split(samples, 37)
    boundaries = [b for chunk in chunks for b in segmenter.push(chunk)]

    assert segmenter.end_s == pytest.approx(3.0)
    assert [b.kind for b in (*boundaries, *segmenter.flush())] == ["start", "end"]
    assert [b.at_s for b in boundaries] == pytest.approx([1.0, 2.0], abs=1e-9)


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), max_size=60),
    cuts=st.lists(st.integers(0, 96_000), max_size=30),
    rest=st.integers(0, 1_599),
)
def test_any_chunking_gives_the_same_boundaries(probabilities, cuts, rest):
    samples = np.concatenate([stream(*probabilities), np.zeros(rest, dtype=np.float32)])
    complete = Segmenter(Scripted(), RATE, SETTINGS)
    expected = (*complete.push(samples), *complete.flush())
    pieces = Segmenter(Scripted(), RATE, SETTINGS)
    got: list[SpeechBoundary] = []
    for chunk in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        got += pieces.push(chunk)
    got += pieces.flush()

    assert tuple(got) == expected
    assert [b.kind for b in got] == ["start", "end"] * (len(got) // 2)
    at = [b.at_s for b in got]
    assert at == sorted(at)
    assert all(b.at_s <= b.sure_s + 1e-9 for b in got)


class SpansDetector:
    """Detector of frames of 32 ms with fixed spans of speech."""

    name, sample_rate, frame_samples = "spans", RATE, 512

    def __init__(self, *spans_s):
        self.spans_s = spans_s
        self.n_frames = 0

    def push(self, frame):
        assert frame.shape == (512,)
        middle_s = (self.n_frames + 0.5) * 0.032
        self.n_frames += 1
        return float(any(start_s <= middle_s < stop_s for start_s, stop_s in self.spans_s))

    def reset(self):
        self.n_frames = 0


def sounds(length_s, *bursts, floor_dbfs=-80.0, rate=RATE):
    """Return noise with louder noise in it, each burst a (start_s, stop_s, dBFS)."""
    t = np.arange(round(length_s * rate)) / rate
    gain = np.full(len(t), 10 ** (floor_dbfs / 20))
    for start_s, stop_s, dbfs in bursts:
        gain[(t >= start_s) & (t < stop_s)] = 10 ** (dbfs / 20)
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (gain * noise).astype(np.float32)


def dated(samples, *spans_s, settings=None, rate=RATE):
    """Return the utterances for a detector with these spans."""
    return utterances(Segmenter(SpansDetector(*spans_s), rate, settings), samples, 4_000)


BY_DETECTOR = SegmenterConfig(search_s=0)
EDGE_S = 0.025
"""Steps are 10 ms long and averaged over three."""


@pytest.mark.parametrize("rate", [8_000, RATE, 44_100])
def test_a_late_start_and_a_late_end_are_dated_by_the_level(rate):
    samples = sounds(4, (0.8, 1.1, -45), (1.1, 2.0, -20), rate=rate)

    ((start_s, end_s),) = dated(samples, (1.2, 2.4), rate=rate)
    assert (start_s, end_s) == pytest.approx((0.8, 2.0), abs=EDGE_S)


def test_an_early_end_is_dated_later():
    ((_, end_s),) = dated(sounds(4, (1.0, 2.2, -20)), (1.0, 2.0))

    assert end_s == pytest.approx(2.2, abs=EDGE_S)


def test_the_closure_of_a_plosive_is_part_of_the_word():
    """A burst of 40 ms belongs to speech 0.15 s later, and not to speech 0.4 s later."""
    ((near_s, _),) = dated(sounds(4, (0.81, 0.85, -30), (1.0, 2.0, -20)), (1.05, 2.0))
    ((far_s, _),) = dated(sounds(4, (0.56, 0.6, -30), (1.0, 2.0, -20)), (1.05, 2.0))

    assert near_s == pytest.approx(0.81, abs=EDGE_S)
    assert far_s == pytest.approx(1.0, abs=0.05)


def test_the_level_goes_no_further_than_it_may():
    """It is loud from 0.5 s and until 4.6 s; the detector finds speech from 1.25 s to 4.2 s."""
    samples = sounds(6, (0.5, 2.0, -20), (3.6, 4.6, -20))
    (first, second) = dated(samples, (1.25, 2.0), (3.6, 4.2))
    (detected_first, detected_second) = dated(
        samples, (1.25, 2.0), (3.6, 4.2), settings=BY_DETECTOR
    )

    start_s = detected_first[0] + BY_DETECTOR.pre_roll_s
    assert first[0] == pytest.approx(start_s - SegmenterConfig().search_s, abs=0.01)
    assert second[1] == pytest.approx(detected_second[1] + LATER_S, abs=0.01)


def test_a_click_in_the_pause_does_not_lengthen_an_utterance():
    ((_, end_s),) = dated(sounds(4, (1.0, 2.0, -20), (2.45, 2.47, -20)), (1.0, 2.1))

    assert end_s == pytest.approx(2.0, abs=EDGE_S)


@pytest.mark.parametrize("snr_db", [20, 5])
def test_in_noise_the_detector_is_believed(snr_db):
    samples = sounds(4, (0.9, 2.0, -20), floor_dbfs=-20 - snr_db)
    ((start_s, end_s),) = dated(samples, (1.2, 2.3))
    ((detected_s, detected_end_s),) = dated(samples, (1.2, 2.3), settings=BY_DETECTOR)

    assert end_s == detected_end_s
    # A start above the noise is still found.
    if snr_db == 20:
        assert start_s == pytest.approx(0.9, abs=EDGE_S)
    else:
        assert start_s == detected_s


def test_noise_that_begins_in_digital_silence_is_no_speech():
    """As of a microphone behind a gate, or of clips that were joined."""
    samples = sounds(4, (1.3, 2.0, -20), floor_dbfs=-50)
    samples[:RATE] = samples[round(2.5 * RATE) :] = 0
    found = dated(samples, (1.4, 2.1))

    ((start_s, end_s),) = found
    assert start_s == pytest.approx(1.3, abs=0.05)
    assert 2.0 - EDGE_S <= end_s <= 2.1 + 0.032


def test_offset_and_hum_are_no_level():
    samples = sounds(4, (0.8, 1.1, -30), (1.1, 2.0, -20))
    hum = 0.002 * np.sin(2 * np.pi * 50 * np.arange(len(samples)) / RATE) + 0.3
    found = dated(samples + hum.astype(np.float32), (1.2, 2.4))

    np.testing.assert_allclose(found, [(0.8, 2.0)], atol=EDGE_S)


def test_an_utterance_does_not_begin_before_the_one_before_has_ended():
    samples = sounds(6, (1.0, 5.0, -20))
    (first, second) = dated(samples, (1.0, 2.0), (2.8, 4.0))

    assert first[0] < first[1] <= second[0] < second[1]
    assert first[1] >= 2.0 - 0.032


def test_an_utterance_does_not_end_before_it_began():
    """A thump is too far from the speech to be its start; the speech itself is hardly there."""
    ((start_s, end_s),) = dated(sounds(4, (0.95, 1.05, -20)), (1.35, 1.6))

    assert 1.05 < start_s < 1.4
    assert end_s == pytest.approx(1.6, abs=0.032)


def test_an_end_is_never_later_than_what_made_it_certain():
    settings = SegmenterConfig(min_silence_s=0.4, post_roll_s=0.3)
    segmenter = Segmenter(SpansDetector((1.0, 2.0)), RATE, settings)
    _, end = segmenter.push(sounds(4, (1.0, 2.2, -20)))

    assert end.at_s == end.sure_s


def test_the_stream_ends_in_the_pause():
    ((_, end_s),) = dated(sounds(2.7, (1.0, 2.0, -20)), (1.0, 2.3))

    assert end_s == pytest.approx(2.0, abs=EDGE_S)


times_s = st.floats(0, 6)


@given(
    bursts=st.lists(st.tuples(times_s, st.floats(0, 2), st.floats(-60, -10)), max_size=5),
    spans=st.lists(st.tuples(times_s, st.floats(0, 2)), max_size=4),
    floor_dbfs=st.sampled_from([-120, -80, -40, -30]),
    cuts=st.lists(st.integers(0, 96_000), max_size=20),
    post_roll_s=st.sampled_from([0.0, 0.3]),
)
def test_the_level_finds_the_same_utterances_in_any_pieces(
    bursts, spans, floor_dbfs, cuts, post_roll_s
):
    samples = sounds(6, *((a, a + n, dbfs) for a, n, dbfs in bursts), floor_dbfs=floor_dbfs)
    spans_s = [(a, a + n) for a, n in spans]
    settings = SegmenterConfig(min_silence_s=0.4, post_roll_s=post_roll_s)
    complete = Segmenter(SpansDetector(*spans_s), RATE, settings)
    expected = (*complete.push(samples), *complete.flush())
    pieces = Segmenter(SpansDetector(*spans_s), RATE, settings)
    got = [b for chunk in np.split(samples, sorted(cuts)) for b in pieces.push(chunk)]
    got += pieces.flush()
    alone = Segmenter(SpansDetector(*spans_s), RATE, replace(settings, search_s=0))
    detected = (*alone.push(samples), *alone.flush())

    assert tuple(got) == expected
    assert [(b.kind, b.sure_s) for b in got] == [(b.kind, b.sure_s) for b in detected]
    at = [b.at_s for b in got]
    assert at == sorted(at)
    assert all(0 <= b.at_s <= b.sure_s + 1e-9 for b in got)
    for ours, theirs in zip(got, detected, strict=True):
        later_s = ours.at_s - theirs.at_s
        if ours.kind == "start":
            # The one before may end later than its detector says.
            assert -0.61 <= later_s <= LATER_S + 1e-9
        else:
            assert -0.61 <= later_s <= LATER_S + EDGE_S


def test_the_audio_that_is_held_for_the_level_does_not_grow():
    segmenter = Segmenter(SpansDetector((0, 1_000)), RATE)
    samples = sounds(10)
    segmenter.push(samples)
    held = list(segmenter._level._frames)
    for _ in range(3):
        segmenter.push(samples)

    assert len(held) == len(segmenter._level._frames)
    assert sum(len(frame) for frame in held) < 3 * RATE
    assert all(frame.base is None for frame in held)
    segmenter.reset(0.0)
    assert not segmenter._level._frames


def test_little_audio_is_held():
    segmenter = Segmenter(Scripted(), RATE, SETTINGS)
    for size in (1, 1_599, 1_600, 50_000, 7):
        segmenter.push(np.zeros(size, dtype=np.float32))
        assert len(segmenter._pending) < 1_600
        assert segmenter._pending.base is None


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"on_threshold": 0.0}, "on_threshold"),
        ({"on_threshold": 1.1}, "on_threshold"),
        ({"off_threshold": 0.9}, "off_threshold"),
        ({"off_threshold": 0.0}, "off_threshold"),
        ({"min_speech_s": -0.1}, "min_speech_s"),
        ({"min_silence_s": 0.0}, "min_silence_s"),
        ({"min_silence_s": float("nan")}, "min_silence_s"),
        ({"pre_roll_s": -0.1}, "pre_roll_s"),
        ({"post_roll_s": 2.0}, "post_roll_s"),
        ({"search_s": -0.1}, "search_s"),
        ({"search_s": 2.1}, "search_s"),
        ({"search_s": float("nan")}, "search_s"),
    ],
)
def test_settings_that_cannot_work(change, name):
    with pytest.raises(ConfigError, match=f"^{name} is .* expected "):
        SegmenterConfig(**change)


def test_a_rate_that_cannot_be_speech():
    with pytest.raises(AudioError, match="100 Hz"):
        Segmenter(Scripted(), 100)


def pause(seconds):
    return np.zeros(round(seconds * RATE), dtype=np.float32)


SPOKEN_S = {
    "1013_ITH_ANG_XX": (0.36, 2.13),
    "1013_TIE_DIS_XX": (0.40, 2.10),
    "1036_ITH_NEU_XX": (0.25, 1.71),
    "1037_IOM_HAP_XX": (0.29, 1.63),
    "1054_IEO_FEA_HI": (0.76, 1.82),
}
"""Spans of speech in the examples, by their levels."""


def span_s(samples):
    """Return where a clean clip is loud: blocks of 20 ms within 30 dB of the loudest."""
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    power = np.convolve(np.mean(blocks**2, axis=1), np.ones(3) / 3, "same")
    loud = np.flatnonzero(power > power.max() / 1_000)
    return loud[0] * 0.02, (loud[-1] + 1) * 0.02


def utterances(segmenter, samples, size):
    boundaries = [
        b for i in range(0, len(samples), size) for b in segmenter.push(samples[i : i + size])
    ]
    boundaries += segmenter.flush()
    assert [b.kind for b in boundaries] == ["start", "end"] * (len(boundaries) // 2)
    return [(a.at_s, b.at_s) for a, b in zip(boundaries[::2], boundaries[1::2], strict=True)]


def joined(clips, spoken_s):
    """Return clips with pauses of 1.2 s before, between and after, and where each is spoken."""
    parts, spans, at_s = [pause(1.2)], [], 1.2
    for clip, (start_s, stop_s) in zip(clips, spoken_s, strict=True):
        spans.append((at_s + start_s, at_s + stop_s))
        parts += [clip, pause(1.2)]
        at_s += len(clip) / RATE + 1.2
    return np.concatenate(parts), spans


def test_each_example_is_one_utterance(example_clips):
    spoken_s = [SPOKEN_S[path.stem] for path in example_clips]
    samples, true = joined([load(path, RATE) for path in example_clips], spoken_s)
    found = utterances(Segmenter(open_detector(), RATE), samples, 4_000)

    np.testing.assert_allclose(found, true, rtol=0, atol=0.3)


@pytest.mark.parametrize("size", [160, 4_000, 44_100])
def test_real_speech_at_another_rate_and_in_any_pieces(example_clips, size):
    rate = 44_100
    samples = np.concatenate(
        [part for path in example_clips[:2] for part in (np.zeros(rate, "f"), load(path, rate))]
    )
    segmenter = Segmenter(open_detector(), rate)
    complete = (*segmenter.push(samples), *segmenter.flush())
    segmenter.reset(0.0)
    pieces = [
        b for i in range(0, len(samples), size) for b in segmenter.push(samples[i : i + size])
    ]
    pieces += segmenter.flush()

    assert [b.kind for b in complete] == ["start", "end"] * 2
    assert tuple(pieces) == complete


def test_emo_db_is_cut_into_its_clips(corpora_dir):
    """Ten speakers, all emotions, one clip after another through the same segmenter."""
    paths = sorted((corpora_dir / "EMO-DB" / "wav").glob("*a0[15]*.flac"))[::3]
    if len(paths) < 20:
        skip_or_fail(f"{corpora_dir} holds no EMO-DB")
    clips = [load(path, RATE) for path in paths]
    samples, true = joined(clips, [span_s(clip) for clip in clips])
    found = utterances(Segmenter(open_detector(), RATE), samples, 4_000)
    pieces = [[f for f in found if f[0] < stop_s and start_s < f[1]] for start_s, stop_s in true]

    assert all(pieces)
    assert len(found) == sum(map(len, pieces)), "one found for two clips, or for none"
    # Some who act sadness pause for more than min_silence_s.
    complete = [(t, p[0]) for t, p in zip(true, pieces, strict=True) if len(p) == 1]
    assert len(complete) >= 0.9 * len(true)
    assert np.mean([np.abs(np.subtract(t, f)).max() <= 0.3 for t, f in complete]) > 0.9


def test_an_utterance_is_evident_by_what_is_surely_speech():
    """0.4 s of at least 0.7, breaks allowed; each utterance is judged by its own frames."""
    settings = replace(SETTINGS, sure_threshold=0.7, min_sure_s=0.4)
    segmenter = Segmenter(Scripted(), RATE, settings)
    pause = (0.0,) * 5
    doubtful = (0.9, 0.6, 0.9, 0.6, 0.6, 0.9)
    sure = (0.6, 0.9, 0.9, 0.1, 0.9, 0.9)
    ends = [
        b.evident
        for b in (*segmenter.push(stream(*doubtful, *pause, *sure, *pause, *doubtful)),
                  *segmenter.flush())
        if b.kind == "end"
    ]  # fmt: skip
    assert ends == [False, True, False]


def test_a_running_utterance_says_whether_it_is_evident():
    segmenter = Segmenter(Scripted(), RATE, replace(SETTINGS, min_sure_s=0.3))
    segmenter.push(stream(0.9, 0.9))
    assert segmenter.speaking
    assert not segmenter.evident
    segmenter.push(stream(0.9))
    assert segmenter.evident
