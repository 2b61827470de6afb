"""Training with speaker baselines: groups of one speaker, outputs relative to neutral speech."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from support import clips_of

from edge_ser.corpora import UNKNOWN_SPEAKER, Role
from edge_ser.training.voices import GROUP, Voices

EMOTIONS = ("neutral", "happy", "sad")


@pytest.fixture
def clips():
    known = clips_of("own", "ann", "bob", "eve", n=6, emotions=EMOTIONS)
    crowd = [
        dataclasses.replace(
            clip, role=Role.NEUTRAL, emotion="neutral", speaker=f"crowd/{UNKNOWN_SPEAKER}"
        )
        for clip in clips_of("crowd", "x", n=6)
    ]
    return known + crowd


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_groups_are_of_one_speaker_with_a_neutral_clip(clips):
    voices = Voices.of(clips)
    order = voices.order(torch.ones(len(clips)), 400, rng())

    assert len(order) == 400
    for group in order.reshape(-1, GROUP):
        speakers = set(voices.speakers[group].tolist())
        assert len(speakers) == 1
        assert speakers == {-1} or voices.neutral[group].any()
    assert set(order.tolist()) == set(range(len(clips)))


def test_clips_without_weight_are_never_drawn(clips):
    weights = torch.ones(len(clips))
    weights[3:6] = 0

    order = Voices.of(clips).order(weights, 400, rng())

    assert not {3, 4, 5} & set(order.tolist())


def test_an_offset_of_a_voice_falls_out(clips):
    """Outputs that differ between speakers by a constant alone are the same relative to them."""
    voices = Voices.of(clips)
    batch = torch.tensor([0, 1, 3, 6, 7, 9])  # ann and bob: neutral, happy, neutral
    own = torch.tensor([[0.0, 0], [3, 1], [0, 0]]).repeat(2, 1)
    offset = torch.tensor([[5.0, -2]] * 3 + [[-1.0, 4]] * 3)

    relative = voices.relative(own + offset, batch, 1.0, rng())

    torch.testing.assert_close(relative[:3], relative[3:])
    torch.testing.assert_close(relative[1] - relative[0], torch.tensor([3.0, 1]))


def test_a_share_of_zero_and_unknown_speakers_change_nothing(clips):
    outputs = torch.randn(4, 3, generator=rng())

    torch.testing.assert_close(
        Voices.of(clips).relative(outputs, torch.tensor([0, 1, 6, 7]), 0.0, rng()), outputs
    )
    torch.testing.assert_close(
        Voices.of(clips).relative(outputs, torch.tensor([18, 19, 20, 21]), 1.0, rng()), outputs
    )


def test_a_clip_is_no_baseline_of_its_own(clips):
    outputs = torch.tensor([[7.0, 1.0], [2.0, 2.0]])
    voices = Voices.of(clips)

    relative = voices.relative(outputs, torch.tensor([0, 1]), 1.0, rng())

    torch.testing.assert_close(relative[0], outputs[0])  # the only neutral clip
    torch.testing.assert_close(relative[1], outputs[1])  # less it, plus the usual, which it is


def test_gradients_reach_the_baseline(clips):
    outputs = torch.randn(2, 3, generator=rng(), requires_grad=True)
    voices = Voices.of(clips)
    voices.usual = torch.zeros(3)

    voices.relative(outputs, torch.tensor([0, 1]), 1.0, rng())[1].sum().backward()

    assert (outputs.grad[0] < 0).all()
