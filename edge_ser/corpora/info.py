"""Facts about the seven public corpora: origin, licence, size, labels and layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_ser.errors import ConfigError


@dataclass(frozen=True)
class CorpusInfo:
    """Facts about one public corpus."""

    name: str
    """Key in `CORPORA`."""
    title: str
    """Full name."""
    citation: str
    """The publication to cite."""
    language: str
    """Language of the speech."""
    licence: str
    """Terms of the recordings."""
    weights_licence: str
    """Terms under which weights trained on the corpus may be offered."""
    commercial: bool
    """Whether its licence allows weights for commercial use."""
    n_clips: int
    """Speech clips in the official release."""
    n_speakers: int
    """Speakers in the official release."""
    labels: Mapping[str, str]
    """The corpus' own label → shared emotion."""
    example: str
    """An official file name."""
    layout: str
    """Layout of the folder in one line, for error messages."""


_RAVDESS = CorpusInfo(
    name="RAVDESS",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song",
    citation="Livingstone & Russo (2018), PLoS ONE 13(5): e0196391, "
    "doi:10.1371/journal.pone.0196391",
    language="English",
    licence="CC BY-NC-SA 4.0",
    weights_licence="CC BY-NC-SA 4.0",
    commercial=False,
    n_clips=1440,
    n_speakers=24,
    labels={
        "neutral": "neutral",
        "calm": "calm",
        "happy": "happy",
        "sad": "sad",
        "angry": "angry",
        "fearful": "fearful",
        "disgust": "disgust",
        "surprised": "surprised",
    },
    example="03-01-05-01-02-01-16.wav",
    layout="folders Actor_01 to Actor_24, with or without Audio_Speech_Actors_01-24 around them",
)

_EMO_DB = CorpusInfo(
    name="EMO-DB",
    title="Berlin Database of Emotional Speech",
    citation="Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss (2005), A database of German "
    "emotional speech, Interspeech, doi:10.21437/Interspeech.2005-446",
    language="German",
    licence="CC0 1.0 by its present publisher (audeering/emodb); no licence text by its authors' "
    "university was seen",
    weights_licence="CC0 1.0",
    commercial=True,
    n_clips=535,
    n_speakers=10,
    labels={
        "N": "neutral",
        "F": "happy",
        "T": "sad",
        "W": "angry",
        "A": "fearful",
        "E": "disgust",
        "L": "bored",
    },
    example="03a01Fa.wav",
    layout="a folder wav/ with all files, or the files directly",
)

_TESS = CorpusInfo(
    name="TESS",
    title="Toronto Emotional Speech Set",
    citation="Pichora-Fuller & Dupuis (2010), Toronto emotional speech set, doi:10.5683/SP2/E8H2MF",
    language="English",
    licence="CC BY-NC-ND 4.0",
    weights_licence="CC BY-NC-SA 4.0",
    commercial=False,
    n_clips=2800,
    n_speakers=2,
    labels={
        "neutral": "neutral",
        "happy": "happy",
        "sad": "sad",
        "angry": "angry",
        "fear": "fearful",
        "disgust": "disgust",
        "ps": "surprised",
    },
    example="OAF_back_angry.wav",
    layout="folders OAF_angry to YAF_sad; speaker and emotion are read from the file name",
)

_SAVEE = CorpusInfo(
    name="SAVEE",
    title="Surrey Audio-Visual Expressed Emotion database",
    citation="Haq & Jackson (2010), Multimodal emotion recognition, in: Machine Audition, "
    "IGI Global, pp. 398-423",
    language="English",
    licence="research only",
    weights_licence="research only",
    commercial=False,
    n_clips=480,
    n_speakers=4,
    labels={
        "n": "neutral",
        "h": "happy",
        "sa": "sad",
        "a": "angry",
        "f": "fearful",
        "d": "disgust",
        "su": "surprised",
    },
    example="DC_a01.wav",
    layout="all files in one folder, or folders DC, JE, JK and KL with files like a01.wav",
)

_EMOVO = CorpusInfo(
    name="EMOVO",
    title="EMOVO Corpus: an Italian Emotional Speech Database",
    citation="Costantini, Iaderola, Paoloni & Todisco (2014), EMOVO Corpus: an Italian "
    "emotional speech database, LREC, pp. 3501-3504",
    language="Italian",
    licence="research only",
    weights_licence="research only",
    commercial=False,
    n_clips=588,
    n_speakers=6,
    labels={
        "neu": "neutral",
        "gio": "happy",
        "tri": "sad",
        "rab": "angry",
        "pau": "fearful",
        "dis": "disgust",
        "sor": "surprised",
    },
    example="dis-f1-b1.wav",
    layout="folders f1 f2 f3 m1 m2 m3, with or without EMOVO around them",
)

_CREMA_D = CorpusInfo(
    name="CREMA-D",
    title="Crowd-sourced Emotional Multimodal Actors Dataset",
    citation="Cao, Cooper, Keutmann, Gur, Nenkova & Verma (2014), IEEE Transactions on Affective "
    "Computing 5(4): 377-390, doi:10.1109/TAFFC.2014.2336244",
    language="English",
    licence="ODbL 1.0, contents DbCL 1.0",
    # Whether weights are a derivative database or a produced work is not settled; these terms
    # satisfy both readings.
    weights_licence="ODbL 1.0",
    commercial=True,
    n_clips=7442,
    n_speakers=91,
    labels={
        "NEU": "neutral",
        "HAP": "happy",
        "SAD": "sad",
        "ANG": "angry",
        "FEA": "fearful",
        "DIS": "disgust",
    },
    example="1001_DFA_ANG_XX.wav",
    layout="a folder AudioWAV/ with all files, or the files directly",
)

_NEMO = CorpusInfo(
    name="nEMO",
    title="nEMO: Dataset of Emotional Speech in Polish",
    citation="Christop (2024), nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024, "
    "arXiv:2404.06292",
    language="Polish",
    licence="CC BY-NC-SA 4.0",
    weights_licence="CC BY-NC-SA 4.0",
    commercial=False,
    n_clips=4481,
    n_speakers=9,
    labels={
        "neutral": "neutral",
        "happiness": "happy",
        "sadness": "sad",
        "anger": "angry",
        "fear": "fearful",
        "surprised": "surprised",
    },
    example="WR0_surprised_64.wav",
    layout="a folder samples/ with all files, or the files directly",
)

CORPORA: dict[str, CorpusInfo] = {
    info.name: info for info in (_RAVDESS, _EMO_DB, _TESS, _SAVEE, _EMOVO, _CREMA_D, _NEMO)
}
"""The public corpora by name."""


def find_corpus(name: str) -> CorpusInfo | None:
    """Return the public corpus of a name in any spelling ("emodb", "crema_d"), or None."""
    return _BY_SPELLING.get(_spelling(name))


def corpus_info(name: str) -> CorpusInfo:
    """Return the public corpus of a name in any spelling.

    Raises ConfigError for an unknown corpus.
    """
    info = find_corpus(name)
    if info is None:
        raise ConfigError(
            f"unknown corpus {name!r}; known are {', '.join(CORPORA)}; "
            "for own recordings write folder:NAME=DIR, csv:NAME=FILE.csv, neutral:NAME=DIR or "
            "unlabelled:NAME=DIR"
        )
    return info


def _spelling(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


_BY_SPELLING = {_spelling(name): info for name, info in CORPORA.items()}
