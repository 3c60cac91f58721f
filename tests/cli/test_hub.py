"""``dim weights fetch`` and ``push``: the real command against a hub on this machine."""

import hashlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save

import weights
from dimcli.cli import main
from dimcli.core.errors import InputError
from tests.cli.conftest import Dim
from tests.hub_server import Hub, serving

pytest.importorskip("huggingface_hub")

NAME = "somebody/listener"


@pytest.fixture(scope="module")
def run_files() -> dict[str, bytes]:
    """The shipped listener's files, as somebody would push them, and one that nobody asked for."""
    folder = weights.resolve(weights.DEFAULT_LISTENER)
    files = {name: (folder / name).read_bytes() for name in ("config.yaml", "model.safetensors")}
    return {**files, "README.md": b"# A listener\n", "setup.py": b"raise SystemExit\n"}


def dim_with_hub(home: Path, hub: Hub, *arguments: str) -> SimpleNamespace:
    """In a forked process, as huggingface_hub reads its environment when it is imported."""
    said, code = home.with_name(f"{home.name}-said"), 1
    child = os.fork()
    if not child:
        try:
            os.environ.update(
                DIM_HOME=str(home),
                HF_ENDPOINT=hub.address,
                HF_HOME=str(home / "hf"),
                HF_HUB_DISABLE_XET="1",
            )
            for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
                del sys.modules[name]
            sys.stderr = said.open("w", encoding="utf-8")
            main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return SimpleNamespace(
        returncode=os.waitstatus_to_exitcode(status), stderr=said.read_text(encoding="utf-8")
    )


@pytest.mark.slow
def test_a_run_is_fetched_verified_and_found_by_its_name(
    run_files: dict[str, bytes], tmp_path: Path, dim: Dim, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub(NAME, dict(run_files))) as hub:
        fetched = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
    assert fetched.returncode == 0, fetched.stderr
    assert "MB, verified" in fetched.stderr
    folder = tmp_path / "runs" / "somebody--listener"
    assert (folder / "model.safetensors").read_bytes() == run_files["model.safetensors"]
    assert not (folder / "setup.py").exists()
    monkeypatch.setenv("DIM_HOME", str(tmp_path))
    assert f"ok  {NAME}" in dim("weights", "list").out
    assert dim("weights", "verify").code == 0
    (folder / "model.safetensors").write_bytes(b"broken")
    ended = dim("weights", "verify")
    assert ended.code == 2
    assert "model.safetensors: changed; import or fetch it again" in ended.err


@pytest.mark.slow
def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    tensors = save({"weight": np.zeros(10_000_000, np.float32)})
    config = weights.resolve(weights.DEFAULT_LISTENER) / "config.yaml"
    files = {"config.yaml": config.read_bytes(), "model.safetensors": tensors}
    with serving(Hub(NAME, files, cut=15_000_000)) as hub:
        ended = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
        if ended.returncode:  # the library may leave the second try to us
            ended = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
        assert ended.returncode == 0, ended.stderr
        assert any(int(asked[6:].split("-")[0]) >= 1_000_000 for asked in hub.ranges)
    model = tmp_path / "runs" / "somebody--listener" / "model.safetensors"
    assert model.read_bytes() == tensors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stated"), [("model.safetensors", "0" * 64), ("config.yaml", "0" * 40)]
)
def test_what_does_not_hash_to_what_the_hub_states_is_thrown_away(
    run_files: dict[str, bytes], tmp_path: Path, name: str, stated: str
) -> None:
    wrong = {name: stated}
    with serving(Hub(NAME, dict(run_files), stated=wrong)) as hub:
        ended = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
    assert ended.returncode == 2
    assert f"{name} arrived damaged" in ended.stderr
    assert not (tmp_path / "runs" / "somebody--listener" / name).exists()


def test_published_weights_are_those_of_one_commit_whatever_the_hub_says_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    from dimcli.jobs.hub import fetch

    monkeypatch.setenv("DIM_HOME", str(tmp_path))
    facts = weights.registry()["fetchable"]["hubert"]
    other = b"other weights"
    asked: list[str] = []

    class Api:
        def __init__(self, token: str | None = None) -> None:
            pass

        def model_info(self, name: str, *, revision: str, files_metadata: bool) -> object:
            asked.append(revision)
            lfs = SimpleNamespace(sha256=hashlib.sha256(other).hexdigest())
            file = SimpleNamespace(rfilename="pytorch_model.bin", lfs=lfs, blob_id="")
            return SimpleNamespace(sha=revision, siblings=[file])

    def snapshot_download(name: str, *, revision: str, local_dir: Path, **_: object) -> None:
        asked.append(revision)
        local_dir.mkdir()
        (local_dir / "pytorch_model.bin").write_bytes(other)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(InputError, match=r"differs from the published file's"):
        fetch("hubert")
    assert asked == [facts["revision"]] * 2
    assert not (tmp_path / "hubert" / "pytorch_model.bin").exists()
    with pytest.raises(InputError, match=r"--revision main: hubert is used at dba3bb0 only"):
        fetch("hubert", revision="main")


