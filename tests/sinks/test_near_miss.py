"""Near misses, and where recordings hold them."""

from __future__ import annotations

import numpy as np
import pytest
from made_events import made

from edge_ser.recognition.events import Emotion, Recorded, SpeechEnd, SpeechStart, from_json
from edge_ser.sinks.recorder import Recorder, UtteranceWatch

RATE = 16_000
CLEAR = {"neutral": 0.1, "happy": 0.2, "angry": 0.7}
CLOSE = {"neutral": 0.1, "happy": 0.4, "angry": 0.5}


def end(probs: dict[str, float] = CLEAR, **changes: object) -> SpeechEnd:
    return made(SpeechEnd, probs=probs, abstained=False, label="angry", **changes)


def emotion(at_s: float, label: str | None) -> Emotion:
    return made(Emotion, at_s=at_s, label=label)


@pytest.mark.parametrize(
    ("events", "last", "reasons"),
    [
        ([emotion(1, "angry")], end(), ()),
        ([], end(CLOSE), ("margin",)),
        ([emotion(1, "happy"), emotion(2, "angry")], end(), ("changes",)),
        ([emotion(1, "happy"), emotion(3, "angry")], end(), ()),
        ([emotion(1, "angry"), emotion(1.4, None), emotion(2, "angry")], end(), ()),
        ([], made(SpeechEnd, probs=CLOSE, abstained=True, label=None), ("margin", "abstained")),
    ],
)
def test_the_reasons(events, last, reasons):
    watch = UtteranceWatch()
    watch.take(emotion(0, "happy"))
    watch.take(made(SpeechStart))
    for event in events:
        assert watch.take(event) is None
    utterance = watch.take(last)

    assert utterance is not None
    assert utterance.reasons == reasons


def test_an_utterance_without_an_answer_is_none():
    assert UtteranceWatch().take(end({})) is None


def lines(folder) -> list[Recorded]:
    found = [
        from_json(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [event for event in found if isinstance(event, Recorded)]


def test_the_record_says_where_an_utterance_is(tmp_path):
    """Stream time begins at 100 s; a segment ends after 4 s, within the second utterance."""
    samples = np.random.default_rng(0).normal(size=RATE).astype(np.float32) / 9
    recorder = Recorder(tmp_path / "kept", segment_s=4)
    for second in range(8):
        recorder.audio(samples, RATE, 100.0 + second)
        if second == 2:
            recorder.write(end(CLOSE, start_s=101.25, at_s=102.5))
        if second == 6:
            recorder.write(end(start_s=103.5, at_s=106.0))
            recorder.write(end(start_s=50.0, at_s=60.0))
    recorder.close()
    wavs = sorted(path.name for path in (tmp_path / "kept").glob("*.wav"))
    first, second = lines(tmp_path / "kept")

    assert (first.file, first.from_s, first.to_s) == (wavs[0], 1.25, 2.5)
    assert first.near_miss
    assert first.reasons == ("margin",)
    assert (second.file, second.from_s, second.to_s) == (wavs[1], 0.0, 2.0)
    assert not second.near_miss
