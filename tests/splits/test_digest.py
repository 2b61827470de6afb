"""Digests: of data whatever the fold, of folds whatever the place, and of every byte."""

from __future__ import annotations

import dataclasses
import hashlib
import os

import pytest

from edge_ser._util.hashing import content_digest
from edge_ser.corpora import load_corpus
from edge_ser.splits import SplitConfig, data_digest, fold_digest, make_folds


def make_corpus(root):
    for speaker in ("ann", "bob", "eve", "joe"):
        for label in ("sad", "happy"):
            path = root / label / speaker / "1.wav"
            path.parent.mkdir(parents=True)
            path.write_text(f"{speaker} {label}")
    return load_corpus(f"folder:own={root}")


@pytest.fixture
def clips(tmp_path):
    return make_corpus(tmp_path / "own")


def test_content_is_the_sha_256_of_the_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"sound")

    assert content_digest(path) == hashlib.sha256(b"sound").hexdigest()


def test_a_change_of_one_byte_changes_the_digest(clips):
    before = data_digest(clips)
    path, status = clips[3].path, clips[3].path.stat()

    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    assert path.stat().st_size == status.st_size
    assert data_digest(clips) != before


@pytest.mark.parametrize(
    "change", [{"speaker": "own/x"}, {"emotion": "x"}, {"corpus": "x"}, {"channel": 0}], ids=str
)
def test_a_change_of_labels_or_names_changes_the_digest(clips, change):
    changed = (dataclasses.replace(clips[0], **change), *clips[1:])

    assert data_digest(changed) != data_digest(clips)


def test_the_data_are_the_same_in_every_fold_of_every_protocol(clips):
    for options in (
        SplitConfig(folds="2"),
        SplitConfig("paper"),
        SplitConfig("clip-grouped", "2"),
    ):
        for fold in make_folds(clips, options):
            assert data_digest(fold.clips) == data_digest(clips)


def test_a_place_does_not_matter_and_a_fold_does(clips, tmp_path):
    elsewhere = make_corpus(tmp_path / "elsewhere")
    options = SplitConfig(folds="2")
    here, there = make_folds(clips, options), make_folds(elsewhere, options)

    assert data_digest(elsewhere) == data_digest(clips)
    assert [fold_digest(fold) for fold in here] == [fold_digest(fold) for fold in there]
    assert fold_digest(here[0]) != fold_digest(here[1])


def test_rows_that_only_change_places_are_another_fold(clips):
    (fold,) = make_folds(clips, SplitConfig("paper"))
    one, other = fold.train[0], fold.test[0]
    swapped = dataclasses.replace(fold, train=(other, *fold.train[1:]), test=(one, *fold.test[1:]))

    assert fold_digest(swapped) != fold_digest(fold)
    assert data_digest(swapped.clips) == data_digest(fold.clips)
