"""A user's mistake gets one clear line and exit 2, and leaves nothing behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dimcli.core.motion import MOTION_DIM, Motion
from tests.renderers.faces import drawn_dog

CLIPS = ("prepare", "clips", "clips", "--fps", "25", "--table")


def refused(ended, *words: str) -> None:
    assert ended.code == 2, ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, ended.err
    assert "Traceback" not in ended.err
    for word in words:
        assert word in errors[0], f"{word!r} is not in: {errors[0]}"


@pytest.fixture
def listener(examples):
    return examples / "listener.png"


@pytest.fixture
def speaker(examples):
    return examples / "speaker.mp4"


@pytest.fixture
def faceless_clip(tmp_path):
    from dimcli.media import VideoWriter

    path = tmp_path / "wall.mp4"
    generator = np.random.default_rng(0)
    wall = cv2.GaussianBlur(generator.integers(90, 160, (240, 320, 3), np.uint8), (0, 0), 9)
    with VideoWriter(path, fps=25) as writer:
        for _ in range(15):
            writer.write(wall)
    return path


@pytest.fixture
def motion_file(tmp_path):
    path = tmp_path / "motion.npz"
    Motion(np.zeros((10, MOTION_DIM), np.float32), fps=25).save(path)
    return path


def test_a_file_that_is_not_a_video_is_named(dim, tmp_path, listener):
    path = tmp_path / "notes.mp4"
    path.write_text("not a video at all\n" * 50)
    refused(dim("generate-listener", path, "--ref", listener), "notes.mp4", "not a video")


def test_an_empty_file_is_named(dim, tmp_path, listener):
    path = tmp_path / "empty.mp4"
    path.touch()
    refused(dim("generate-listener", path, "--ref", listener), "empty.mp4", "empty")


def test_a_missing_file_is_named(dim, listener):
    refused(dim("generate-listener", "nowhere.mp4", "--ref", listener), "nowhere.mp4", "no such")


def test_a_truncated_video_is_named(dim, tmp_path, speaker, listener):
    path = tmp_path / "cut.mp4"
    whole = speaker.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(dim("generate-listener", path, "--ref", listener), "cut.mp4", "cut short")


@pytest.mark.parametrize("command", ["extract", "generate-listener"])
def test_a_clip_without_a_face_says_so(dim, command, faceless_clip, listener, tmp_path):
    more = ["--ref", listener] if command == "generate-listener" else []
    before = set(tmp_path.iterdir())
    refused(dim(command, faceless_clip, *more), "wall.mp4", "face")
    assert set(tmp_path.iterdir()) == before


def test_a_picture_without_a_face_says_so(dim, tmp_path, speaker):
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), np.full((200, 200, 3), 128, np.uint8))
    refused(dim("generate-listener", speaker, "--ref", path), "wall.png", "face")


def test_a_picture_of_a_dog_is_refused_unless_insisted(dim, motion_file, tmp_path):
    path = tmp_path / "dog.png"
    cv2.imwrite(str(path), drawn_dog(0)[..., ::-1])
    refused(dim("render", motion_file, "--ref", path, "-o", "a.mp4"), "dog.png", "--force-face")
    assert not Path("a.mp4").exists()
    assert dim("render", motion_file, "--ref", path, "-o", "a.mp4", "--force-face").code == 0


def test_of_two_faces_the_largest_is_taken_and_told(dim, tmp_path, listener, motion_file):
    face = cv2.imread(str(listener))
    small = cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    both = np.full((face.shape[0], face.shape[1] + small.shape[1], 3), 90, np.uint8)
    both[:, : face.shape[1]] = face
    both[: small.shape[0], face.shape[1] :] = small
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), both)
    ended = dim("render", motion_file, "--ref", path)
    assert ended.code == 0, ended.err
    assert "2 faces; the largest was taken" in ended.err


def test_a_picture_that_is_missing_is_told_before_an_output_that_exists(dim, speaker, tmp_path):
    (tmp_path / "speaker-listener.mp4").write_bytes(b"of yesterday")
    (tmp_path / "a-speaker-dyad.mp4").write_bytes(b"of yesterday")
    shutil.copy(speaker, tmp_path / "a.mp4")
    refused(dim("generate-listener", speaker), "--ref: --renderer portrait needs a picture")
    refused(
        dim("generate-dyad", "a.mp4", speaker, "--ref-a", "a.png"), "--ref-b: ", "needs a picture"
    )


def test_the_name_that_is_proposed_for_an_output_is_free(dim, speaker, listener, tmp_path):
    shutil.copy(speaker, tmp_path / "katie.mp4")
    asked = ("generate-listener", "katie.mp4", "--ref", listener, "-o")
    refused(dim(*asked, "katie.gif"), "a video is written as .mp4; name it katie-made.mp4")
    refused(dim(*asked, "other.gif"), "a video is written as .mp4; name it other.mp4")
    refused(dim(*asked, "katie.mp4"), "is an input")


def test_an_address_is_told_as_it_was_given(dim, listener, motion_file):
    for line in (
        ("generate-listener", "https://x.org/a.mp4", "--ref", listener),
        ("render", motion_file, "--ref", "https://x.org/a.png"),
        ("extract", "https://x.org/a.mp4"),
    ):
        refused(dim(*line), "https://x.org/a.")


def test_a_value_that_is_none_of_a_choice_is_told_in_our_words(dim, speaker):
    ended = dim("generate-listener", speaker, "--attitude", "happy")
    refused(ended, "--attitude", "'happy' is not one of", "positive")
    assert "Value error" not in ended.err


def test_an_output_that_exists_is_kept(dim, tmp_path, speaker, listener):
    path = tmp_path / "kept.mp4"
    path.write_text("precious")
    refused(dim("generate-listener", speaker, "--ref", listener, "-o", path), "kept.mp4", "--force")
    assert path.read_text() == "precious"


def test_a_folder_that_does_not_exist_is_named(dim, speaker, listener):
    refused(
        dim("generate-listener", speaker, "--ref", listener, "-o", "nowhere/out.mp4"),
        "nowhere",
        "does not exist",
    )


def test_unknown_weights_list_the_known_ones(dim, speaker, listener):
    refused(
        dim("generate-listener", speaker, "--ref", listener, "--weights", "huge"),
        "huge",
        "listener-small",
    )


def test_an_unknown_renderer_lists_the_known_ones(dim, speaker, listener):
    refused(
        dim("generate-listener", speaker, "--ref", listener, "--renderer", "magic"),
        "magic",
        "portrait, mesh",
    )


@pytest.mark.parametrize("name", ["out.avi", "out", "out.npz"])
def test_an_output_of_another_kind_is_refused_before_any_work(dim, speaker, listener, name):
    ended = dim("generate-listener", speaker, "--ref", listener, "-o", name)
    refused(ended, name, "name it out.mp4")
    assert "tracking" not in ended.err
    refused(dim("extract", speaker, "-o", "motion.mp4"), "name it motion.npz")


def test_no_input_is_overwritten(dim, tmp_path, speaker, listener, motion_file):
    clip, picture, motion = (tmp_path / name for name in ("clip.mp4", "picture.mp4", "motion.npz"))
    for copy, original in ((clip, speaker), (picture, listener), (motion, motion_file)):
        copy.write_bytes(original.read_bytes())
    made = ("generate-listener", clip, "--ref", picture)
    for command in (
        (*made, "-o", clip),
        (*made, "-o", picture),
        ("generate-speaker", clip, "--ref", picture, "-o", clip),
        ("generate-dyad", clip, clip, "--ref-a", picture, "--ref-b", picture, "-o", picture),
        ("render", motion, "--ref", picture, "--audio", clip, "-o", clip),
        ("visualize", motion, "--audio", clip, "-o", clip),
        ("extract", motion),
        ("convert", motion, "--to", "flame", "-o", motion),
    ):
        refused(dim(*command, "--force"), "is an input of this command; name another output")


def test_a_folder_that_is_no_run_is_told_before_any_work(dim, tmp_path, speaker, listener):
    ended = dim("generate-listener", speaker, "--ref", listener, "--weights", tmp_path)
    refused(ended, "--weights", "not a run directory", "config.yaml")
    assert "tracking" not in ended.err


def test_a_pipe_is_not_waited_for(dim, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(dim("extract", "pipe.mp4"), "pipe.mp4", "is a pipe")


def test_sound_that_is_missing_is_told_before_any_work(dim, motion_file):
    ended = dim("visualize", motion_file, "--audio", "nowhere.wav")
    refused(ended, "nowhere.wav", "no such")
    assert "rendering" not in ended.err


def test_a_name_that_is_too_long_is_one_line(dim, motion_file):
    refused(dim("visualize", motion_file, "-o", "x" * 300 + ".mp4"), "name too long")


@pytest.mark.parametrize(
    "words",
    [
        ("extract", "URL"),
        ("visualize", "URL"),
        ("generate-listener", "clip.mp4", "--renderer", "mesh", "--weights", "URL"),
        ("train-vq", "URL", "--role", "listener", "-o", "run"),
        ("eval", "--data", "URL"),
        ("prepare", "clips", "URL", "-o", "data"),
        ("measure", "URL"),
        ("study", "make", "URL", "URL", "-o", "study"),
        ("weights", "import", "flame", "URL"),
    ],
    ids=" ".join,
)
def test_an_address_is_told_to_be_one_wherever_a_path_stands(dim, speaker, tmp_path, words):
    (tmp_path / "clip.mp4").write_bytes(speaker.read_bytes())
    ended = dim(*(word.replace("URL", "https://x.invalid/a") for word in words))
    refused(ended, "x.invalid/a", "address", "URL")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("speaker\n{cell}.mp4\n", ("generate-listener", "table.csv", "--renderer", "mesh")),
        ("{cell}\nx\n", ("generate-listener", "table.csv", "--renderer", "mesh")),
        ("speaker,listener\n{cell}.mp4,y.mp4\n", (*CLIPS, "table.csv")),
        ("video,split\nx.mp4,{cell}\n", (*CLIPS, "table.csv")),
        ("{cell}\nx\n", (*CLIPS, "table.csv")),
    ],
)
def test_a_cell_of_5000_characters_makes_no_line_of_as_many(dim, tmp_path, table, words):
    (tmp_path / "table.csv").write_text(table.format(cell="x" * 5000))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "one.mp4").write_bytes(b"no clip")
    ended = dim(*words, "-o", "out")
    assert ended.code == 2
    assert max(map(len, ended.err.splitlines())) < 330


def test_a_missing_reference_is_asked_for(dim, speaker):
    refused(dim("generate-listener", speaker), "--ref")


def write_motion(path, **changes):
    arrays = {
        "values": np.zeros((10, MOTION_DIM), np.float32),
        "fps": 25.0,
        "space": "arkit",
        "valid": np.ones(10, bool),
        "meta": "{}",
    }
    arrays.update(changes)
    np.savez(path, **arrays)
    return path


def test_nan_in_a_motion_file_is_counted(dim, tmp_path):
    values = np.zeros((10, MOTION_DIM), np.float32)
    values[4:6, 2] = np.nan
    path = write_motion(tmp_path / "nan.npz", values=values)
    refused(dim("visualize", path), "nan.npz", "NaN", "2 of 10", "frame 4")


def test_motion_of_the_wrong_width_is_told(dim, tmp_path):
    path = write_motion(tmp_path / "wide.npz", values=np.zeros((10, 60), np.float32))
    refused(dim("visualize", path), "wide.npz", "(10, 60)", "56")


def test_motion_of_another_space_is_told(dim, tmp_path, listener):
    path = write_motion(tmp_path / "flame.npz", space="flame")
    refused(dim("render", path, "--ref", listener), "flame", "arkit")
    unknown = write_motion(tmp_path / "odd.npz", space="smplx")
    refused(dim("visualize", unknown), "smplx", "arkit, flame")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": np.zeros((0, MOTION_DIM), np.float32), "valid": np.ones(0, bool)}, "no frames"),
        ({"values": np.full((10, MOTION_DIM), 1e30, np.float32)}, "values up to 1e+30"),
        ({"values": np.full((10, MOTION_DIM), 1j)}, "complex128; expected real numbers"),
        ({"values": np.full((10, MOTION_DIM), "a")}, "expected real numbers"),
        ({"fps": 1e9}, "fps is 1000000000.0; expected 0.1 to 1000"),
        ({"fps": 1e-6}, "expected 0.1 to 1000"),
        ({"fps": np.nan}, "fps is nan; expected"),
        ({"fps": np.full(2, 25.0)}, "fps has shape (2,); expected one number"),
        ({"meta": "{not json"}, "meta is not a JSON object"),
        ({"meta": "[1]"}, "meta is not a JSON object"),
    ],
)
def test_odd_numbers_in_a_motion_file_are_told(dim, tmp_path, changes, words):
    path = write_motion(tmp_path / "odd.npz", **changes)
    refused(dim("visualize", path), "odd.npz", words)


def test_a_motion_beyond_what_fits_in_memory_is_told(dim, tmp_path):
    long = write_motion(
        tmp_path / "long.npz",
        values=np.zeros((450_001, MOTION_DIM), np.float16),
        valid=np.ones(450_001, bool),
    )
    refused(dim("export", long, "-o", "out.csv"), "long.npz", "450001 frames", "at most 450000")
    slow = write_motion(
        tmp_path / "slow.npz", fps=0.1, values=np.zeros((800, MOTION_DIM)), valid=np.ones(800, bool)
    )
    refused(dim("export", slow, "-o", "out.csv"), "480000 frames at 60 a second", "at most 450000")


def test_a_source_that_is_no_path_is_told(dim, tmp_path):
    path = write_motion(tmp_path / "odd.npz", meta='{"source": "a\\u0000b"}')
    refused(dim("visualize", path), "odd.npz", "a source that is no path")


def test_a_broken_motion_file_is_told(dim, tmp_path):
    path = tmp_path / "broken.npz"
    Motion(np.random.default_rng(0).normal(size=(50, MOTION_DIM)).clip(-1, 1), fps=25).save(path)
    content = bytearray(path.read_bytes())
    content[300:700] = bytes(400)
    path.write_bytes(content)
    refused(dim("visualize", path), "broken.npz", "not a motion file")
    array = tmp_path / "array.npz"
    with array.open("wb") as file:
        np.save(file, np.zeros((10, MOTION_DIM)))
    refused(dim("visualize", array), "array.npz", "not a motion file")


def test_a_pickled_motion_file_is_refused_and_not_run(dim, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    path = tmp_path / "evil.npz"
    np.savez(path, values=np.array([Evil()], dtype=object), fps=25.0, space="arkit")
    refused(dim("visualize", path), "evil.npz", "not a motion file")
    assert not (tmp_path / "owned").exists()


def test_a_file_that_is_not_motion_is_told(dim, tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("hello")
    refused(dim("visualize", path), "text.npz", "not a motion file", "dim extract")


def test_a_wrong_option_is_one_line(dim, speaker):
    refused(dim("generate-listener", speaker, "--samples", "0"), "samples")
    refused(dim("generate-listener", speaker, "--sampels", "2"), "--sampels")
    refused(dim("generate-listener", speaker, "--seed", 10**20), "seed")
    refused(dim("extract", speaker, "--region", "²,0,20,20"), "--region", "x,y,width,height")
    long = f"0,0,20,{'9' * 5000}"
    refused(dim("extract", speaker, "--region", long), "--region", "x,y,width,height")
    refused(dim("nonsense"), "nonsense")


STRANGE = ("bytes\udcff", "line\nfeed", "escape\x1b[31m", "back\u202ewards")
"""No UTF-8, two lines, a terminal's command, and letters that run the other way."""


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_works_and_is_one_printable_line(dim, motion_file, name):
    motion_file.rename(name + ".npz")
    ended = dim("visualize", name + ".npz", name + ".npz", "--size", 64, "-o", name + ".mp4")
    assert ended.code == 0, ended.err
    assert Path(name + ".mp4").is_file()
    assert all(line.isprintable() for line in ended.err.split("\n"))
    assert len([line for line in ended.err.split("\n") if "0.4 s" in line]) == 1
    refused(dim("visualize", name + ".mp4", "-o", "out.mp4"), "not a motion file")


