"""Fresh processes that decide once."""

from __future__ import annotations

import pytest
from support import absent

from edge_ser.errors import ModelError
from edge_ser.profiling.cold_start import cold_starts
from edge_ser.recognition.recognizer import Recognizer


@pytest.mark.parametrize("detector", [None, "silero"])
def test_parts_add_up_to_the_whole(model_path, detector):
    starts = cold_starts(model_path, "cpu", 1, detector, 2)
    assert len(starts) == 2
    for start in starts:
        parts = (start.interpreter_ms, start.imports_ms, start.load_ms, start.first_ms)
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(start.total_ms)
        assert 10 << 20 < start.rss_bytes <= start.peak_rss_bytes


def test_none_are_started_where_none_are_asked_for(tmp_path):
    assert cold_starts(tmp_path / "none.onnx", "cpu", 1, None, 0) == ()


def test_what_the_process_says_is_passed_on(tmp_path):
    path = tmp_path / "none.onnx"
    with pytest.raises(ModelError) as here:
        Recognizer(path, device="cpu")
    with pytest.raises(ModelError) as raised:
        cold_starts(path, "cpu", 1, None, 1)
    assert absent(raised.value, str(here.value), f"edge-ser run --model {path}") == []
