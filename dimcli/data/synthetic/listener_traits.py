"""What is one synthetic listener's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dimcli.data.synthetic.reactions import Dyad
from dimcli.data.synthetic.rule import ListenerRule
from dimcli.data.synthetic.signals import Random


@dataclass(frozen=True)
class Traits:
    """What is one listener's own: factors on how much they nod, blink and move the head, how much
    more they smile than others (a weight of mouthSmile), and the log of how slowly they nod."""

    nods: float = 1.0
    blinks: float = 1.0
    head: float = 1.0
    smile: float = 0.0
    tempo: float = 0.0


def draw_traits(random: Random, rule: ListenerRule, dyad: Dyad | None = None) -> Traits:
    """Somebody, or somebody of a pair."""
    sigmas = rule.nods_sigma, rule.blinks_sigma, rule.head_sigma
    logs = random.normal(0.0, sigmas)
    smile = float(random.normal(0.0, rule.smile_sigma))
    tempo = 0.0
    if dyad:
        logs[0] = np.log(dyad.nods)
        logs[2] = dyad.person(rule.head_sigma * dyad.liveliness, logs[2])
        smile = dyad.person(rule.smile_sigma * dyad.warmth, smile)
        tempo = random.normal(0.0, dyad.rule.listener_tempo_sigma)
    nods, blinks, head = np.exp(logs).tolist()
    return Traits(nods, blinks, head, smile, tempo)
