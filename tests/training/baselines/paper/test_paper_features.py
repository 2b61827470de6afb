"""The paper's features are librosa's, raveled, with tails of 0, and standardised by training rows."""

from __future__ import annotations

import dataclasses

import librosa
import numpy as np
import pytest
import soundfile
from sklearn.preprocessing import StandardScaler

from edge_ser.corpora import PaperAugmentation, load_corpus
from edge_ser.errors import AudioError
from edge_ser.training.baselines.paper.features import FeatureRows, Standardizer, features


def silent(_):
    return None


def test_frames_are_raveled_one_after_the_other(make_voice):
    samples = make_voice("happy", 150, 2.5, np.random.default_rng(0))

    row = features(samples, zero_crossings=True)

    n_frames = 1 + len(samples) // 512
    crossings, cepstra = row[:n_frames], row[n_frames:].reshape(n_frames, 20)
    assert np.array_equal(features(samples, zero_crossings=False), cepstra.ravel())
    assert np.allclose(cepstra.T, librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=20), atol=1e-4)
    assert np.allclose(crossings, librosa.feature.zero_crossing_rate(samples)[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of audioread, which librosa.load names
@pytest.mark.parametrize(("corpus", "length"), [("EMO-DB", 2268), ("RAVDESS", 2160)])
def test_a_row_is_what_the_notebooks_make_of_the_file(corpora_dir, corpus, length):
    # A RAVDESS clip is at least 3.1 s long; of EMO-DB the longest are.
    clips = load_corpus(f"{corpus}={corpora_dir / corpus}")
    clip = max(clips[:40], key=lambda c: soundfile.info(c.path).duration)
    rows = FeatureRows()
    n = rows.compute([clip], silent)

    samples, rate = librosa.load(clip.path, sr=22_050, offset=0.6, duration=2.5)
    parts = [np.ravel(librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=20).T)]
    if corpus == "EMO-DB":
        parts.insert(0, librosa.feature.zero_crossing_rate(y=samples)[0])
    expected = np.hstack(parts)

    assert n == length == len(expected)
    # librosa cuts before it resamples, so the frames at the ends differ a little.
    difference = np.abs(rows.matrix([clip], n)[0] - expected)
    assert np.median(difference) < 0.02
    assert np.quantile(difference, 0.98) < 1


def test_tails_are_zero_and_the_longest_row_decides(clips):
    rows = FeatureRows()
    lengths = [rows.compute([clip], silent) for clip in clips]

    matrix = rows.matrix(clips, rows.compute(clips, silent))

    assert len(set(lengths)) > 1
    assert matrix.shape == (24, max(lengths))
    for row, n in zip(matrix, lengths, strict=True):
        assert not row[n:].any()
        assert row[n - 20 : n].all()


def test_each_copy_is_computed_once(clips, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "edge_ser.training.baselines.paper.features.features",
        lambda samples, crossings: calls.append(crossings) or samples[:20],
    )
    copies = [
        dataclasses.replace(clip, copy=copy) for clip in clips[:2] for copy in PaperAugmentation
    ]
    rows, shares = FeatureRows(), []
    for _ in range(2):
        rows.compute(copies, shares.append)

    assert len(calls) == 8
    assert shares == [n / 8 for n in range(1, 9)] * 2
    assert len(np.unique(rows.matrix(copies, 20), axis=0)) == 8


def test_a_clip_that_ends_too_early_is_named(clips, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(int(0.65 * 16_000)), 16_000)

    with pytest.raises(AudioError, match=r"short\.wav .* 0\.6 s .* 0\.09 s "):
        FeatureRows().compute([dataclasses.replace(clips[0], path=path)], silent)


def test_standardisation_is_scikit_learns():
    rng = np.random.default_rng(0)
    train = rng.normal(3, 5, (50, 7)).astype(np.float32)
    train[:, 2], train[:, 4] = 0, 0.1
    test = rng.normal(size=(9, 7)).astype(np.float32)

    standardize, scaler = Standardizer.fit(train), StandardScaler().fit(train)

    for rows in (train, test):
        assert standardize(rows).dtype == np.float32
        assert np.allclose(standardize(rows), scaler.transform(rows), atol=1e-5)
