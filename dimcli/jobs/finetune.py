"""Fine-tuning a listener on one's own data, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dimcli.core.errors import InputError
from dimcli.core.progress import Progress, silent
from dimcli.data.folds import Folds
from dimcli.data.store import ClipStore, speakers_note
from dimcli.evaluation.behaviour import MOVEMENT_FIGURES, movements
from dimcli.evaluation.protocols import evaluate
from dimcli.evaluation.score_table import gain
from dimcli.evaluation.scores import TRUTH
from dimcli.models.answers import load_folded, load_predictor
from dimcli.models.names import ADAPT
from dimcli.training import methods, stages
from dimcli.training.loop import TrainingResult
from dimcli.training.stages import StageOptions


@dataclass(frozen=True)
class FineTuned:
    """How the training ended, and what to tell of the result, in words."""

    training: TrainingResult
    remarks: tuple[str, ...] = ()


def finetune(
    data: Path,
    run: Path,
    init: Path,
    task: str,
    options: StageOptions,
    folds: int = 0,
    progress: Progress = silent,
) -> FineTuned:
    """Fine-tune ``init`` into ``run`` (:func:`dimcli.training.stages.finetune`), in ``folds`` where
    there are any. A listener that was adapted is compared with the one it began as, on clips that
    neither learnt from. Raises InputError."""
    if folds:
        result, *others = methods.finetune_folds(data, run, init, task, options, folds)
    else:
        result, others = stages.finetune(data, run, init, task, options), []
    remarks: tuple[str, ...] = ()
    if same := sum(other.unchanged for other in others):
        remarks += (f"of the models of {folds} folds {same} are {init} as it was",)
    if options.preset == ADAPT and task == "listener" and result.step:
        remarks += _compared(data, run, init, options.device, folds, progress)
    return FineTuned(result, remarks)


def _compared(
    data: Path, run: Path, init: Path, device: str, folds: int, progress: Progress
) -> tuple[str, ...]:
    store, names = ClipStore(data), {run.name: run, init.name: init}
    note = speakers_note(store)
    if len(names) < 2:
        names = {"fine-tuned": run, "before": init}
    try:
        if folds:
            drawn = Folds.read(run, store)
            note = f"{drawn.claim(store)} {note}".strip()
            store = ClipStore(data, dict.fromkeys(drawn.of, "test"))
            tuned = load_folded(run, store, drawn, device=device)
        else:
            tuned = load_predictor(run, store, device=device)
        before = load_predictor(init, store, device=device)
        ours, theirs = names
        predictors = {ours: tuned, theirs: before}
        evaluation = evaluate(store, "test", predictors, bootstrap=0, progress=progress)
    except InputError as error:  # an empty test split, clips too short to be judged
        return (f"not compared with {init}: {error}",)
    lines = [gain(evaluation, ours, theirs), *filter(None, [note])]
    if store.info.space == "arkit":
        lines.append(
            f"How they move, means over {evaluation.clips} clips of {evaluation.minutes:.1f} "
            "minutes in all:"
        )
        moved = {row.name: row.mean for row in movements(store, "test", predictors, seed=0)}
        for index, (figure, digits) in enumerate(MOVEMENT_FIGURES.items()):
            new, old, true = (round(moved[one][index], digits) for one in (ours, theirs, TRUTH))
            far, was = abs(new - true), abs(old - true)
            than = "nearer" if far < was else "farther" if far > was else "as near"
            lines.append(
                f"  {figure}: {new:.{digits}f}, {than}; {theirs} {old:.{digits}f}; "
                f"the true listener {true:.{digits}f}"
            )
    return tuple(lines)
