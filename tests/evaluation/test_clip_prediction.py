"""What a clip is scored on, as a recording and as a live source."""

from __future__ import annotations

import numpy as np
import pytest
from streams import CARDS, RATE, LevelDetector, SensitiveRunner, noise, scene

from edge_ser.audio.io import AudioChunk
from edge_ser.evaluation.clip_prediction import clip_prediction
from edge_ser.recognition.baseline import RunningBaseline
from edge_ser.recognition.events import Emotion, SpeechEnd
from edge_ser.recognition.recognizer import Recognizer

THRESHOLD = 0.4


@pytest.fixture
def recognizer():
    import dataclasses

    card = dataclasses.replace(CARDS["features"], abstain_below=THRESHOLD)
    return Recognizer(SensitiveRunner(card))


def test_a_recording_is_the_mean_of_its_windows(recognizer):
    samples = noise(3 * RATE)
    found = clip_prediction(recognizer, samples, "x")

    windows = list(recognizer.stream([AudioChunk(samples, RATE)]))
    mean = [np.mean([w.probs[label] for w in windows]) for label in recognizer.card.labels]
    assert found.probs == pytest.approx(mean, abs=1e-6)
    assert found.label == recognizer.card.labels[int(np.argmax(mean))]
    assert found.no_answer == ""
    assert found.live is None


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(np.zeros(RATE, dtype=np.float32), "silent"), (noise(RATE // 10), "too short")],
)
def test_a_recording_without_an_answer(recognizer, samples, reason):
    found = clip_prediction(recognizer, samples, "x")
    assert (found.label, found.probs, found.no_answer) == ("", (), reason)


def test_live_the_utterance_with_most_speech_counts(recognizer):
    samples = scene(1.0, 1.2, 1.5, 2.5, 1.5, 0.8, 1.0)
    found = clip_prediction(recognizer, samples, "x", LevelDetector())

    stream = recognizer.open_stream(
        "x", detector=LevelDetector(), settings=recognizer.stream_settings()
    )
    events = [*stream.push(AudioChunk(samples, RATE)), *stream.finish()]
    ends = [event for event in events if isinstance(event, SpeechEnd)]
    assert len(ends) == 3
    assert found.probs == pytest.approx(list(ends[1].probs.values()), abs=1e-6)
    assert found.live.n_utterances == 3
    assert found.live.speech_s == pytest.approx(4.5, abs=0.3)
    assert found.live.duration_s == pytest.approx(9.5)
    shown = [event.label for event in events if isinstance(event, Emotion)]
    verdicts = [event.label for event in ends]
    assert found.live.n_labels == sum(label is not None for label in [*shown, *verdicts])
    assert found.live.n_changes <= max(0, len(shown) - 3)


def test_live_without_speech_and_with_too_little(recognizer):
    found = clip_prediction(recognizer, scene(3.0), "x", LevelDetector())
    assert (found.label, found.no_answer) == ("", "no speech")
    assert (found.live.n_utterances, found.live.speech_s, found.live.n_labels) == (0, 0.0, 0)

    class Blip(LevelDetector):
        """Finds speech in the digital silence of the second second."""

        def __init__(self):
            self.n = 0

        def reset(self):
            self.n = 0

        def push(self, frame):
            assert len(frame) == self.frame_samples
            self.n += 1
            return float(50 < self.n <= 65)

    found = clip_prediction(recognizer, np.zeros(3 * RATE, dtype=np.float32), "x", Blip())
    assert (found.label, found.no_answer) == ("", "no speech")
    assert found.live.n_utterances == 1


def test_changes_to_and_from_abstention_are_counted():
    from edge_ser.evaluation.clip_prediction import _facts
    from edge_ser.recognition.events import SpeechStart

    common = {"source": "x", "monotonic_s": 0.0, "time": ""}

    def start(at_s):
        return SpeechStart(seq=0, at_s=at_s, latency_ms=0.0, **common)

    def emotion(label):
        return Emotion(
            seq=0,
            at_s=0.0,
            label=label,
            previous=None,
            confidence=0.5,
            abstained=label is None,
            probs={},
            latency_ms=0.0,
            **common,
        )

    events = [
        *(start(0.0), emotion(None), emotion("sad"), emotion("sad"), emotion("happy")),
        *(start(5.0), emotion("angry"), emotion(None)),
    ]
    facts = _facts(10.0, [], events)
    assert facts.n_changes == 3  # to sad, to happy, to abstention; the first of each is no change
    assert facts.n_abstention_changes == 2
    assert facts.n_labels == 4


@pytest.mark.parametrize("live", [False, True])
def test_a_running_baseline_is_that_of_the_clips_before(live):
    import dataclasses

    card = dataclasses.replace(CARDS["features"], usual_outputs=(0.2, -0.1, 0.0))
    recognizer = Recognizer(SensitiveRunner(card), baseline="running")
    samples = scene(0.5, 3.0, 1.0) if live else noise(3 * RATE)
    state = RunningBaseline(card)
    found = [
        clip_prediction(recognizer, samples, "x", LevelDetector() if live else None, state)
        for _ in range(2)
    ]

    alone = clip_prediction(recognizer, samples, "x", LevelDetector() if live else None)
    assert found[0].probs == alone.probs
    assert found[1].probs != alone.probs
    assert state.speech_s == pytest.approx(6, abs=0.3)
