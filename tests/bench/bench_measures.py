"""Which measure to believe: every measure of ``dim eval`` on listeners whose worth is known.

``python -m tests.bench measures``. On synthetic dyads the oracle draws from the very rule that made
the true listener. Whatever knows less has to score worse: the oracle shifted in time, another
speaker's true listener, the mean face, noise, the speaker's mirror, and every method. A measure is
right about a rival where the oracle is ahead of it in at least 95 % of the draws of n clips with
replacement, and wrong where the rival is ahead as often. The oracle drawn again is no worse than
the oracle: a measure that is sure of either is sure too soon.

``DIM_DATA`` a synthetic data set, whose test split is scored (default: the held-out one, all of it,
a clip a conversation); ``DIM_MEASURES_CLIPS`` how many of its clips (default: all);
``DIM_MEASURES_RUNS`` runs of methods beside the bundled listeners, with commas between;
``DIM_MEASURES_FAMILIES`` which families (default: all); ``DIM_MEASURES_OUT`` the folder for
measures.md, .csv and .json (default: the page is printed only); ``DIM_MEASURES_KEEP`` a folder for
everybody's answers and figures, with which a run that was stopped goes on: of a method whose
weights or settings have changed, both are made again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from dimcli.core.motion import Motion
from dimcli.core.tensors import save_tensors
from dimcli.data.clip import Clip, ClipRecord, Predictor
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.families import FAMILIES
from dimcli.evaluation.measures.gain import Gain
from dimcli.evaluation.metrics import draw_clips
from dimcli.evaluation.predictions import identity, store_predictions, stored_predictions
from dimcli.evaluation.protocols import PaperScorer
from dimcli.evaluation.scores import LARGER_BETTER, NEAREST_ZERO, TRUTH, TRUTH_FIGURES
from dimcli.jobs.evaluate import open_store
from dimcli.models.answers import load_predictor
from dimcli.models.config import find_run
from dimcli.models.simple import MeanPredictor, MirrorPredictor, Oracle
from tests.bench.measures_page import AGAIN, MEAN, NOISE, ORACLE, OTHER, to_csv, to_markdown

CLIPS = int(os.environ.get("DIM_MEASURES_CLIPS", "0"))
CHOSEN = os.environ.get("DIM_MEASURES_FAMILIES", ",".join(("paper", *FAMILIES))).split(",")
RUNS = [name for name in os.environ.get("DIM_MEASURES_RUNS", "").split(",") if name]
OUT, KEEP = os.environ.get("DIM_MEASURES_OUT"), os.environ.get("DIM_MEASURES_KEEP")
SEED, DRAWS = 0, 400
SHIFTS_S = (0.5, 1.0, 2.0, 5.0)
SIZES = (4, 8, 16, 32, 64, 128)
BUNDLED = ("listener-small", "listener-live")
NULLS, TARGETS = 20, 100_000
"""Of R-DGG: shifted speakers, and frames of listening at most."""
_EQUAL = 1e-6
"""Of two figures, as a share: no difference but rounding."""


def late(oracle: Motion) -> dict[str, Motion]:
    """The oracle's listener some seconds late; what falls off the end comes first."""
    return {
        f"oracle {shift:g} s late": replace(
            oracle, values=np.roll(oracle.values, round(shift * oracle.fps), axis=0)
        )
        for shift in SHIFTS_S
    }


@dataclass(frozen=True)
class Again:
    """The oracle with another seed."""

    oracle: Oracle

    def predict(self, stimulus: Any, seed: int) -> Motion:
        return self.oracle.predict(stimulus, seed + 1)


