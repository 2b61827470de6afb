"""Own recordings in a folder for each label."""

from __future__ import annotations

from pathlib import Path

from edge_ser._util.suffixes import AUDIO_SUFFIXES
from edge_ser.corpora.clip import UNKNOWN_SPEAKER, Clip, speaker_id
from edge_ser.corpora.files import AudioFile, find_audio
from edge_ser.corpora.labels import clean_text, shared_emotion
from edge_ser.errors import CorpusError


def load_folder(name: str, root: Path) -> tuple[Clip, ...]:
    """Return the clips in root/label/*.wav and root/label/speaker/*.wav, sorted by path.

    Where there is no speaker folder the speaker is unknown (see `speaker_known`). The audio is
    not opened.

    Raises CorpusError when root is not a folder with audio, or audio lies elsewhere below it.
    """
    return tuple(_clip(name, root, file) for file in find_audio(root, AUDIO_SUFFIXES, name))


def _clip(name: str, root: Path, file: AudioFile) -> Clip:
    folders = [clean_text(folder) for folder in file.relative.parent.parts]
    if len(folders) not in (1, 2):
        raise CorpusError(
            f"{name}: {file.relative} in {root} does not lie in a label folder; "
            "expected LABEL/FILE or LABEL/SPEAKER/FILE"
        )
    label = folders[0]
    return Clip(
        path=file.path,
        corpus=name,
        speaker=speaker_id(name, folders[1] if len(folders) == 2 else UNKNOWN_SPEAKER),
        emotion=shared_emotion(label),
        label=label,
        gender=None,
        group=f"{name}/{clean_text(file.relative.as_posix())}",
        channel=None,
    )
