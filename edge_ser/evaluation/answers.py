"""The answer of a model to one clip, and how the clip was played to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.corpora.clip import UNKNOWN_SPEAKER, speaker_id
from edge_ser.recognition.prediction import is_sure


@dataclass(frozen=True)
class LiveFigures:
    """What the voice detector and the smoothing made of a set of clips."""

    n_without_speech: int
    """Clips in which the voice detector found no speech."""
    n_utterances: int
    speech_s: float
    """Seconds of speech that it found."""
    n_changes: int
    """Changes of the smoothed label within utterances, to and from abstention included."""
    n_abstention_changes: int
    """Those of them that begin or end an abstention."""

    @property
    def changes_per_min(self) -> float | None:
        """Changes for each minute of speech; None without speech."""
        return 60 * self.n_changes / self.speech_s if self.speech_s else None


def live_figures(answers: Sequence[ClipAnswer]) -> LiveFigures | None:
    """Sum up clips; None where one was not played as a live source."""
    found = [answer.live for answer in answers]
    live = [facts for facts in found if facts is not None]
    if len(live) < len(found) or not live:
        return None
    return LiveFigures(
        n_without_speech=sum(facts.n_utterances == 0 for facts in live),
        n_utterances=sum(facts.n_utterances for facts in live),
        speech_s=sum(facts.speech_s for facts in live),
        n_changes=sum(facts.n_changes for facts in live),
        n_abstention_changes=sum(facts.n_abstention_changes for facts in live),
    )


CLIP = "clip"
"""Mode: a clip is one recording, scored on the mean of its windows, speech or not."""

LIVE = "live"
"""Mode: a clip is played through the voice detector, scored on the utterance with most speech."""

MODES = (CLIP, LIVE)


@dataclass(frozen=True)
class LiveFacts:
    """Counts of one clip that was played as a live source."""

    duration_s: float
    """Length of the audio, in seconds."""
    speech_s: float
    """Seconds between the starts and ends of its utterances."""
    n_utterances: int
    n_changes: int
    """Changes of the smoothed label within utterances, to and from abstention included."""
    n_abstention_changes: int
    """Those of them that begin or end an abstention."""
    n_labels: int = 0
    """Times that a label was shown: smoothed labels and verdicts on utterances, abstentions aside."""


@dataclass(frozen=True)
class ClipAnswer:
    """Answer of a model to one clip."""

    clip: str
    """Name of the clip within its corpus, the same on every machine."""
    corpus: str
    speaker: str
    truth: str
    predicted: str
    """Likeliest label, whatever its probability; empty where the model gave no answer."""
    probs: tuple[float, ...] = ()
    """Probability of each label, in the order of the labels; empty where there is no answer."""
    no_answer: str = ""
    """Reason where there is none: `silent`, `too short` or, in live mode, `no speech`."""
    arousal: float | None = None
    """Arousal in [0, 1] as the model gives it; None for a model without that output."""
    live: LiveFacts | None = None
    """None unless the mode was `live`."""

    @property
    def speaker_known(self) -> bool:
        """Whether it is known who speaks."""
        return self.speaker != speaker_id(self.corpus, UNKNOWN_SPEAKER)

    @property
    def confidence(self) -> float:
        """Probability of the likeliest label; 0 where there is no answer."""
        return max(self.probs, default=0.0)

    def answered(self, threshold: float) -> bool:
        """Return whether a label with at least this probability was given."""
        return bool(self.predicted) and is_sure(self.confidence, threshold)
