"""Official file names of the seven corpora, every one of them, and trees of empty files made of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path


def official_names() -> dict[str, list[str]]:
    """Return every path of each official release, in the layout people unpack it into."""
    return {
        "RAVDESS": ravdess_paths(),
        "EMO-DB": emo_db_paths(),
        "TESS": tess_paths(),
        "SAVEE": savee_paths(),
        "EMOVO": emovo_paths(),
        "CREMA-D": crema_d_paths(),
        "nEMO": nemo_paths(),
    }


def touch_all(root: Path, relative_paths: Iterable[str]) -> Path:
    """Make empty files below root."""
    root.mkdir(exist_ok=True)
    folders: set[Path] = set()
    for relative in relative_paths:
        path = root / relative
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.add(path.parent)
        path.touch()
    return root


def ravdess_paths() -> list[str]:
    return [
        f"Actor_{actor:02}/03-01-{emotion:02}-{intensity:02}-{text:02}-{take:02}-{actor:02}.wav"
        for actor, emotion, intensity, text, take in product(
            range(1, 25), range(1, 9), (1, 2), (1, 2), (1, 2)
        )
        if (emotion, intensity) != (1, 2)  # neutral was not recorded with strong intensity
    ]


def emo_db_paths() -> list[str]:
    """All combinations of the code: the real corpus holds 535 of such names."""
    speakers = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
    texts = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    return [
        f"wav/{speaker}{text}{emotion}{take}.wav"
        for speaker, text, emotion, take in product(speakers, texts, "WLEAFTN", "ab")
    ]


def tess_paths() -> list[str]:
    folders = {
        "OAF": {"fear": "OAF_Fear", "ps": "OAF_Pleasant_surprise", "sad": "OAF_Sad"},
        "YAF": {"ps": "YAF_pleasant_surprised"},
    }
    words = ["bite", *(f"{a}{b}" for a, b in product("abcdefghijklmnopqrst", "bdfhjlnprt"))][:200]
    paths = [
        f"{folders[speaker].get(emotion, f'{speaker}_{emotion}')}/{speaker}_{word}_{emotion}.wav"
        for speaker, word, emotion in product(
            ("OAF", "YAF"), words, ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
        )
    ]
    paths[paths.index("OAF_neutral/OAF_bite_neutral.wav")] = "OAF_neutral/OA_bite_neutral.wav"
    return paths


def savee_paths() -> list[str]:
    return [
        f"{speaker}_{emotion}{number:02}.wav"
        for speaker, emotion in product(
            ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")
        )
        for number in range(1, 31 if emotion == "n" else 16)
    ]


def emovo_paths() -> list[str]:
    sentences = ["b1", "b2", "b3", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5", "d1", "d2"]
    emotions = ["dis", "gio", "neu", "pau", "rab", "sor", "tri"]
    return [
        f"{speaker}/{emotion}-{speaker}-{sentence}.wav"
        for speaker, emotion, sentence in product(
            ("f1", "f2", "f3", "m1", "m2", "m3"), emotions, sentences
        )
    ]


def crema_d_paths() -> list[str]:
    """91 actors, 12 sentences; the real corpus lacks 20 of these 7462 names."""
    sentences = ["DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI"]
    emotions = ["ANG", "DIS", "FEA", "HAP", "SAD"]
    codes = [f"{sentence}_{emotion}_XX" for sentence, emotion in product(sentences, emotions)]
    codes += [f"IEO_{emotion}_{level}" for emotion, level in product(emotions, ("LO", "MD", "HI"))]
    codes += [f"{sentence}_NEU_XX" for sentence in (*sentences, "IEO")]
    return [f"AudioWAV/{actor}_{code}.wav" for actor, code in product(range(1001, 1092), codes)]


def nemo_paths() -> list[str]:
    """All combinations of the code: the real corpus lacks 379 of these 4860 names."""
    speakers = ("EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0")
    emotions = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
    return [
        f"samples/{speaker}_{emotion}_{sentence}.wav"
        for speaker, emotion, sentence in product(speakers, emotions, range(1, 91))
    ]
