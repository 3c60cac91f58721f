"""What the figures of a training are, in words: for who watches one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dimcli.data.clip import ROLES

MEANINGS = {
    "loss": "by this the best weights are chosen",
    "total": "all that a step minimises; loss is a part of it",
    "code": "how unexpected the true motion codes are, in nats",
    "mouth_code": "the same for the codes of the mouth",
    "motion": "error of the motion, squared, in units of its variance, with its changes",
    "anchor": "the same error where the true codes are made into motion",
    "error": "squared error of the motion, in units of its variance",
    "lips": "squared error of the gap between the lips, against how much it varies in speech",
    "contrastive": "how badly the two people of a conversation are told from others, in nats",
    "perplexity": "how many motion codes are in use; larger is better",
    "accuracy": "share of motion codes that are right; larger is better",
    "features": "squared error of what becomes the codes",
    "crossed": "squared error of the mouth without the true lower face, and of the rest without "
    "the speech",
}


def explained(names: Iterable[str]) -> Iterator[str]:
    """Lines that say what the figures ``names`` are; a method's own without an entry in
    :data:`MEANINGS` are left out."""
    known = [name for name in in_order(names) if _word(name) in MEANINGS]
    if known:
        yield "figures of the validation split, smaller is better unless it says otherwise:"
    for name in known:
        yield f"  {name}: {MEANINGS[_word(name)]}"


def in_order(names: Iterable[str]) -> list[str]:
    """``names`` of figures as people are shown them: as in :data:`MEANINGS`, then the others."""
    order = list(MEANINGS)
    return sorted(
        names, key=lambda n: (order.index(_word(n)) if _word(n) in MEANINGS else len(order), n)
    )


def _word(name: str) -> str:
    """What a figure of a role is of."""
    role, _, word = name.partition("_")
    return word if role in ROLES else name
