"""`edge-ser cross-validate` as a user runs it; the systems themselves are tested in tests/training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile


@pytest.fixture
def corpus(tmp_path):
    """Three speakers who say two emotions."""
    rng = np.random.default_rng(0)
    for label, n in (("happy", 2), ("sad", 1)):
        for speaker in ("a", "b", "c"):
            folder = tmp_path / "own" / label / speaker
            folder.mkdir(parents=True)
            for take in range(n):
                soundfile.write(folder / f"{take}.wav", rng.normal(size=8000) / 9, 16_000)
    return f"folder:own={tmp_path / 'own'}"


LOSO = ("--folds", "leave-one-speaker-out", "--validation-speakers", "none")


def test_a_table_and_a_record(cli, corpus, tmp_path):
    done = cli(
        "cross-validate", "--corpus", corpus, *LOSO, "--system", "majority",
        "--results", "out", "--cache", "cache",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert [b"majority", b"3", b"66.7%", b"50.0%"] in [
        line.split()[:4] for line in done.stdout.splitlines()
    ]
    assert b"protocol: speaker-independent leave-one-speaker-out, 3 of 3 folds" in done.stderr
    assert b"no speaker, clip, copy or audio stands on two sides" in done.stderr
    (record,) = (tmp_path / "out").iterdir()
    data = json.loads(record.read_text())
    assert record.name == "speaker-independent-leave-one-speaker-out-own-majority.json"
    assert data["command"] == (
        "edge-ser cross-validate --corpus folder:own=DIR --protocol speaker-independent "
        "--folds leave-one-speaker-out --validation-speakers none --system majority"
    )
    assert str(tmp_path) not in record.read_text()
    assert len(list((tmp_path / "cache" / "folds").iterdir())) == 3


def test_shared_clips_of_the_paper_are_printed(cli, corpus):
    done = cli(
        "cross-validate", "--corpus", corpus, "--protocol", "paper", "--system", "majority",
        "--cache", "cache",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert b"have another copy of the same recording in training" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--system", "svn"), b"there is no system 'svn'"),
        (("--system", "majority", "--protocol", "honest"), b"there is no protocol 'honest'"),
        (("--system", "majority", "--protocol", "emobox"), b"EmoBox has no folds of own"),
        (("--system", "majority", *LOSO, "--fold", "z"), b"there is no fold 'z'"),
        (("--system", "majority", *LOSO, "--config", "none.json"), b"none.json cannot be read"),
        (("--system", "majority", *LOSO, "--config", "list.json"), b"list.json"),
        (("--system", "majority", *LOSO, "--config", "other.json"), b"other.json"),
        (
            ("--system", "majority", *LOSO, "--config", "flat.json"),
            b"majority is int, expected an object",
        ),
        (("--system", "majority", *LOSO, "--results", "flat.json/x"), b"cannot be written"),
        (("--system", "majority", *LOSO, "--noise", "own"), b"--system compact"),
    ],
)
def test_errors_are_one_line(cli, corpus, tmp_path, arguments, says):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "other.json").write_text('{"compact": {}}')
    (tmp_path / "flat.json").write_text('{"majority": 3}')

    done = cli("cross-validate", "--corpus", corpus, *arguments, "--cache", "cache")

    assert done.returncode in {1, 2}
    assert says in done.stderr
