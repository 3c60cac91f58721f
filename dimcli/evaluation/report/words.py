"""What a report says in words: the protocol, what the figures mean, what must not be compared."""

from __future__ import annotations

from dimcli.evaluation import official
from dimcli.evaluation.metrics import CLUSTERS, MAX_FRAMES
from dimcli.evaluation.scores import Evaluation

DEFINITIONS: dict[str, str] = {
    "FD": "Fréchet distance between Gaussians fitted to the frames of a predicted and of the true "
    "clip, mean over clips. How far the movement is from the true one's distribution.",
    "P-FD": "The same with the speaker's motion beside the listener's in every frame. How far the "
    "pair moves together as the true pair does.",
    "MSE": "Mean squared difference, frame by frame. It rewards standing still at the mean: a real "
    "listener who nods a second later scores worse than one who does nothing.",
    "SID": "Entropy in bits of which of "
    f"{CLUSTERS['expression']} (expression) or {CLUSTERS['pose']} (pose) clusters of true frames a "
    f"clip visits, mean over clips; clusters by k-means on at most {MAX_FRAMES:,} true frames.",
    "Var": "Variance over time of each coefficient, mean over coefficients and clips.",
    "rPCC": "Gap between the true and the predicted correlation with the speaker, each one Pearson "
    "correlation over all numbers of all clips.",
    "SID pooled, Var pooled": "The same over the numbers of all clips together, as the released "
    "code computes them. The published tables hold these.",
    "rPCC over time": "The gap of the correlation over time of each coefficient with the "
    "speaker's, mean over coefficients, then clips.",
    "STS": "Root of the summed squared differences between true and predicted frame steps.",
}


def protocol_words(evaluation: Evaluation) -> list[str]:
    """How predictions were made and scored, in sentences."""
    sight = (
        "Every method saw the speaker's motion and sound and, where the corpus has it, the "
        "attitude asked of the listener. None saw any of the true listener's motion."
    )
    if evaluation.protocol == "official":
        return [
            sight,
            f"Official protocol: {evaluation.samples} draws a clip, of which the one nearest to "
            "the true listener was kept, by Fréchet distance on all 56 coefficients. Figures are "
            "computed as the released code does. There are no intervals, as there are none there.",
        ]
    of = "clips" if evaluation.unit == "clip" else "whole conversations"
    draws = (
        "One prediction a clip, none chosen."
        if evaluation.samples == 1
        else f"{evaluation.samples} predictions a clip, none chosen: figures are their means, and "
        "± is their standard deviation."
    )
    doubt = (
        f"Intervals are 95 % percentile intervals of a bootstrap: {evaluation.resamples} times, as "
        f"many {of} as there are were drawn with replacement, the same for every method, so that "
        "differences are paired. They hold the chance of which "
        f"{of} were at hand, not that of training once more."
        if evaluation.resamples
        else "There are no intervals."
    )
    return [sight, f"{draws} Definitions follow the paper's supplement A.", doubt]


def warnings(evaluation: Evaluation) -> list[str]:
    """What the figures cannot be compared with, and why."""
    if evaluation.protocol == "official":
        return list(official.NOT_COMPARABLE)
    found = [
        "The paper's published numbers come from its released code, which keeps the best of ten "
        "draws by the true listener and pools SID and Var over clips. They cannot be set beside "
        "these; `--protocol official` reproduces that code's figures.",
    ]
    if evaluation.space == "arkit":
        found.append(
            "Motion here is ARKit blendshapes; the paper's is FLAME expression coefficients. "
            "Distances in the two spaces have different units: only orderings can be compared."
        )
    if evaluation.made_by.get("prepare") == "synthetic":
        found.append(
            "The corpus is synthetic: its listeners follow a written-down rule. What ranks high "
            "here has learnt that rule; real listeners are another matter."
        )
    return found