@dataclass(frozen=True)
class Others:
    """The true listener of the clip half the roster further on."""

    store: ClipStore
    records: list[ClipRecord]

    def predict(self, stimulus: Any, seed: int) -> Motion:
        index = [record.id for record in self.records].index(stimulus.id)
        other = self.records[(index + len(self.records) // 2) % len(self.records)]
        return self.store.load(other).listener


@dataclass(frozen=True)
class Noise:
    """The mean face with white noise of the true columns' own size."""

    mean: np.ndarray
    std: np.ndarray

    def predict(self, stimulus: Any, seed: int) -> Motion:
        random = np.random.default_rng([seed, len(stimulus), stimulus.first_frame])
        noise = random.standard_normal((len(stimulus), len(self.mean))) * self.std
        return stimulus.motion((self.mean + noise).astype(np.float32))


def rivals(store: ClipStore, records: list[ClipRecord]) -> dict[str, Predictor]:
    """Everybody who is scored, the oracle first."""
    of_train = store.statistics()["listener"]
    oracle = Oracle.fit(store)
    simple: dict[str, Predictor] = {
        ORACLE: oracle,
        AGAIN: Again(oracle),
        OTHER: Others(store, records),
        "mirror": MirrorPredictor(),
        MEAN: MeanPredictor.fit(store, "listener"),
        NOISE: Noise(of_train.mean, of_train.std),
    }
    trained = {Path(name).name: load_predictor(name, store) for name in (*BUNDLED, *RUNS)}
    return simple | trained


Answers = list[tuple[Clip, dict[str, Motion]]]
Drawn = dict[tuple[str, str], np.ndarray]
"""Figures by part and name, each in every draw of clips: [B]."""


def origins(methods: Mapping[str, Predictor], store: ClipStore, clips: int) -> dict[str, str]:
    """What everybody's answers depend on."""
    weights = {Path(name).name: find_run(name) for name in (*BUNDLED, *RUNS)}
    return {name: identity(store, weights.get(name), name, SEED, clips) for name in methods}


def answer(
    methods: Mapping[str, Predictor],
    store: ClipStore,
    records: list[ClipRecord],
    made_from: Mapping[str, str],
    keep: Path,
) -> Answers:
    """Everybody's answers to every clip, made once, and the truth."""
    stored = {}
    for name, predictor in methods.items():
        path, origin = kept_at(keep, name), made_from[name]
        stored[name] = stored_predictions(path, origin) or store_predictions(
            path, predictor, store, records, seeds=range(SEED, SEED + 1), origin=origin
        )
        print(f"{name} answered: {time.process_time():.0f} s of a core so far", flush=True)
    answers: Answers = []
    for record in records:
        clip = store.load(record)
        found = {name: each.predict(clip.stimulus(), SEED) for name, each in stored.items()}
        answers.append((clip, {TRUTH: clip.listener, **found, **late(found[ORACLE])}))
    return answers


def kept_at(keep: Path, *names: str) -> Path:
    """The file of somebody's answers, or of their figures of a family."""
    return keep / f"{'-'.join(names).replace(' ', '-')}.safetensors"


@dataclass(frozen=True)
class Draws:
    """How often each clip is in each draw [B, C]: all clips once, then draws of as many clips as
    there are for the intervals, then draws of ever more clips for the verdicts."""

    sizes: list[int]
    counts: np.ndarray

    @classmethod
    def of(cls, records: list[ClipRecord]) -> Draws:
        sizes = [size for size in SIZES if size < len(records)] + [len(records)]
        random, even = np.random.default_rng(SEED), np.full(len(records), 1 / len(records))
        few = [random.multinomial(size, even, DRAWS) for size in sizes]
        whole = draw_clips([record.id for record in records], DRAWS, SEED)
        return cls(sizes, np.concatenate([np.ones((1, len(records))), whole, *few]))

    def parts(self, drawn: np.ndarray) -> tuple[float, np.ndarray, dict[int, np.ndarray]]:
        """A figure of all clips, its draws for the interval, and those of each size."""
        interval, *few = np.split(drawn[1:], 1 + len(self.sizes))
        return float(drawn[0]), interval, dict(zip(self.sizes, few, strict=True))


def measured(
    family: str,
    store: ClipStore,
    answers: Answers,
    draws: Draws,
    made_from: Mapping[str, str],
    keep: Path,
) -> dict[str, Drawn]:
    """Everybody's figures of a family in every draw, made once."""
    found, missing = dict[str, Drawn](), dict[str, str]()
    for name in answers[0][1]:
        of = made_from.get(name, made_from[ORACLE])  # the truth's and late copies' change with it
        origin = f"{of} {name} {SIZES} {DRAWS} {NULLS} {TARGETS}"
        drawn = kept_figures(kept_at(keep, family, name), origin)
        if drawn is None:
            missing[name] = origin
        else:
            found[name] = drawn
    if missing:
        scorer: Any
        if family == "paper":
            scorer = PaperScorer(np.concatenate([clip.listener.values for clip, _ in answers]))
        else:
            scorer = FAMILIES[family](store, [clip.record for clip, _ in answers])
        shares: dict[str, list[Any]] = {name: [] for name in missing}
        for clip, motions in answers:
            measure: Callable[[Motion], Any] = scorer.measure(clip)
            for name in missing:
                shares[name].append(measure(motions[name]))
        for name, origin in missing.items():
            found[name] = {
                (part, figure): values[0]
                for part, tally in scorer.tally([shares.pop(name)]).items()
                for figure, values in tally.figures(draws.counts).items()
            }
            notes = {"made_from": origin, "names": json.dumps(list(found[name]))}
            whole = {"figures": np.stack(list(found[name].values()))}
            save_tensors(whole, kept_at(keep, family, name), notes)
    return {name: found[name] for name in answers[0][1]}


def kept_figures(path: Path, origin: str) -> Drawn | None:
    """Figures that were kept, if they have this origin."""
    if not path.is_file():
        return None
    with safe_open(path, framework="numpy") as file:
        notes = file.metadata()
        if notes["made_from"] != origin:
            return None
        names = [(part, figure) for part, figure in json.loads(notes["names"])]
        return dict(zip(names, file.get_tensor("figures"), strict=True))


def number(value: float) -> float | None:
    """A figure in six digits, if there is one."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def ends(drawn: np.ndarray) -> list[float | None]:
    """A 95 % interval."""
    there = drawn[np.isfinite(drawn)]
    if not len(there):
        return [None, None]
    return [number(end) for end in np.quantile(there, [0.025, 0.975])]


def verdict(figure: str, drawn: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """The shares of draws in which the oracle is ahead of each rival, and in which it is behind;
    the rest are equal. Of two of whom one has no figure, that one is behind. ``drawn``: everybody's
    figure in each draw, [B]."""
    badness = {name: worse(figure, each, drawn[TRUTH]) for name, each in drawn.items()}
    own = badness[ORACLE]
    if not np.isfinite(own).any():
        return {}
    verdicts = {}
    for name, each in badness.items():
        if name not in (TRUTH, ORACLE):
            with np.errstate(invalid="ignore"):  # neither has a figure: no gap
                gap = np.nan_to_num(each, nan=np.inf) - np.nan_to_num(own, nan=np.inf)
            rounding = _EQUAL * np.nan_to_num(np.abs(own) + np.abs(each))
            verdicts[name] = [float((gap > rounding).mean()), float((gap < -rounding).mean())]
    return verdicts


def worse(figure: str, drawn: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Smaller is better, [B]."""
    if figure in TRUTH_FIGURES:
        return np.abs(drawn - truth)
    if figure in NEAREST_ZERO:
        return np.abs(drawn)
    return -drawn if figure in LARGER_BETTER else drawn


def told(family: str, found: Mapping[str, Drawn], draws: Draws) -> list[dict[str, Any]]:
    """Every figure of a family: its value by method, and how often the oracle is ahead."""
    rows = []
    for part, figure in found[ORACLE]:
        each = {name: draws.parts(drawn[part, figure]) for name, drawn in found.items()}
        few = {size: {name: small[size] for name, (*_, small) in each.items()}
               for size in draws.sizes}  # fmt: skip
        rows.append(
            {
                "family": family, "part": part, "figure": figure,
                "values": {name: number(value) for name, (value, *_) in each.items()},
                "intervals": {name: ends(interval) for name, (_, interval, _) in each.items()},
                "verdicts": {str(size): verdict(figure, drawn) for size, drawn in few.items()},
            }
        )  # fmt: skip
    return rows


def command() -> str:
    """What was typed, but for where things were kept."""
    said = ("DIM_DATA", "DIM_MEASURES_CLIPS", "DIM_MEASURES_RUNS", "DIM_MEASURES_FAMILIES")
    words = [f"{name}={os.environ[name]}" for name in (*said, "DIM_MEASURES_OUT")
             if name in os.environ]  # fmt: skip
    return " ".join([*words, "python -m tests.bench measures"])


def main() -> None:
    data = os.environ.get("DIM_DATA")
    store = open_store("synthetic", Path(data) if data else None)
    records = store.clips("test")
    if not data:
        records = [*records, *store.clips("val"), *store.clips("train")]
    records = records[: CLIPS or len(records)]
    Gain.nulls, Gain.most_targets = NULLS, TARGETS
    rows, draws = [], Draws.of(records)
    with tempfile.TemporaryDirectory() as scratch:
        keep = Path(KEEP or scratch)
        keep.mkdir(parents=True, exist_ok=True)
        methods = rivals(store, records)
        made_from = origins(methods, store, len(records))
        answers = answer(methods, store, records, made_from, keep)
        for family in CHOSEN:
            began = time.process_time()
            rows += told(family, measured(family, store, answers, draws, made_from, keep), draws)
            print(f"{family}: {time.process_time() - began:.0f} s of a core", flush=True)
    names = [name for name in answers[0][1] if name not in (TRUTH, ORACLE)]
    facts = {"clips": len(records), "seed": SEED, "draws": DRAWS, "nulls": NULLS}
    page = to_markdown(rows, names, facts | {"command": command()})
    if OUT:
        folder = Path(OUT)
        content = json.dumps({**facts, "rows": rows}, separators=(",", ":"), allow_nan=False)
        (folder / "measures.json").write_text(content + "\n")
        (folder / "measures.csv").write_text(to_csv(rows))
        (folder / "measures.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
