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
answers and finished families, with which a run that was stopped goes on.
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

from dimcli.core.motion import Motion
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
    """Everybody's answers to every clip, made once."""
    stored = {}
    for name, predictor in methods.items():
        path, origin = keep / f"{name.replace(' ', '-')}.safetensors", made_from[name]
        stored[name] = stored_predictions(path, origin) or store_predictions(
            path, predictor, store, records, seeds=range(SEED, SEED + 1), origin=origin
        )
        print(f"{name} answered: {time.process_time():.0f} s of a core so far", flush=True)
    answers: Answers = []
    for record in records:
        clip = store.load(record)
        found = {name: each.predict(clip.stimulus(), SEED) for name, each in stored.items()}
        answers.append((clip, found | late(found[ORACLE])))
    return answers


def score(
    family: str, store: ClipStore, records: list[ClipRecord], answers: Answers
) -> list[dict[str, Any]]:
    """Every figure of a family: its value by method, and how often the oracle is ahead."""
    scorer: Any
    if family == "paper":
        scorer = PaperScorer(np.concatenate([clip.listener.values for clip, _ in answers]))
    else:
        scorer = FAMILIES[family](store, records)
    shares: dict[str, list[Any]] = {}
    for clip, motions in answers:
        measure: Callable[[Motion], Any] = scorer.measure(clip)
        for name, motion in {TRUTH: clip.listener, **motions}.items():
            shares.setdefault(name, []).append(measure(motion))
    tallies = {name: scorer.tally([each]) for name, each in shares.items()}
    random = np.random.default_rng(SEED)
    sizes = [size for size in SIZES if size < len(records)] + [len(records)]
    few = {
        size: random.multinomial(size, np.full(len(records), 1 / len(records)), DRAWS)
        for size in sizes
    }
    whole = draw_clips([record.id for record in records], DRAWS, SEED)
    rows = []
    for part in tallies[TRUTH]:
        values = {name: each[part].figures() for name, each in tallies.items()}
        drawn = {name: each[part].figures(whole) for name, each in tallies.items()}
        small = {
            size: {name: each[part].figures(draws) for name, each in tallies.items()}
            for size, draws in few.items()
        }
        for figure in values[ORACLE]:
            verdicts = {str(size): verdict(figure, by_name) for size, by_name in small.items()}
            rows.append(
                {
                    "family": family, "part": part, "figure": figure,
                    "values": {n: number(v[figure][0, 0]) for n, v in values.items()},
                    "intervals": {n: ends(v[figure][0]) for n, v in drawn.items()},
                    "verdicts": verdicts,
                }
            )  # fmt: skip
    return rows


def number(value: float) -> float | None:
    """A figure in six digits, if there is one."""
    return float(f"{value:.6g}") if np.isfinite(value) else None


def ends(drawn: np.ndarray) -> list[float | None]:
    """A 95 % interval."""
    there = drawn[np.isfinite(drawn)]
    if not len(there):
        return [None, None]
    return [number(end) for end in np.quantile(there, [0.025, 0.975])]


def verdict(figure: str, values: dict[str, dict[str, np.ndarray]]) -> dict[str, list[float]]:
    """The shares of draws in which the oracle is ahead of each rival, and in which it is behind;
    the rest are equal. A rival that has no figure where the oracle has one is behind."""
    worse = {name: badness(figure, each, values[TRUTH]) for name, each in values.items()}
    own = worse[ORACLE]
    if not np.isfinite(own).any():
        return {}
    apart = {
        name: np.where(np.isfinite(each) | ~np.isfinite(own), each - own, np.inf)
        for name, each in worse.items()
        if name not in (TRUTH, ORACLE)
    }
    sizes = {name: _EQUAL * np.nan_to_num(np.abs(own) + np.abs(worse[name])) for name in apart}
    return {
        name: [float((gap > sizes[name]).mean()), float((gap < -sizes[name]).mean())]
        for name, gap in apart.items()
    }


def badness(figure: str, values: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Smaller is better, [B]."""
    own = values[figure][0]
    if figure in TRUTH_FIGURES:
        return np.abs(own - truth[figure][0])
    if figure in NEAREST_ZERO:
        return np.abs(own)
    return -own if figure in LARGER_BETTER else own


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
    with tempfile.TemporaryDirectory() as scratch:
        keep = Path(KEEP or scratch)
        keep.mkdir(parents=True, exist_ok=True)
        methods = rivals(store, records)
        made_from = origins(methods, store, len(records))
        answers = answer(methods, store, records, made_from, keep)
        names = [name for name in answers[0][1] if name != ORACLE]
        facts = {"clips": len(records), "seed": SEED, "draws": DRAWS, "nulls": NULLS}
        of = {**facts, "made_from": made_from}
        rows = []
        for family in CHOSEN:
            path, began = keep / f"{family}.json", time.process_time()
            kept = json.loads(path.read_text()) if path.is_file() else {}
            if kept.get("of") != of:
                kept = {"of": of, "rows": score(family, store, records, answers)}
                path.write_text(json.dumps(kept, allow_nan=False))
            rows += kept["rows"]
            print(f"{family}: {time.process_time() - began:.0f} s of a core", flush=True)
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
