"""The trainings behind a table's rows, and what they answer: each once, whatever is killed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dimcli.core.config import with_overrides
from dimcli.core.motion import Motion
from dimcli.core.progress import Progress
from dimcli.data.clip import ROLES, Predictor, Stimulus
from dimcli.data.store import ClipStore
from dimcli.evaluation.predictions import identity, store_predictions, stored_predictions
from dimcli.jobs.table_plan import Entry, TableOptions
from dimcli.models.answers import load_predictor
from dimcli.models.checkpoint import is_finished
from dimcli.models.dim.config import preset
from dimcli.models.registry import method
from dimcli.training.ablations import ONLINE, ablation
from dimcli.training.loop import Progress as Training
from dimcli.training.methods import MethodOptions, train_method
from dimcli.training.stages import StageOptions, pretrain, train_vq


@dataclass(frozen=True)
class Trained:
    """Several trainings of a method as one: ``samples`` of each, one training's after the other's,
    with the seeds that they have alone, the training's own on."""

    trainings: tuple[Predictor, ...]
    samples: int
    seed: int

    def predict(self, stimulus: Stimulus, seed: int) -> Motion:
        """Sample ``seed`` less that of the first."""
        training, sample = divmod(seed - self.seed, self.samples)
        return self.trainings[training].predict(stimulus, self.seed + training + sample)


class TableTrainer:
    """Trains the runs of a table's folder, each once, whatever is killed in between."""

    def __init__(
        self,
        role: str,
        options: TableOptions,
        store: ClipStore,
        before: ClipStore,
        progress: Progress,
    ) -> None:
        self._role, self._options = role, options
        self._store = store
        self._learnt = store if store.clips("train") else before
        self._data, self._before = self._learnt.root, before.root
        self._apart = before is not store or options.conversations > 0
        self._runs = options.output / "runs"
        self._runs.mkdir(parents=True, exist_ok=True)
        self._progress = progress

    def run(self, entry: Entry) -> Path | None:
        """The run of an entry, trained if it was not; None for one that needs no training."""
        if not entry.run:
            return None
        run = self._runs / entry.run
        if not is_finished(run):
            options = MethodOptions(**vars(self._stage(entry.run, limited=True)))
            options = replace(options, resume=True, **self._shared_pieces(entry))
            train_method(self._data, run, entry.method, options)
        return run

    def predictor(self, entry: Entry) -> Predictor:
        """An entry's predictions for the split: stored ones, or new ones."""
        run, options = self.run(entry), self._options
        seeds = range(options.seed, options.seed + options.samples)
        online = entry.ablation == ONLINE
        sampled = f"-{entry.steps}" if entry.steps else ""
        words: tuple[object, ...] = (entry.method, options.split, seeds)
        words += ("online" if online else "whole clips",)
        words += (entry.steps,) if entry.steps else ()
        origin = identity(self._store, run, *words)
        path = options.output / "predictions" / f"{entry.run or entry.method}{sampled}.safetensors"
        stored = stored_predictions(path, origin)
        if stored is not None:
            return stored
        predictor = load_predictor(
            run or entry.method,
            self._learnt,
            self._role,
            options.device,
            online=online,
            steps=entry.steps,
        )
        return store_predictions(
            path,
            predictor,
            self._store,
            self._store.clips(options.split),
            seeds=seeds,
            origin=origin,
            progress=self._progress,
            stage=f"predicting {entry.label}",
        )

    def _shared_pieces(self, entry: Entry) -> dict[str, Any]:
        """What an entry's training takes of the shared pieces, as options."""
        if entry.method == "dim":
            chosen = ablation(entry.ablation, self._role)
            pieces: dict[str, Any] = {
                "task": self._role,
                "ablation": entry.ablation,
                "pretrain_data": self._before,
            }
            if chosen.codes and not chosen.vq:
                for role in ROLES if chosen.pretraining else (self._role,):
                    pieces[f"vq_{role}"] = self._vq(role)
            if chosen.pretraining and not chosen.own_pretraining:
                pieces["pretrained"] = self._pretrained()
            return pieces
        pieces = {}
        if method(entry.method).coded:
            pieces["vq_listener"] = self._vq("listener", alone=self._apart and not entry.init)
        if entry.init:
            pieces["init"] = self._runs / entry.init
            if not is_finished(pieces["init"]):
                whole = MethodOptions(**vars(self._stage(entry.init)))
                # for as long as DIM's pre-training
                config = preset(self._options.preset, "pretrain")
                training = with_overrides(config, whole.settings()).training
                train_method(
                    self._before,
                    pieces["init"],
                    entry.method,
                    replace(
                        whole,
                        steps=training.steps,
                        epochs=training.epochs,
                        vq_listener=pieces["vq_listener"],
                    ),
                )
        return pieces

    def _vq(self, role: str, *, alone: bool = False) -> Path:
        """A role's VQ-VAE; ``alone``: one that knows nothing of the pre-training data."""
        run = self._runs / ("vq_alone" if alone else f"vq_{role}")
        if not is_finished(run):
            data = self._data if alone else self._before
            train_vq(data, run, role, self._stage(run.name, limited=alone))
        return run

    def _pretrained(self) -> Path:
        run = self._runs / "pretrain"
        if not is_finished(run):
            vq = self._vq("speaker"), self._vq("listener")
            pretrain(self._before, run, *vq, self._stage(run.name))
        return run

    def _stage(self, name: str, *, limited: bool = False) -> StageOptions:
        def report(now: Training) -> None:
            self._progress(f"training {name}", now.step, now.steps)

        settings = dict(self._options.settings)
        if limited and self._options.conversations:
            settings["training.conversations"] = self._options.conversations
        return StageOptions(
            preset=self._options.preset,
            overrides=settings,
            seed=self._options.seed,
            resume=(self._runs / name).is_dir(),
            device=self._options.device,
            progress=report,
        )
