"""Digests: SHA-256 of bytes, texts, JSON and files, and recordings that change on disk."""

from __future__ import annotations

import hashlib
import os

import pytest

from edge_ser._util.hashing import (
    bytes_digest,
    content_digest,
    file_digest,
    json_digest,
    text_digest,
)
from edge_ser.errors import CorpusError


def test_all_forms_are_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"sound")
    expected = hashlib.sha256(b"sound").hexdigest()

    assert bytes_digest(b"sound") == text_digest("sound") == file_digest(path) == expected
    assert content_digest(path) == expected


def test_the_order_of_keys_does_not_matter():
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})
    assert json_digest({"a": 1}) == text_digest('{"a": 1}')


def test_a_recording_that_changed_is_read_again(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")
    before = content_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))

    assert content_digest(path) == bytes_digest(b"two") != before


def test_an_empty_file_has_no_content_and_a_missing_one_is_an_error(tmp_path):
    (tmp_path / "a.wav").touch()

    assert content_digest(tmp_path / "a.wav") == ""
    with pytest.raises(CorpusError):
        content_digest(tmp_path / "b.wav")
