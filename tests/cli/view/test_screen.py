"""Live view, drawn without a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_events import LABELS, made, silent
from rich.text import Text

from edge_ser.cli.view.screen import big, draw
from edge_ser.cli.view.view_state import ViewState
from edge_ser.recognition.events import (
    KINDS,
    DeviceBack,
    DeviceLost,
    Emotion,
    Event,
    Heartbeat,
    Overrun,
    SpeechEnd,
    SpeechStart,
    Started,
    Window,
)


def after(*events: Event) -> ViewState:
    state = ViewState()
    for event in (made(Started, 0.0), *events):
        state.event(event)
    return state


def speaking(*events: Event) -> ViewState:
    return after(made(SpeechStart, 1.0), made(Window), made(Emotion), *events)


def shown(state: ViewState, now_s: float = 4.0, width: int = 80, height: int = 40) -> str:
    lines = draw(state, width, height, now_s)
    assert all(line.cell_len <= width for line in lines)
    return "\n".join(line.plain for line in lines)


def line_with(word: str, text: str) -> str:
    (line,) = (line for line in text.splitlines() if word in line)
    return line


def says(word: str, text: str) -> bool:
    """Whether a word stands there in big letters."""
    drawn = big(word, 200, twice=False)
    assert drawn
    return all(line.rstrip() in text for line in drawn)


def strip_of(text: str) -> str:
    lines = text.splitlines()
    return lines[lines.index(line_with("now", text)) - 1].strip()


def test_bars_are_as_long_as_probabilities():
    text = shown(speaking())
    full = line_with("angry ", text.replace("A angry", "")).count("█")

    assert full == pytest.approx(0.75 * 64)
    assert line_with(" neutral ", text.replace("N neutral", "")).count("█") == full // 3
    assert line_with(">", text).startswith(">   angry █")
    assert line_with(">", text).endswith(" 75%")


def test_the_arousal_has_a_bar_where_the_model_gives_one():
    assert "arousal" not in shown(speaking())
    state = speaking(made(Emotion, 5.0, arousal=0.5), made(Window, 5.25, arousal=0.75))
    line = line_with("arousal", shown(state))
    assert line.endswith(" 0.60"), "smoothed as the bars are"
    assert line.count("█") == pytest.approx(0.6 * 64, abs=1)
    state.event(made(SpeechEnd, 7.0, arousal=0.6))
    assert line_with("arousal", shown(state)).endswith(" -")
    assert "arousal" in shown(state, width=160)


def test_the_label_is_large_and_has_its_confidence():
    assert says("angry 75%", shown(speaking()))
    assert "██████" in shown(speaking(), width=160), "twice as large where there is room"


def test_between_silence_and_emotion_there_is_speech():
    assert says("silence", shown(after()))
    assert says("speech", shown(after(made(SpeechStart))))
    assert says("silence", shown(speaking(made(SpeechEnd, 7.0))))


def test_abstention_is_shown():
    unsure = made(Emotion, 5.0, label=None, confidence=0.3, abstained=True)
    state = speaking(unsure)
    state.level(-30.0, 0.9, 6.0, 6.0)
    text = shown(state)

    assert says("not sure", text)
    assert ">" not in text
    assert strip_of(text).endswith("A?")


def test_a_label_in_another_script_is_shown_small():
    started = made(Started, 0.0, labels=("спокойно", "angry"))
    state = ViewState()
    probs = {"спокойно": 0.9, "angry": 0.1}
    for event in (started, made(Emotion, label="спокойно", probs=probs)):
        state.event(event)

    assert "  СПОКОЙНО 90%" in shown(state).splitlines()


def test_bars_follow_windows_calmly():
    state = speaking()
    state.event(made(Window, 4.25, probs={"neutral": 1.0, "happy": 0.0, "angry": 0.0}))

    assert state.probs["neutral"] == pytest.approx(0.6 * 0.25 + 0.4)
    assert sum(state.probs.values()) == pytest.approx(1)
    assert says("angry 45%", shown(state)), "the label changes when an event says so"


def test_without_a_detector_silent_windows_end_speech():
    state = ViewState()
    for event in (made(Started, 0.0, vad="none"), made(Window), made(Emotion)):
        state.event(event)
    assert says("angry 75%", shown(state))
    state.event(silent(6.0))
    assert says("silence", shown(state))
    state.event(made(Window, 7.0))
    assert says("speech", shown(state))


def test_the_level_has_a_peak_that_falls():
    state = after()
    state.level(-12.0, None, 10.0)
    state.level(-48.0, None, 10.5)
    line = line_with("level", shown(state, 11.0))
    bar = line.split("level ")[1]

    assert "-48 dB, peak  -12" in line
    assert bar.index("┃") == pytest.approx(4 * bar.count("█"), abs=3)
    assert "peak  -48" in line_with("level", shown(state, 20.0))
    assert "-22" in line_with("level", shown(state, 12.0)), "20 dB a second after 1.5 s"


@pytest.mark.parametrize("dbfs", [-200.0, -120.0, -60.0, -59.9, -30.0, -0.1, 0.0, 3.0])
def test_every_level_fits(dbfs):
    state = after()
    state.level(dbfs, 0.5, 1.0)
    for width in (60, 80, 160):
        text = line_with("level", shown(state, 1.0, width))
        assert len(text) < width
        assert f"{dbfs:.0f} dB" in text


def test_clipping_is_shown_for_a_while():
    state = after(made(Window, 4.0, clipped=0.01))

    assert "CLIPPED" in shown(state, 4.5)
    assert "CLIPPED" not in shown(state, 8.0)


def test_the_voice_indicator():
    state = after()
    state.level(-30.0, 0.02, 1.0)
    assert "○ silence   2%" in shown(state)
    state = speaking()
    state.level(-30.0, 0.97, 5.0)
    assert "● speech   97%" in shown(state)
    state.level(-30.0, None, 5.0)
    assert "%" not in line_with("● speech", shown(state))


def test_the_timeline_reads_without_colours():
    state = speaking(
        made(SpeechEnd, 6.0),
        made(Overrun, 8.0, lost_s=None),
        made(SpeechStart, 10.0),
        made(Emotion, 12.0, label="happy"),
    )
    state.level(-30.0, 0.9, 14.0, 14.0)
    text = shown(state)

    assert strip_of(text) == "·AAAAA··!·HHHH"
    assert strip_of(shown(state, width=160)) == "··AAAAAAAAAA····!···HHHHHHHH"
    for meaning in ("N neutral", "H happy", "A angry", "? not sure", "· silence", "! lost"):
        assert meaning in text


def test_time_goes_on_while_nobody_speaks():
    """Windows come with speech only."""
    with_time, without = after(), after()
    with_time.level(-60.0, 0.0, 20.0, 20.0)
    without.level(-60.0, 0.0, 20.0)

    assert strip_of(shown(with_time)) == strip_of(shown(without)) == "·" * 20
    assert "audio 0:00:20" in shown(with_time)


def test_what_an_utterance_was_settles_what_was_not_known():
    state = after(made(SpeechStart, 1.0), made(SpeechEnd, 3.0, start_s=1.0))

    assert strip_of(shown(state)) == "·AA"


def test_a_lost_device_is_a_clear_line(monkeypatch):
    state = speaking(made(DeviceLost, 6.0))
    state.tick(10.0)
    text = shown(state, 10.0)

    assert says("no device", text)
    assert "since" in text
    assert "(4 s)" in text
    assert "unplugged" in text
    assert strip_of(text) == "·AAAAAxxxx"
    assert "●" not in text

    state.event(made(DeviceBack, 10.0, away_s=4.0))
    state.level(-30.0, 0.0, 12.0, 12.0)
    text = shown(state, 12.0)
    assert says("silence", text)
    assert "since" not in text
    assert strip_of(text) == "·AAAAAxxxx··"
    assert "audio 0:00:08" in text, "no audio came during the device loss"


def test_figures():
    state = speaking(made(Overrun, 5.0, lost_s=0.25), made(SpeechEnd, 6.0))
    for ms in range(100):
        state.event(made(Window, 6.0, latency_ms=float(ms)))

    for width in (80, 160):
        text = shown(state, width=width)
        assert "p50 49, p99 98 ms" in text
        assert "lost 0.2 s (overruns 1)" in text
        assert "utterances 1" in text
        for fact in ("model edge-ser-3", "runner onnxruntime 1.2, cpu", "voice silero"):
            assert fact in text
    state.event(made(Heartbeat, 7.0))
    assert "lost 0.5 s (overruns 3)" in shown(state), "a heartbeat has the exact counts"


def test_long_names_leave_room_for_the_time():
    state = after(made(SpeechStart, 1.0, source="mic:" + "long " * 40))

    for width in (60, 80, 160):
        assert "audio 0:00:01" in shown(state, width=width)


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("lost", [False, True])
def test_a_small_terminal_shows_what_matters(width, lost):
    state = speaking(*([made(DeviceLost, 6.0)] if lost else []))
    for height in (24, 20, 18):
        lines = draw(state, width, height, 6.0)
        assert len(lines) < height
        text = "\n".join(line.plain for line in lines)
        assert "level" in text
        assert "now" in text
        word = "no device" if lost else "angry 75%"
        assert says(word, text) or word.upper() in text


EVENTS = st.sampled_from([*(set(KINDS) - {"clip"})])


@given(
    st.lists(st.tuples(EVENTS, st.floats(0, 20)), max_size=30),
    st.integers(1, 250),
    st.integers(1, 80),
)
def test_any_events_can_be_shown_at_any_size(steps, width, height):
    state, at_s = ViewState(), 0.0
    for kind, later_s in steps:
        at_s += later_s
        state.event(made(KINDS[kind], at_s))
        state.level(-30.0, 0.5, at_s, at_s)
        state.tick(at_s + 0.5)
    for line in draw(state, width, height, at_s):
        assert isinstance(line, Text)
        assert line.cell_len <= width
        assert "\n" not in line.plain


def test_big_letters():
    assert big("ai", 80, twice=False) == ["▄▀▄ █", "█▀█ █", "▀ ▀ ▀"]
    assert big("ai", 80, twice=True) == [
        "  ██    ██",
        "██  ██  ██",
        "██████  ██",
        "██  ██  ██",
        "██  ██  ██",
    ]
    assert big("angry", 10, twice=False) is None
    assert big("ä", 80, twice=False) is None
    assert all(big(f"{label} 0123456789%", 200, twice=False) for label in (*LABELS, "jkqvwxz"))
