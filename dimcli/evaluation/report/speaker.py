"""The HTML report of an evaluation of speakers: tables, what they mean, and the facts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from dimcli._version import __version__
from dimcli.evaluation.report.page import Section, page
from dimcli.evaluation.report.tables import table_html
from dimcli.evaluation.score_table import ScoreTable
from dimcli.evaluation.scores import Evaluation

DEFINITIONS = {
    "LVE": "Lip vertex error: in each frame the distance of the lip vertex that is farthest off; "
    "mean over frames, then clips. In metres on the heads, in the scans' own unit on scans.",
    "LVE released": "As the released code of FaceFormer, CodeTalker and DIM computes it: the "
    "squared distance, mean over all frames of all clips. Comparable with nothing but itself.",
    "FDD": "Upper-face dynamics deviation: how much the standard deviation over time of a vertex's "
    "displacement differs from the truth's, mean over vertices; its size, mean over clips.",
    "FDD released": "The released code's: of squared displacements, and with its sign, so that "
    "clips cancel. Above zero: less lively than the truth.",
    "closure hits": "Share of the p, b and m at which the lips are closed within one frame.",
    "lip corr.": "Pearson correlation of the lips' opening with the truth's, at the best lag "
    "within two frames, mean over clips.",
    "offset ms": "Size of the lag at which both openings go together best, within 0.4 s.",
    "shift ms": "The same with its sign: above zero the lips are late.",
}


def speaker_report(
    evaluation: Evaluation,
    scores: ScoreTable,
    differences: ScoreTable | None,
    *,
    weights: Mapping[str, str],
    command: str = "",
) -> str:
    """The page. ``weights`` says of each method what it is and where from."""
    made_by = ", ".join(f"{key} {value}" for key, value in evaluation.made_by.items())
    facts = {
        "data": f"{evaluation.dataset}, {evaluation.split} split ({made_by})",
        "rate and space": f"{evaluation.fps:g} frames a second, {evaluation.space}",
        "seed": str(evaluation.seed),
        **{f"method {name}": what for name, what in weights.items()},
        "dim": __version__,
        "command": command,
    }
    meanings, listed = (
        "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>"
            for name, words in pairs.items()
            if words
        )
        for pairs in (DEFINITIONS, facts)
    )
    sections = [Section("scores", "Scores", table_html(scores))]
    if differences is not None:
        sections.append(Section("differences", differences.title, table_html(differences)))
    sections.append(
        Section(
            "method",
            "How this was measured",
            "<p>Every method heard the speech and saw nothing of the motion. The head's rotation "
            "is left out of vertex errors.</p>"
            f"<h3>Figures</h3><dl>{meanings}</dl><h3>Facts</h3><dl>{listed}</dl>",
        )
    )
    lead = (
        f"<b>{len(evaluation.methods)} methods</b> on the {escape(evaluation.split)} split: "
        f"<b>{evaluation.clips} clips</b>, {evaluation.minutes:.1f} minutes of speech."
    )
    return page(f"Speakers on {evaluation.dataset}", lead, sections)
