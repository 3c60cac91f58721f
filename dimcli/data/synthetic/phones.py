"""Phones: their times in Praat's TextGrid files, and what lips and jaw aim at for each of them.

TextGrids are those of the Montreal Forced Aligner: one interval tier named ``phones`` (or
``<speaker> - phones``) is read, in the long or the short text form; intervals with an empty text,
``sil``, ``sp``, ``spn`` or ``<eps>`` are silence.

The targets, for IPA or ARPABET, are in the manner of Cohen and Massaro (1993), "Modeling
coarticulation in synthetic visual speech": each phone has a target for each of a few controls of
the face and a dominance that says how much it insists on it. Openings follow vowel height, rounding
and spreading the vowel's backness and lips as the IPA describes them. Tracked lips stay about as
far apart through the unrounded sounds of a phrase and dip where they round or close, and so do
these. Which consonants have a visible place of their own (bilabial, labiodental, rounded,
postalveolar) follows the viseme groups of Fisher (1968), "Confusions among visually perceived
consonants". The sizes are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dimcli.core import limits
from dimcli.core.documents import read_bytes
from dimcli.core.errors import InputError
from dimcli.core.motion import Floats

SILENT = ("", "sil", "sp", "spn", "<eps>", "pau", "h#")
"""Texts of intervals without speech."""

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<![\w\[])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w\]])')


@dataclass(frozen=True)
class Phone:
    """One phone: its symbol (IPA or ARPABET as found, ``""`` in silence) from ``start`` to ``end``
    in seconds.
    """

    symbol: str
    start: float
    end: float


def read_textgrid(path: Path) -> list[Phone]:
    """The phones in a TextGrid, in order. Raises InputError that names the file."""
    raw = read_bytes(path, "TextGrid", limits.TABLE_BYTES)
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a TextGrid (neither UTF-8 nor UTF-16)") from None
    if '"TextGrid"' not in text[:200]:
        raise InputError(
            f"{path}: not a TextGrid; expected what the Montreal Forced Aligner writes"
        )
    tiers = _tiers(path, text)
    found = [name for name in tiers if name == "phones" or name.endswith(" - phones")]
    if len(found) != 1:
        names = ", ".join(tiers) or "no interval tier"
        raise InputError(f"{path}: has {names}; expected one tier named 'phones'")
    phones = tiers[found[0]]
    at = 0.0
    for phone in phones:
        if phone.end <= phone.start or phone.start < at - 1e-3:
            raise InputError(
                f"{path}: the phone at {phone.start:g} s has no length or overlaps the one before"
            )
        at = phone.end
    if not phones:
        raise InputError(f"{path}: its tier 'phones' is empty")
    return phones


def _tiers(path: Path, text: str) -> dict[str, list[Phone]]:
    """Interval tiers by name. Both text forms are the same strings and numbers in the same order;
    what the long form adds (``xmin =``, ``intervals [3]:``) is no string and no bare number.
    """
    tokens = [
        (match.group(1).replace('""', '"'), None)
        if match.group(2) is None
        else ("", float(match.group(2)))
        for match in _TOKEN.finditer(text)
    ]
    at = 0

    def word() -> str:
        nonlocal at
        text, number = tokens[at]
        if number is not None:
            raise ValueError
        at += 1
        return text

    def number() -> float:
        nonlocal at
        value = tokens[at][1]
        if value is None:
            raise ValueError
        at += 1
        return value

    tiers: dict[str, list[Phone]] = {}
    try:
        word(), word(), number(), number()
        for _ in range(int(number())):
            kind, name = word(), word()
            number(), number()
            points = [_point(word, number, kind) for _ in range(int(number()))]
            if kind == "IntervalTier":
                tiers[name] = [point for point in points if point is not None]
    except (IndexError, ValueError, OverflowError):
        raise InputError(f"{path}: damaged TextGrid; expected Praat's text form") from None
    return tiers


def _point(word, number, kind: str) -> Phone | None:  # type: ignore[no-untyped-def]
    if kind != "IntervalTier":
        number(), word()
        return None
    start, end = number(), number()
    symbol = word().strip()
    return Phone("" if symbol.lower() in SILENT else symbol, start, end)


CONTROLS = ("jaw", "lips", "round", "funnel", "spread", "seal", "tuck")
"""Controls in 0..1: ``jaw`` opening; ``lips`` drawn apart beyond the jaw; ``round`` narrow and
protruded (u, w); ``funnel`` protruded and open (ʃ, ɔ); ``spread`` corners drawn back (i); ``seal``
lips pressed together (p b m); ``tuck`` lower lip to the upper teeth (f v)."""
OPENING, SHAPE = (0, 1), (2, 3, 4)
SEAL, TUCK = CONTROLS.index("seal"), CONTROLS.index("tuck")


@dataclass(frozen=True)
class Target:
    """What one phone wants: a value for each of CONTROLS, and how much it insists on the opening
    (jaw, lips) and on the shape (round, funnel, spread).
    """

    values: tuple[float, ...]
    opening: float
    shape: float
    vowel: bool = False


def _vowel(
    jaw: float, lips: float, round_: float, funnel: float, spread: float, weight: float = 1.0
) -> Target:
    return Target((jaw, lips, round_, funnel, spread, 0.0, 0.0), weight, weight, vowel=True)


def _consonant(
    jaw: float,
    lips: float,
    opening: float,
    shape: float,
    shapes: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    seal: float = 0.0,
    tuck: float = 0.0,
) -> Target:
    return Target((jaw, lips, *shapes, seal, tuck), opening, shape)


_BILABIAL = _consonant(0.08, 0.0, 1.0, 0.25, seal=1.0)
_LABIODENTAL = _consonant(0.15, 0.2, 1.0, 0.5, tuck=1.0)
_ROUNDED_GLIDE = _consonant(0.13, 0.0, 1.2, 1.6, (1.0, 0.1, 0.0))
_POSTALVEOLAR = _consonant(0.12, 0.45, 0.9, 1.1, (0.25, 0.7, 0.0))
_RHOTIC = _consonant(0.22, 0.25, 0.7, 0.6, (0.4, 0.25, 0.0))
_SIBILANT = _consonant(0.25, 0.8, 0.8, 0.5, (0.0, 0.0, 0.4))
_DENTAL = _consonant(0.32, 0.65, 0.6, 0.3, (0.0, 0.0, 0.1))
_ALVEOLAR = _consonant(0.3, 0.65, 0.5, 0.15, (0.0, 0.0, 0.15))
_LATERAL = _consonant(0.4, 0.6, 0.4, 0.15)
_VELAR = _consonant(0.38, 0.55, 0.3, 0.1)
_PALATAL = _consonant(0.28, 0.7, 0.5, 0.7, (0.0, 0.0, 0.6))
_GLOTTAL = _consonant(0.38, 0.55, 0.1, 0.05)

_GROUPS: tuple[tuple[str, Target], ...] = (
    ("pbmɓʙ", _BILABIAL),
    ("fvɱʋ", _LABIODENTAL),
    ("wʍɥβɸ", _ROUNDED_GLIDE),
    ("ʃʒɕʑ", _POSTALVEOLAR),
    ("ɹrɻɚɝ", _RHOTIC),
    ("sz", _SIBILANT),
    ("θð", _DENTAL),
    ("tdnɾɖʈɳɗ", _ALVEOLAR),
    ("lɫɭɬɮɺ", _LATERAL),
    ("kɡgŋxɣqɢχʁɴ", _VELAR),
    ("jɲçʝcɟʎ", _PALATAL),
    ("hɦʔħʕ", _GLOTTAL),
    ("a", _vowel(0.8, 0.8, 0.0, 0.0, 0.15)),
    ("æ", _vowel(0.72, 0.85, 0.0, 0.0, 0.4)),
    ("ɑ", _vowel(0.78, 0.6, 0.0, 0.1, 0.0)),
    ("ɒ", _vowel(0.55, 0.45, 0.1, 0.35, 0.0)),
    ("ʌɐ", _vowel(0.55, 0.6, 0.0, 0.0, 0.1, 0.9)),
    ("ɔ", _vowel(0.4, 0.3, 0.35, 0.45, 0.0)),
    ("oɤ", _vowel(0.3, 0.2, 0.65, 0.3, 0.0)),
    ("ʊɵ", _vowel(0.26, 0.2, 0.55, 0.2, 0.0, 0.8)),
    ("uɯʉ", _vowel(0.18, 0.05, 0.9, 0.12, 0.0)),
    ("ɜɞ", _vowel(0.38, 0.4, 0.25, 0.25, 0.0, 0.8)),
    ("əɘ", _vowel(0.4, 0.55, 0.05, 0.05, 0.05, 0.45)),
    ("ɪᵻɨ", _vowel(0.36, 0.65, 0.0, 0.0, 0.45, 0.7)),
    ("i", _vowel(0.28, 0.8, 0.0, 0.0, 0.9)),
    ("e", _vowel(0.42, 0.75, 0.0, 0.0, 0.65)),
    ("ɛ", _vowel(0.52, 0.7, 0.0, 0.0, 0.4)),
    ("yʏ", _vowel(0.2, 0.1, 0.9, 0.1, 0.0)),
    ("øœɶ", _vowel(0.4, 0.3, 0.6, 0.2, 0.0)),
)
REST = Target((0.0,) * len(CONTROLS), 1.0, 1.0)
"""Silence: the mouth goes back to rest."""

_ARPABET = (
    "AA=ɑ AE=æ AH=ʌ AO=ɔ AW=aʊ AX=ə AXR=əɹ AY=aɪ EH=ɛ ER=ɜɹ EY=eɪ IH=ɪ IX=ɨ IY=i OW=oʊ OY=ɔɪ "
    "UH=ʊ UW=u UX=ʉ B=b CH=tʃ D=d DH=ð DX=ɾ EL=əl EM=m EN=ən F=f G=ɡ HH=h JH=dʒ K=k L=l M=m "
    "N=n NG=ŋ P=p Q=ʔ R=ɹ S=s SH=ʃ T=t TH=θ V=v W=w WH=ʍ Y=j Z=z ZH=ʒ"
)
_IGNORED = "ˈˌːˑʰʲʷˠˤ̪̩̯̃̚͜͡|.'ˀ˞̥̬ʼ̝̞̟̠0123456789"
"""Marks that change neither lips nor jaw enough to be drawn."""


@cache
def targets() -> dict[str, Target]:
    """The target of every letter of the IPA that is known."""
    return {letter: target for letters, target in _GROUPS for letter in letters}


@cache
def _arpabet() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in _ARPABET.split())


@cache
def letters_of(symbol: str) -> tuple[str, ...]:
    """IPA letters of a phone's symbol, one of several for diphthongs and affricates.

    ``symbol`` is IPA with or without stress and length (``ˈaɪ``), or ARPABET with or without stress
    (``AY1``); ``()`` for silence. Raises InputError for a symbol without any known letter.
    """
    if not symbol:
        return ()
    bare = symbol.strip().rstrip("0123456789")
    text = _arpabet().get(bare, symbol)
    found = tuple(letter for letter in text if letter in targets())
    if not found and any(letter not in _IGNORED for letter in text):
        raise InputError(f"phone '{symbol}' is unknown; expected IPA or ARPABET")
    return found


def is_stressed(symbol: str) -> float:
    """How stressed a symbol says its phone is: 1 primary, 0.5 secondary, 0 none or not said."""
    if "ˈ" in symbol or symbol.endswith("1"):
        return 1.0
    return 0.5 if "ˌ" in symbol or symbol.endswith("2") else 0.0


@dataclass(frozen=True)
class Segments:
    """Phones as the mouth makes them, S in order: silence, or one letter of the IPA each.

    ``start``, ``end`` [S] seconds; ``letters``; ``stress`` [S] 0..1, a consonant's is its
    following vowel's.
    """

    start: Floats
    end: Floats
    letters: tuple[str, ...]
    stress: Floats

    def __len__(self) -> int:
        return len(self.letters)

    def mask(self, control: int) -> NDArray[np.bool_]:
        """Which segments have control ``control`` as their own: seal or tuck. Bool [S]."""
        known = targets()
        return np.array(
            [bool(letter) and known[letter].values[control] > 0.5 for letter in self.letters], bool
        )

    @property
    def silent(self) -> NDArray[np.bool_]:
        """Which segments are silence: bool [S]."""
        return np.array([not letter for letter in self.letters], bool)


FIRST_PART = 0.5
"""Share of the first letter in a phone of two (diphthongs, affricates)."""


def segments_of(phones: Sequence[Phone], duration_s: float) -> Segments:
    """Phones in order as :class:`Segments` that cover 0 to ``duration_s`` without gaps."""
    rows: list[tuple[float, float, str, float]] = []
    at = 0.0
    for phone in phones:
        letters = letters_of(phone.symbol)
        start, end = max(phone.start, at), min(phone.end, duration_s)
        if end <= start:
            continue
        if start - at > 1e-3:
            rows.append((at, start, "", 0.0))
        edges = np.linspace(start, end, max(len(letters), 1) + 1)
        if len(letters) == 2:
            edges[1] = start + FIRST_PART * (end - start)
        stress = is_stressed(phone.symbol)
        rows += [
            (float(edges[index]), float(edges[index + 1]), letter, stress)
            for index, letter in enumerate(letters or ("",))
        ]
        at = end
    if duration_s - at > 1e-3:
        rows.append((at, duration_s, "", 0.0))
    merged: list[tuple[float, float, str, float]] = []
    for row in rows:
        if merged and not row[2] and not merged[-1][2]:
            merged[-1] = (merged[-1][0], row[1], "", 0.0)
        else:
            merged.append(row)
    known = targets()
    stresses = [row[3] for row in merged]
    for index in range(len(merged) - 2, -1, -1):
        letter, following = merged[index][2], merged[index + 1][2]
        if letter and following and not known[letter].vowel:
            stresses[index] = max(stresses[index], stresses[index + 1])
    return Segments(
        start=np.array([row[0] for row in merged], np.float32),
        end=np.array([row[1] for row in merged], np.float32),
        letters=tuple(row[2] for row in merged),
        stress=np.array(stresses, np.float32),
    )