def test_a_method_that_is_none_is_refused_with_all_that_are_registered(dim, made_dyads, tmp_path):
    ended = dim("train", made_dyads, "--method", "foo", "-o", tmp_path / "run")
    refused(ended, "--method is 'foo'; expected one of codetalker, dim, ")
    assert not (tmp_path / "run").exists()


WITHOUT_TORCH = """
import sys
from dimcli.cli import main
try:
    main(sys.argv[1:])
finally:
    print(sorted({"torch"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train-vq nowhere --role listener -o run", "nowhere: not a data set"),
        ("pretrain DATA --vq-speaker nowhere -o run", "--vq-speaker nowhere"),
        ("pretrain DATA --set steps -o run", "--set steps: expected key=value"),
        ("finetune DATA --init listener-smal -o run", "did you mean listener-small?"),
        ("train DATA --method dim --pretrained nowhere -o run", "--pretrained nowhere"),
        ("train DATA --method rlhg --pretrain-data nowhere -o run", "nowhere: not a data set"),
        ("train DATA --method dim --ablation foo -o run", "--ablation is 'foo'; expected one of"),
        ("train DATA --method dim --preset adapt -o run", "--preset is 'adapt'; expected one of"),
        ("finetune DATA --init listener-small --preset foo -o run", "table, tiny, adapt"),
        ("table 1 --dataset synthetic --preset foo -o run", "--preset is 'foo'; expected one of"),
        ("eval --data nowhere", "nowhere: not a data set"),
        ("eval --data DATA --engine dask", "--scheduler: missing"),
    ],
)
def test_what_is_not_there_is_told_before_torch_is_imported(made_dyads, tmp_path, words, said):
    given = [str(made_dyads) if word == "DATA" else word for word in words.split()]
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *given],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stdout == "[]\n"
    assert not list(tmp_path.iterdir())