@pytest.mark.slow
def test_without_a_network_fetching_and_pushing_end_in_one_line(tmp_path: Path) -> None:
    nobody = Hub(NAME, {}, address="http://127.0.0.1:9")  # a port that nothing listens at
    run = weights.resolve(weights.DEFAULT_LISTENER)
    for arguments in (("fetch", "hubert"), ("push", str(run), "--to", NAME)):
        ended = dim_with_hub(tmp_path, nobody, "weights", *arguments)
        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        assert "refused" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"config.yaml": b"kind: dim\n"}, "has no model.safetensors"),
        ({"config.yaml": b"kind: dim\n", "pytorch_model.bin": b"x"}, "has no model.safetensors"),
        ({"config.yaml": b"- a list\n", "model.safetensors": b"x"}, "config.yaml"),
    ],
)
def test_a_repository_that_is_no_run_leaves_nothing(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    with serving(Hub(NAME, files)) as hub:
        ended = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert not (tmp_path / "runs" / "somebody--listener").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "stated", "reason"),
    [
        ({"config.yaml": b"- a list\n", "model.safetensors": b"x"}, {}, "config.yaml"),
        ({"model.safetensors": b"x"}, {"model.safetensors": "0" * 64}, "arrived damaged"),
        ({"setup.py": b""}, {}, "has no model.safetensors"),
    ],
)
def test_a_new_revision_that_cannot_be_used_leaves_the_old_one(
    run_files: dict[str, bytes],
    tmp_path: Path,
    files: dict[str, bytes],
    stated: dict[str, str],
    reason: str,
) -> None:
    folder = tmp_path / "runs" / "somebody--listener"
    with serving(Hub(NAME, dict(run_files))) as hub:
        assert dim_with_hub(tmp_path, hub, "weights", "fetch", NAME).returncode == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with serving(Hub(NAME, files, stated=stated)) as hub:
        ended = dim_with_hub(tmp_path, hub, "weights", "fetch", NAME)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    changed = {**run_files, "README.md": b"# Another\n"}
    with serving(Hub(NAME, changed)) as hub:
        assert dim_with_hub(tmp_path, hub, "weights", "fetch", NAME).returncode == 0
    assert (folder / "README.md").read_bytes() == b"# Another\n"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
def test_an_unknown_repository_is_one_line(tmp_path: Path, dim: Dim) -> None:
    with serving(Hub(NAME, {})) as hub:
        ended = dim_with_hub(tmp_path, hub, "weights", "fetch", "nobody/nothing")
        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
        assert "nobody/nothing: cannot be fetched" in ended.stderr
    refused = dim("weights", "fetch", "huber")
    assert "huber: neither owner/name of a run on the hub nor one of: hubert" in refused.err


def test_push_sends_the_run_and_its_card_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_files: dict[str, bytes]
) -> None:
    import huggingface_hub

    from dimcli.jobs.hub import push

    sent: dict[str, object] = {}

    class Api:
        def __init__(self, token: str | None = None) -> None:
            pass

        def create_repo(self, name: str, *, private: bool, exist_ok: bool) -> str:
            sent.update(name=name, private=private)
            return f"https://huggingface.co/{name}"

        def create_commit(self, name: str, operations: list, commit_message: str) -> None:
            sent["files"] = {one.path_in_repo: one.path_or_fileobj for one in operations}

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    for name, content in run_files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "training_state.safetensors").write_bytes(b"large")
    assert push(tmp_path, NAME, private=True) == f"https://huggingface.co/{NAME}"
    assert sent["name"] == NAME
    assert sent["private"] is True
    files = sent["files"]
    assert isinstance(files, dict)
    assert set(files) == {"config.yaml", "model.safetensors", "README.md"}
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: dim")
    assert "# A listener" in card
    with pytest.raises(InputError, match="--to listener: expected owner/name"):
        push(tmp_path, "listener")
