"""Recordings of `run --record` are valid input of `calibrate select --wav`."""

from __future__ import annotations

import time

from edge_ser.audio.io import file_chunks
from edge_ser.quantization.calibration_set import CalibrationSet
from edge_ser.sinks.recorder import Recorder


def test_recordings_calibrate_a_model(cli, tmp_path, example_clips):
    """With the bundled model, whose windows are 3 s; the clips' ends run into the next clips."""
    recorder = Recorder(tmp_path / "kept", segment_s=10)
    for clip in example_clips * 3:
        for chunk in file_chunks(clip):
            recorder.audio(chunk.samples, chunk.sample_rate)
    recorder.close()
    done = cli("calibrate", "select", "--wav", "kept", "--out", "set", "--clips", 4)

    assert done.returncode == 0, done.stderr.decode()
    chosen = CalibrationSet.load(tmp_path / "set")
    assert len(chosen.clips) == 4
    assert {c.name for c in chosen.clips} <= {w.name for w in (tmp_path / "kept").glob("*.wav")}


def test_recordings_can_be_read_while_they_are_made(cli, tmp_path, example_clips):
    recorder = Recorder(tmp_path / "kept")
    for clip in example_clips:
        for chunk in file_chunks(clip):
            recorder.audio(chunk.samples, chunk.sample_rate)
    for _ in range(200):
        if sum(w.stat().st_size for w in (tmp_path / "kept").glob("*.wav")) > 300_000:
            break
        time.sleep(0.05)
    done = cli("calibrate", "select", "--wav", "kept", "--out", "set", "--clips", 2)
    recorder.close()

    assert done.returncode == 0, done.stderr.decode()
    assert len(CalibrationSet.load(tmp_path / "set").clips) == 2
