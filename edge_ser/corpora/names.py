"""What the official file names of the seven public corpora say about a clip.

Each parser takes the file name without suffix, and the name of the folder around it, and returns
None for a name that is not of its corpus. The patterns hold the official speakers and codes only,
so that no name fits two corpora.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class OfficialName:
    """The facts in one official file name."""

    key: str
    """Official file name without suffix: two files with one key claim to be the same clip."""
    speaker: str
    """Speaker within the corpus."""
    label: str
    """A key of `CorpusInfo.labels`."""
    gender: str | None = None
    """"male" or "female"; None: not in the name."""
    group: str | None = None
    """Key of another clip with the same audio; None: the clip stands alone."""
    speech: bool = True
    """False for what the corpus has beside speech clips: songs and the sound of videos."""


NameParser = Callable[[str, str], OfficialName | None]
"""(file name without suffix, folder name) → the facts, or None for a foreign name."""

# Modality - vocal channel - emotion - intensity - statement - repetition - actor.
_RAVDESS = re.compile(r"(0[1-3])-(0[12])-(0[1-8])-0[12]-0[12]-0[12]-(0[1-9]|1\d|2[0-4])", re.ASCII)
_RAVDESS_LABELS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
# The release holds the first repetition twice, sample for sample, under both names.
_RAVDESS_SAME_AUDIO = {"03-01-03-01-02-02-07": "03-01-03-01-02-01-07"}


def _ravdess(stem: str, _folder: str) -> OfficialName | None:
    match = _RAVDESS.fullmatch(stem)
    if match is None:
        return None
    modality, vocal_channel, emotion, actor = match.groups()
    return OfficialName(
        key=stem,
        speaker=actor,
        label=_RAVDESS_LABELS[emotion],
        gender="male" if int(actor) % 2 else "female",
        group=_RAVDESS_SAME_AUDIO.get(stem),
        speech=(modality, vocal_channel) == ("03", "01"),
    )


_EMO_DB = re.compile(r"(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-z])", re.ASCII | re.IGNORECASE)
_EMO_DB_MEN = {"03", "10", "11", "12", "15"}


def _emo_db(stem: str, _folder: str) -> OfficialName | None:
    match = _EMO_DB.fullmatch(stem)
    if match is None:
        return None
    speaker, text, label, take = match.groups()
    return OfficialName(
        key=f"{speaker}{text.lower()}{label.upper()}{take.lower()}",
        speaker=speaker,
        label=label.upper(),
        gender="male" if speaker in _EMO_DB_MEN else "female",
    )


# OA: one official file, OA_bite_neutral, lacks a letter.
_TESS = re.compile(
    r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.ASCII | re.IGNORECASE
)


def _tess(stem: str, _folder: str) -> OfficialName | None:
    match = _TESS.fullmatch(stem)
    if match is None:
        return None
    speaker, word, label = match.groups()
    speaker = "YAF" if speaker.upper() == "YAF" else "OAF"
    return OfficialName(
        key=f"{speaker}_{word.lower()}_{label.lower()}",
        speaker=speaker,
        label=label.lower(),
        gender="female",
    )


_SAVEE = re.compile(r"(?:(DC|JE|JK|KL)_)?(a|d|f|h|n|sa|su)(\d\d)", re.ASCII | re.IGNORECASE)
_SAVEE_SPEAKERS = {"DC", "JE", "JK", "KL"}


def _savee(stem: str, folder: str) -> OfficialName | None:
    match = _SAVEE.fullmatch(stem)
    if match is None:
        return None
    speaker = (match[1] or folder).upper()
    if speaker not in _SAVEE_SPEAKERS:
        return None
    label = match[2].lower()
    return OfficialName(
        key=f"{speaker}_{label}{match[3]}", speaker=speaker, label=label, gender="male"
    )


# Sentences: b short, l long, n nonsense, d questions.
_EMOVO = re.compile(
    r"(dis|gio|neu|pau|rab|sor|tri)-([fm][1-3])-(?:b[1-3]|l[1-4]|n[1-5]|d[12])",
    re.ASCII | re.IGNORECASE,
)


def _emovo(stem: str, _folder: str) -> OfficialName | None:
    match = _EMOVO.fullmatch(stem.lower())
    if match is None:
        return None
    label, speaker = match.groups()
    return OfficialName(
        key=match[0],
        speaker=speaker,
        label=label,
        gender="female" if speaker.startswith("f") else "male",
    )


_CREMA_D = re.compile(
    r"(10[0-8]\d|109[01])_(?:DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)"
    r"_(ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX)",
    re.ASCII,
)


def _crema_d(stem: str, _folder: str) -> OfficialName | None:
    match = _CREMA_D.fullmatch(stem.upper())
    if match is None:
        return None
    speaker, label = match.groups()
    return OfficialName(key=match[0], speaker=speaker, label=label)


# 90 sentences, in most emotions by most speakers.
_NEMO = re.compile(
    r"(EB0|IC0|KD0|KS0|MK0|MP0|SM0|TP0|WR0)_(anger|fear|happiness|neutral|sadness|surprised)"
    r"_([1-9]|[1-8]\d|90)",
    re.ASCII | re.IGNORECASE,
)
_NEMO_MEN = {"KS0", "MP0", "SM0", "TP0", "WR0"}


def _nemo(stem: str, _folder: str) -> OfficialName | None:
    match = _NEMO.fullmatch(stem)
    if match is None:
        return None
    speaker, label, sentence = match[1].upper(), match[2].lower(), match[3]
    return OfficialName(
        key=f"{speaker}_{label}_{sentence}",
        speaker=speaker,
        label=label,
        gender="male" if speaker in _NEMO_MEN else "female",
    )


PARSERS: dict[str, NameParser] = {
    "RAVDESS": _ravdess,
    "EMO-DB": _emo_db,
    "TESS": _tess,
    "SAVEE": _savee,
    "EMOVO": _emovo,
    "CREMA-D": _crema_d,
    "nEMO": _nemo,
}
"""The parser of each corpus in `CORPORA`."""
