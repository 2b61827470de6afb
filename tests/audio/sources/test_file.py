"""A file as a source."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.audio.io import file_chunks
from edge_ser.audio.sources import FileSource
from edge_ser.errors import AudioError


def test_it_yields_what_the_file_holds(example_clips):
    with FileSource(example_clips[0]) as source:
        chunks = list(source)

    assert (source.name, source.live) == (str(example_clips[0]), False)
    assert {chunk.captured_s for chunk in chunks} == {None}
    np.testing.assert_array_equal(
        np.concatenate([chunk.samples for chunk in chunks]),
        np.concatenate([chunk.samples for chunk in file_chunks(example_clips[0])]),
    )


def test_what_is_not_there_is_an_error_before_it_is_read(tmp_path):
    with pytest.raises(AudioError, match=r"/no\.wav\b"), FileSource(tmp_path / "no.wav"):
        pass


def test_a_directory_is_no_file(tmp_path, example_clips):
    (tmp_path / "a.wav").symlink_to(example_clips[0])
    with pytest.raises(AudioError, match=rf"{tmp_path} .*\bdirectory\b"), FileSource(tmp_path):
        pass
