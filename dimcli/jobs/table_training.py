"""Training the runs of a table's folder, each once, whatever is killed in between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dimcli.core.config import with_overrides
from dimcli.core.progress import Progress
from dimcli.data.store import ClipStore
from dimcli.jobs.table_plans import Entry
from dimcli.models.checkpoint import is_finished
from dimcli.models.presets import preset
from dimcli.training.ablations import ablation
from dimcli.training.baseline_stages import CODED
from dimcli.training.loop import Progress as Training
from dimcli.training.method_stages import MethodOptions, train_method
from dimcli.training.stages import StageOptions, pretrain, train_vq


@dataclass(frozen=True)
class TableOptions:
    """Which table, from what, and how.

    ``data`` may be left out for ``synthetic``: then it is made in the folder. ``pretrain_data`` is
    what VQ-VAEs and pre-training learn from (default: the data). ``conversations`` limits what
    fine-tuning, and methods without pre-training, learn from: the first so many of the train split.
    ``settings`` are dotted configuration keys for every training. The report shows ``clips`` clips
    and the ``command``.
    """

    table: str
    dataset: str
    output: Path
    data: Path | None = None
    pretrain_data: Path | None = None
    preset: str = "small"
    conversations: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    split: str = "test"
    samples: int = 1
    seed: int = 0
    bootstrap: int = 1000
    unit: str = "clip"
    device: str = "auto"
    clips: int = 2
    command: str = ""


class TableTrainer:
    """Trains the runs of a table's folder, each once."""

    def __init__(
        self, options: TableOptions, store: ClipStore, before: ClipStore, progress: Progress
    ) -> None:
        self._options = options
        self._data, self._before = store.root, before.root
        self._apart = before is not store or options.conversations > 0
        self._runs = options.output / "runs"
        self._runs.mkdir(exist_ok=True)
        self._progress = progress

    def run(self, entry: Entry) -> Path | None:
        """The run of an entry, trained if it was not; None for one that needs no training."""
        if not entry.run:
            return None
        run = self._runs / entry.run
        if not is_finished(run):
            given = self._given(entry)
            train_method(self._data, run, entry.method, replace(self._settings(entry), **given))
        return run

    def _given(self, entry: Entry) -> dict[str, Any]:
        """What an entry's training takes of the shared pieces, as options."""
        if entry.method == "dim":
            chosen = ablation(entry.ablation)
            given: dict[str, Any] = {"ablation": entry.ablation, "pretrain_data": self._before}
            if chosen.codes:
                given["vq_speaker"] = self._vq("speaker")
                given["vq_listener"] = self._vq("listener")
            if chosen.pretraining and not chosen.own_pretraining:
                given["pretrained"] = self._pretrained()
            return given
        given = {}
        if entry.method in CODED:
            alone = self._apart and not entry.init
            given["vq_listener"] = self._vq_alone() if alone else self._vq("listener")
        if entry.init:
            given["init"] = self._runs / entry.init
            if not is_finished(given["init"]):
                whole = MethodOptions(**vars(self._stage(entry.init)))
                steps = self._pretraining_steps()
                train_method(
                    self._before,
                    given["init"],
                    entry.method,
                    replace(whole, steps=steps, vq_listener=given["vq_listener"]),
                )
        return given

    def _vq(self, role: str) -> Path:
        run = self._runs / f"vq_{role}"
        if not is_finished(run):
            train_vq(self._before, run, role, self._stage(run.name))
        return run

    def _vq_alone(self) -> Path:
        """A listener's VQ-VAE that knows nothing of the pre-training data."""
        run = self._runs / "vq_alone"
        if not is_finished(run):
            train_vq(self._data, run, "listener", self._stage(run.name, limited=True))
        return run

    def _pretrained(self) -> Path:
        run = self._runs / "pretrain"
        if not is_finished(run):
            vq = self._vq("speaker"), self._vq("listener")
            pretrain(self._before, run, *vq, self._stage(run.name))
        return run

    def _pretraining_steps(self) -> int:
        """As many as DIM's pre-training has."""
        config = preset(self._options.preset, "pretrain")
        return with_overrides(config, self._options.settings).training.steps

    def _stage(self, name: str, *, limited: bool = False) -> StageOptions:
        def report(now: Training) -> None:
            self._progress(f"training {name}", now.step, now.steps)

        settings = dict(self._options.settings)
        if limited and self._options.conversations:
            settings["training.conversations"] = self._options.conversations
        run = self._runs / name
        return StageOptions(
            preset=self._options.preset,
            overrides=settings,
            seed=self._options.seed,
            resume=run.is_dir(),
            device=self._options.device,
            progress=report,
        )

    def _settings(self, entry: Entry) -> MethodOptions:
        options = MethodOptions(**vars(self._stage(entry.run, limited=True)))
        return replace(options, resume=True)
