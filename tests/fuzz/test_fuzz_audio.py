"""Damaged recordings and any bytes on a pipe."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from fuzzing import damaged, fuzz
from hypothesis import strategies as st

from edge_ser.audio.io import AudioChunk, file_chunks, load
from edge_ser.audio.sources import PCM_ENCODINGS, PcmSource

FORMATS = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("W64", "PCM_16"),
    ("CAF", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
)
MOST_SAMPLES = 50_000_000
"""More than any file of some kB can hold in any format: runs of zeros in FLAC come closest."""


@pytest.fixture(scope="module")
def recordings() -> list[bytes]:
    """50 ms of noise in every format, mono and stereo."""
    noise = np.random.default_rng(0).normal(0, 0.1, (800, 2)).clip(-1, 1)
    files = []
    for container, subtype in FORMATS:
        for n_channels in (1, 2):
            file = io.BytesIO()
            soundfile.write(file, noise[:, :n_channels], 16_000, subtype, format=container)
            files.append(file.getvalue())
    return files


def test_a_damaged_recording_is_read_or_refused(recordings, tmp_path):
    path = tmp_path / "clip"

    def use(data: bytes) -> None:
        path.write_bytes(data)
        n_samples = 0
        for chunk in file_chunks(path):
            n_samples += len(chunk.samples)
            assert n_samples < MOST_SAMPLES
        assert n_samples
        assert np.isfinite(load(path, 16_000, channel=0)).all()

    fuzz("audio files", damaged(recordings), use)


def test_any_bytes_on_a_pipe_are_heard_or_refused():
    noise = np.random.default_rng(0).normal(0, 0.1, 400).astype("<f4").tobytes()
    settings = st.fixed_dictionaries(
        {
            "data": damaged([noise, b""]) | st.binary(max_size=64),
            "sample_rate": st.sampled_from([16_000, 48_000]) | st.integers(),
            "n_channels": st.sampled_from([1, 2]) | st.integers(-1, 70),
            "encoding": st.sampled_from([*PCM_ENCODINGS, "mulaw"]),
            "channel": st.none() | st.integers(-1, 3),
        }
    )

    def use(said: dict) -> None:
        stream = io.BytesIO(said["data"])
        rest = {name: value for name, value in said.items() if name != "data"}
        with PcmSource(stream, **rest) as source:
            for signal in source:
                assert not isinstance(signal, AudioChunk) or np.isfinite(signal.samples).all()

    fuzz("PCM on a pipe", settings, use)
