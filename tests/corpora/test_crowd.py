"""Speech without a label for each clip: neutral by intent, or unlabelled; whole or by halves."""

from __future__ import annotations

import hashlib

import pytest

from edge_ser.corpora import (
    UNLABELLED,
    Role,
    is_background,
    is_labelled,
    load_corpora,
    load_corpus,
    speaker_known,
)
from edge_ser.errors import CorpusError

N_FILES = 20


@pytest.fixture
def crowd(make_tree):
    root = make_tree([f"{number % 3}/{number:02}.wav" for number in range(N_FILES)])
    for path in root.rglob("*.wav"):
        path.write_bytes(path.name.encode())
    return root


def test_every_file_below_is_neutral_by_intent(make_tree):
    root = make_tree(["1.wav", "en/men/2.OGG", "en/notes.txt", "en/._3.wav"])

    clips = load_corpus(f"neutral:crowd={root}")

    found = [(c.path, c.emotion, c.label, c.speaker, c.group, c.role) for c in clips]
    assert found == [
        (root / "1.wav", "neutral", "neutral", "crowd/?", "crowd/1.wav", Role.NEUTRAL),
        (
            root / "en/men/2.OGG",
            "neutral",
            "neutral",
            "crowd/?",
            "crowd/en/men/2.OGG",
            Role.NEUTRAL,
        ),
    ]
    assert all(is_background(clip) and is_labelled(clip) for clip in clips)
    assert not any(speaker_known(clip) for clip in clips)


def test_every_file_below_is_unlabelled(make_tree):
    clips = load_corpus(f"unlabelled:talk={make_tree(['a/1.wav', '2.flac'])}")

    assert [clip.emotion for clip in clips] == [UNLABELLED] * 2
    assert not any(is_background(clip) or is_labelled(clip) for clip in clips)


@pytest.mark.parametrize("kind", ["neutral", "unlabelled"])
def test_halves_by_content(crowd, kind):
    train, held = (load_corpus(f"{kind}:crowd={crowd}#{half}") for half in ("train", "held"))

    assert train
    assert held
    assert len(train) + len(held) == N_FILES
    for clips, rest, end in ((train, 0, "#train"), (held, 1, "#held")):
        digits = [hashlib.sha256(clip.path.read_bytes()).hexdigest()[0] for clip in clips]
        assert {int(digit, 16) % 2 for digit in digits} == {rest}
        assert {clip.corpus for clip in clips} == {f"crowd{end}"}


def test_halves_do_not_depend_on_names(crowd, make_tree, tmp_path):
    held = load_corpus(f"neutral:crowd={crowd}#held")
    other = tmp_path / "other"
    other.mkdir()
    for number, path in enumerate(sorted(crowd.rglob("*.wav"), reverse=True)):
        (other / f"{number}.wav").write_bytes(path.read_bytes())

    again = load_corpus(f"neutral:crowd={other}#held")

    assert {c.path.read_bytes() for c in again} == {c.path.read_bytes() for c in held}


def test_both_halves_are_two_corpora(crowd):
    clips = load_corpora([f"neutral:crowd={crowd}#{half}" for half in ("train", "held")])

    assert len(clips) == N_FILES
    assert {clip.speaker for clip in clips} == {"crowd#train/?", "crowd#held/?"}


def test_half_without_a_file(make_tree):
    root = make_tree(["1.wav"])  # SHA-256 of nothing begins with e, which is even

    assert len(load_corpus(f"neutral:crowd={root}#train")) == 1
    with pytest.raises(CorpusError, match=r"^crowd#held: .* 1 audio files "):
        load_corpus(f"neutral:crowd={root}#held")


def test_folder_without_audio(tmp_path):
    with pytest.raises(CorpusError, match="crowd: no audio"):
        load_corpus(f"neutral:crowd={tmp_path}")


def test_real_crowds_fall_into_two_halves(corpora_dir):
    counts = {
        name: [len(load_corpus(f"neutral={corpora_dir / name}#{h}")) for h in ("train", "held")]
        for name in ("PicovoiceS2I", "Mycroft-Precise")
    }

    assert counts == {"PicovoiceS2I": [143, 117], "Mycroft-Precise": [127, 113]}
