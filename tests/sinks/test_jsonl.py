"""Events as JSON lines."""

from __future__ import annotations

from made_events import made

from edge_ser.recognition.events import Emotion, Window, from_json
from edge_ser.sinks.jsonl import JsonLines


def test_each_event_is_one_line():
    lines: list[str] = []
    events = [made(Window), made(Emotion, 4.0)]
    with JsonLines(lines.append) as sink:
        for event in events:
            sink.write(event)

    assert [from_json(line) for line in lines] == events
    assert not any("\n" in line for line in lines)
