"""Answer of a model to one clip, and the mode in which the clip was processed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.corpora.clip import UNKNOWN_SPEAKER, speaker_id
from edge_ser.recognition.prediction import is_sure


@dataclass(frozen=True)
class LiveFigures:
    """Statistics of the voice detector and of the smoothing over a set of clips."""

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
    """Return the statistics of clips; None unless all of them were processed in live mode."""
    facts_of_clips = [answer.live for answer in answers]
    live = [facts for facts in facts_of_clips if facts is not None]
    if len(live) < len(facts_of_clips) or not live:
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
"""Mode: a clip passes through the voice detector and is scored on its longest utterance."""

MODES = (CLIP, LIVE)


@dataclass(frozen=True)
class LiveFacts:
    """Counts of one clip that was processed in live mode."""

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
    """Labels emitted: smoothed labels and labels of utterances, without abstentions."""


@dataclass(frozen=True)
class ClipAnswer:
    """Answer of a model to one clip."""

    clip: str
    """Name of the clip within its corpus, the same on every machine."""
    corpus: str
    speaker: str
    truth: str
    predicted: str
    """Likeliest label, whatever its probability; empty if the model gave no answer."""
    probs: tuple[float, ...] = ()
    """Probability of each label, in the order of the labels; empty if there is no answer."""
    no_answer: str = ""
    """Reason for a missing answer: `silent`, `too short` or, in live mode, `no speech`."""
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
        """Probability of the likeliest label; 0 if there is no answer."""
        return max(self.probs, default=0.0)

    def answered(self, threshold: float) -> bool:
        """Return whether a label with at least this probability was given."""
        return bool(self.predicted) and is_sure(self.confidence, threshold)
