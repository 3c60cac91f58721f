"""The paper's corpora in small, to the letter of what their owners distribute, and the licensed
files that its experiment needs, made up.

``python -m tests.small_corpora FOLDER`` makes ``candor`` (conversations with videos), ``vico``
(videos and sounds), ``vico_emoca`` (EMOCA's folders and sounds), ``trevor`` (LM_Listener),
``biwi``, ``listener.mp4`` (to train a renderer on), ``SMIRK_em1.pt`` and ``generic_model.pkl``
(FLAME). ``tests/cli/test_paper_route.py`` runs
the whole experiment on them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests import corpora
from tests.flame_files import flame_arrays, model_pickle
from tests.scan_files import write_biwi
from tests.tracking.encoder_files import smirk_file

EXAMPLES = Path(__file__).parents[1] / "examples"
SECONDS = 0.8
CONVERSATIONS = ("0a-uuid", "1b-uuid", "2c-uuid")
PEOPLE = ("5f00ann", "5f01bob")
BIWI = ["F2_e01", "F3_e02", "M3_e05", "F2_e33", "F2_e37"]


def make(root: Path) -> None:
    """Everything, into the folder ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    faces = {person: root / f"{person}.mp4" for person in PEOPLE}
    for place, face in enumerate(faces.values()):
        source = EXAMPLES / "speaker.mp4"
        corpora.face_video(source, face, start=1.5 * place, seconds=SECONDS, fps=30)
    sound = root / "voices.wav"
    corpora.tone(sound, SECONDS, rate=16000, hertz=(180.0, 240.0))
    candor(root / "candor", faces, sound)
    vico(root / "vico")
    rows = corpora.vico_emoca(root / "vico_emoca", frames=round(SECONDS * 30))
    shutil.rmtree(root / "vico_emoca" / "hubert")
    for row in rows:
        corpora.tone(root / "vico_emoca" / "audios" / f"{row[1]}.wav", SECONDS, rate=16000)
    corpora.lm_listener(root / "trevor", sizes=(2, 1, 1))
    write_biwi(root / "biwi", BIWI, frames=20)
    corpora.face_video(EXAMPLES / "speaker.mp4", root / "listener.mp4", seconds=3.2, fps=5)
    smirk_file(root / "SMIRK_em1.pt")
    (root / "generic_model.pkl").write_bytes(model_pickle(flame_arrays()))
    for file in (*faces.values(), sound):
        file.unlink()


def candor(root: Path, faces: dict[str, Path], sound: Path) -> None:
    """Conversation folders: transcript, a video a person, both voices in one sound."""
    for name in CONVERSATIONS:
        folder = root / name
        turns = [("L", 0.0, SECONDS / 2), ("R", SECONDS / 2, SECONDS)]
        corpora.transcript(folder / "transcription" / "transcript_cliffhanger.csv", turns)
        corpora.channel_map(folder / "processed" / "channel_map.json", *faces)
        for person, face in faces.items():
            shutil.copyfile(face, folder / "processed" / f"{person}.mp4")
        corpora.ffmpeg("-i", sound, folder / "processed" / f"{name}.mp3")


def vico(root: Path) -> None:
    """``videos/``, ``audios/`` and the table of one clip."""
    (row,) = corpora.vico_rows(1)
    for place, stem in enumerate(row[2:4]):
        video = root / "videos" / f"{stem}.mp4"
        speaker = EXAMPLES / "speaker.mp4"
        corpora.face_video(speaker, video, start=1.5 * place, seconds=SECONDS / 2, fps=30)
    corpora.tone(root / "audios" / f"{row[1]}.wav", SECONDS / 2, rate=16000)
    corpora.write_table(root / "RLD_data.csv", corpora.RLD_COLUMNS, [row])


if __name__ == "__main__":
    make(Path(sys.argv[1]))
