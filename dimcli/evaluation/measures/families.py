"""The families of measures by name: what ``dim eval --measures`` adds to the paper's figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dimcli.data.clip import ClipRecord
from dimcli.data.store import ClipStore
from dimcli.evaluation.measures.dualtalk import DualTalk
from dimcli.evaluation.measures.events import Behaving
from dimcli.evaluation.measures.family import Family
from dimcli.evaluation.measures.listening import Listening
from dimcli.evaluation.measures.reaction import Reaction
from dimcli.evaluation.measures.timing import Timing
from dimcli.evaluation.measures.unils import UniLS

FAMILIES: dict[str, Callable[[ClipStore, Sequence[ClipRecord]], Family]] = {
    "listening": Listening,
    "timing": Timing,
    "reaction": Reaction,
    "dualtalk": DualTalk,
    "unils": UniLS,
    "behaviour": Behaving,
}
"""By what ``--measures`` calls them."""
