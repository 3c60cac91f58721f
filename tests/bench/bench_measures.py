"""Which measure to believe: every measure of ``dim eval`` on listeners whose worth is known.

``python -m tests.bench measures [-> examples/results/measures.md]``. On synthetic dyads the oracle
draws from the very rule that made the true listener. Whatever knows less has to score worse: the
oracle shifted in time, another speaker's true listener, the mean face, noise, the speaker's mirror,
and a trained method. A measure is right about a rival where the oracle is ahead of it in at least
95 % of the draws of n clips with replacement.

``DIM_DATA`` a synthetic data set (default: the held-out one), ``DIM_MEASURES_CLIPS`` how many of
its clips (default 200), ``DIM_MEASURES_FAMILIES`` which families (default: all),
``DIM_MEASURES_OUT`` the folder for measures.csv and .json (default: the table is printed only).
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable
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
from dimcli.evaluation.protocols import PaperScorer
from dimcli.evaluation.score_table import TITLES
from dimcli.evaluation.scores import LARGER_BETTER, NEAREST_ZERO, TRUTH, TRUTH_FIGURES
from dimcli.jobs.evaluate import open_store
from dimcli.models.answers import load_predictor
from dimcli.models.simple import MeanPredictor, MirrorPredictor, Oracle

CLIPS = int(os.environ.get("DIM_MEASURES_CLIPS", "200"))
CHOSEN = os.environ.get("DIM_MEASURES_FAMILIES", ",".join(("paper", *FAMILIES))).split(",")
OUT = os.environ.get("DIM_MEASURES_OUT")
SEED, DRAWS = 0, 400
SHIFTS_S = (0.5, 1.0, 2.0, 5.0)
SIZES = (4, 8, 16, 32, 64, 128)
SURE = 0.95
ORACLE, OTHER, MEAN, NOISE, MIRROR = "oracle", "another's listener", "mean face", "noise", "mirror"
TRAINED = "listener-small"
NULLS = int(os.environ.get("DIM_MEASURES_NULLS", "20"))
TARGETS = int(os.environ.get("DIM_MEASURES_TARGETS", "20000"))
"""Of R-DGG."""


def late(oracle: Motion) -> dict[str, Motion]:
    """The oracle's listener some seconds late; what falls off the end comes first."""
    return {
        f"oracle {shift:g} s late": replace(
            oracle, values=np.roll(oracle.values, round(shift * oracle.fps), axis=0)
        )
        for shift in SHIFTS_S
    }


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
    return {
        ORACLE: Oracle.fit(store),
        OTHER: Others(store, records),
        TRAINED: load_predictor(TRAINED, store, "listener", "cpu"),
        MIRROR: MirrorPredictor(),
        MEAN: MeanPredictor.fit(store, "listener"),
        NOISE: Noise(of_train.mean, of_train.std),
    }


Answers = list[tuple[Clip, dict[str, Motion]]]


def score(
    family: str, store: ClipStore, records: list[ClipRecord], answers: Answers
) -> list[dict[str, Any]]:
    """Every figure of a family: its value by method, and how often the oracle is ahead."""
    began = time.process_time()
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
            ahead = {size: leads(figure, by_name) for size, by_name in small.items()}
            rows.append(
                {
                    "family": family, "part": part, "figure": figure,
                    "values": {n: float(v[figure][0, 0]) for n, v in values.items()},
                    "intervals": {n: ends(v[figure][0]) for n, v in drawn.items()},
                    "ahead": ahead,
                }
            )  # fmt: skip
    print(f"{family}: {time.process_time() - began:.0f} s of a core", flush=True)
    return rows


def ends(drawn: np.ndarray) -> list[float | None]:
    """A 95 % interval."""
    there = drawn[np.isfinite(drawn)]
    return [None, None] if not len(there) else np.quantile(there, [0.025, 0.975]).tolist()


def leads(figure: str, values: dict[str, dict[str, np.ndarray]]) -> dict[str, float | None]:
    """The share of draws in which the oracle is ahead of each rival; a rival that has no figure
    where the oracle has one is behind."""
    worse = {name: badness(figure, each, values[TRUTH]) for name, each in values.items()}
    if not np.isfinite(worse[ORACLE]).any():
        return {}
    return {
        name: float((~(each <= worse[ORACLE])).mean())
        for name, each in worse.items()
        if name not in (TRUTH, ORACLE)
    }


def badness(figure: str, values: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> np.ndarray:
    """Smaller is better, [B]."""
    own = values[figure][0]
    if figure in TRUTH_FIGURES:
        return np.abs(own - truth[figure][0])
    if figure in NEAREST_ZERO:
        return np.abs(own)
    return -own if figure in LARGER_BETTER else own


def enough(row: dict[str, Any], names: list[str]) -> str:
    """From how many clips on the oracle is ahead of all of ``names`` in 95 % of the draws."""
    sizes = sorted(row["ahead"])
    right = [
        bool(row["ahead"][size]) and all(row["ahead"][size][name] >= SURE for name in names)
        for size in sizes
    ]
    if not right[-1]:
        return "never"
    first = len(right) - right[::-1].index(False) if False in right else 0
    return str(sizes[first])


def main() -> None:
    data = os.environ.get("DIM_DATA")
    store = open_store("synthetic", Path(data) if data else None)
    records = [*store.clips("test"), *store.clips("val"), *store.clips("train")][:CLIPS]
    methods = rivals(store, records)
    answers: Answers = []
    for record in records:
        clip = store.load(record)
        found = {name: each.predict(clip.stimulus(), SEED) for name, each in methods.items()}
        answers.append((clip, found | late(found[ORACLE])))
    print(f"{len(records)} clips answered: {time.process_time():.0f} s of a core", flush=True)
    Gain.nulls, Gain.most_targets = NULLS, TARGETS
    rows = [row for family in CHOSEN for row in score(family, store, records, answers)]
    names = [name for name in answers[0][1] if name != ORACLE]
    if OUT:
        folder = Path(OUT)
        (folder / "measures.json").write_text(
            json.dumps(
                {"clips": len(records), "seed": SEED, "draws": DRAWS, "rows": rows}, indent=1
            )
            + "\n"
        )
        (folder / "measures.csv").write_text(to_csv(rows))
    print(to_markdown(rows, names, len(records)))


def to_csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["family", "part", "figure", "method", "value", "low", "high", "oracle_ahead"])
    for row in rows:
        most = max(row["ahead"])
        for name, value in row["values"].items():
            lead = row["ahead"][most].get(name, "")
            writer.writerow(
                [
                    row["family"],
                    row["part"],
                    row["figure"],
                    name,
                    value,
                    *row["intervals"][name],
                    lead,
                ]
            )
    return out.getvalue()


def to_markdown(rows: list[dict[str, Any]], names: list[str], clips: int) -> str:
    """Per figure the share of draws, in percent, in which the oracle is ahead of each rival."""
    heads = ["measure", *names, "clips for all", "for those who do not hear"]
    deaf = [OTHER, MEAN, NOISE]
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for row in rows:
        ahead = row["ahead"][max(row["ahead"])]
        if not ahead:
            continue
        cells = []
        for name in names:
            text = f"{100 * ahead[name]:.0f}"
            cells.append(f"**{text}**" if ahead[name] < 0.5 else text)
        title = f"{TITLES.get(row['figure'], row['figure'])}, {row['part']} ({row['family']})"
        lines.append(
            "| " + " | ".join([title, *cells, enough(row, names), enough(row, deaf)]) + " |"
        )
    return "\n".join([*lines, "", f"{clips} clips, seed {SEED}, {DRAWS} draws."])


if __name__ == "__main__":
    main()
