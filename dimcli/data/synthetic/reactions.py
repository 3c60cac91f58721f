"""Two people who react to each other, and what a speaker's reactions say of the listener.

In time order: at every pause the listener nods, looks away or does neither; a speaker who looks at
the listener goes on after the nod, or waits and says it again. Smiles of either are answered by the
other. A listener for a given speaker is therefore drawn by Bayes' rule: the chances of each answer
in time order, times how likely what the speaker then did is after that answer. Answers at different
pauses, and at different smiles, do not depend on each other once the pair's style is given, and all
chances and densities are known, so this is the exact conditional distribution. (Nods begin on a
grid of 0.01 s, in time order as in the other.)

Legend: P pauses, A = G + 2 answers: nods at each of G latencies, a look away, nothing. S smiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dimcli.core.motion import Doubles, Floats
from dimcli.data.synthetic.rule import SPEAKER, ListenerRule, Pair, ReactionRule
from dimcli.data.synthetic.signals import Random, poisson_times

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]

LATENCY_GRID_S = 0.01
MOST_CERTAIN = 0.97
"""No answer is more certain than this."""
LED, SHARED, ALONE = range(3)
"""Smiles of a speaker: answers the listener's, is answered by the listener's, neither."""


@dataclass(frozen=True)
class Answers:
    """What a listener does at a speaker's pauses: times (s) of ``nods`` [N], and ``looks`` away
    [M, 2], start and length."""

    nods: Doubles
    looks: Doubles

    @classmethod
    def draw(cls, random: Random, reactions: Reactions, thinking: Flags, pauses: Floats) -> Answers:
        """At ``pauses`` [P, 2], given the speaker's reactions."""
        dyad, begins = reactions.dyad, pauses[:, 0].astype(np.float64)
        index = dyad.draw_answers(random, reactions, thinking)
        nods, away = index < len(dyad.latencies), begins[index == len(dyad.latencies)]
        away = away - random.uniform(*dyad.rule.away_lead_s, len(away))
        lengths = random.uniform(*dyad.rule.away_s, len(away))
        return cls(begins[nods] + dyad.latencies[index[nods]], np.stack([away, lengths], axis=1))


@dataclass(frozen=True)
class Dyad:
    """What two people share, and the rules they follow.

    ``liveliness``, ``warmth`` and ``tempo`` are standard normal, of the pair; ``nods`` is a factor
    on the chances of this listener's nods; ``attitude`` indexes LISTENER_ATTITUDES.
    """

    rule: ReactionRule
    listener: ListenerRule
    attitude: int
    liveliness: float
    warmth: float
    tempo: float
    nods: float

    @classmethod
    def draw(
        cls, random: Random, attitude: int, rule: ReactionRule, listener: ListenerRule
    ) -> Dyad:
        """Some pair."""
        liveliness, warmth, tempo, own = random.normal(size=4).tolist()
        nods = np.exp(listener.nods_sigma * _mixed(rule, liveliness, own))
        return cls(rule, listener, attitude, liveliness, warmth, tempo, float(nods))

    def person(self, shared: float, own: float) -> float:
        """A person's value of what the pair has ``shared``: of the same spread as both."""
        return _mixed(self.rule, shared, own)

    def log_tempo(self, sigma: float, own: float, time_s: float) -> float:
        """Log of a person's length of a beat of spread ``sigma``: ``own``, which fades as the two
        adapt, beside the pair's."""
        return self.person(
            sigma * self.tempo, own * float(np.exp(-time_s / self.rule.adaptation_s))
        )

    def posture_growth(self, times_s: Doubles) -> Doubles:
        """Factor on mimicry of posture at ``times_s`` [T]."""
        rule = self.rule
        left = np.exp(-times_s / rule.adaptation_s)
        return rule.posture_to + (rule.posture_from - rule.posture_to) * left

    @cached_property
    def latencies(self) -> Doubles:
        """From the end of speech to a nod: [G]."""
        mean, spread = self.listener.nod_latency_s
        return np.arange(self.listener.earliest_s, mean + 4.0 * spread, LATENCY_GRID_S)

    def answer_chances(self, looking: Flags, thinking: Flags) -> Doubles:
        """Chances of each answer in time order, at pauses where the speaker is ``looking`` or not,
        and ``thinking`` or not: [P, A], rows of sum 1."""
        rule, listener = self.rule, self.listener
        mean, spread = listener.nod_latency_s
        latency = np.exp(-0.5 * ((self.latencies - mean) / spread) ** 2)
        chance = np.where(thinking, listener.nod_thinking_pause, listener.nod_at_pause)
        chance = chance * np.where(looking, rule.nod_seen, rule.nod_unseen)
        chance = chance * listener.nod_attitude[self.attitude] * self.nods
        nod = np.minimum(chance, MOST_CERTAIN)[:, None]
        away = (1.0 - nod) * rule.away_at_pause * looking[:, None]
        return np.concatenate([nod * latency / latency.sum(), away, 1.0 - nod - away], axis=1)

    def draw_pauses(
        self, random: Random, thinking: Flags, silence_s: Doubles
    ) -> tuple[Indices, Reactions]:
        """In time order: the listener's answers [P] and the speaker's reactions to them.

        ``silence_s`` [P] is how long speakers pause who do not look.
        """
        rule = self.rule
        chance = np.where(thinking, rule.look_thinking, rule.look_at_pause)
        looking = random.random(len(thinking)) < chance
        answers = choose(random, self.answer_chances(looking, thinking))
        least, medians, sigmas, repairs = (row[answers] for row in self._after_answers)
        waits = least + medians * np.exp(sigmas * random.normal(size=len(answers)))
        again = np.where(looking, repairs, rule.repair_unseen)
        return answers, Reactions(
            dyad=self,
            looking=looking,
            lasts_s=np.where(looking, waits, silence_s),
            repaired=random.random(len(answers)) < again,
            looks_away=np.zeros((0, 2)),
            own_smiles=1.0,
        )

    @cached_property
    def _after_answers(self) -> Doubles:
        """What a speaker who looks does after each answer: the least length of the pause, median
        and sigma of the log-normal that it lasts longer, chance of a repair: [4, A]."""
        rule, count = self.rule, len(self.latencies)
        least = np.append(np.maximum(self.latencies, 0.0), [0.0, 0.0]) + rule.pause_shortest_s
        waits = [rule.pause_after_nod_s_lognormal] * count
        waits += [rule.pause_away_s_lognormal, rule.pause_unanswered_s_lognormal]
        nod, *others = rule.repair
        return np.stack([least, *np.transpose(waits), [nod] * count + others])

    def answer_weights(self, reactions: Reactions, thinking: Flags) -> Doubles:
        """As :meth:`answer_chances`, given what the speaker did; rows of any sum: [P, A]."""
        looking = reactions.looking
        least, medians, sigmas, repairs = self._after_answers
        likely = _lognormal_density(reactions.lasts_s[:, None] - least, medians, sigmas)
        likely = likely * np.where(reactions.repaired[:, None], repairs, 1.0 - repairs)
        chances = self.answer_chances(looking, thinking)
        return chances * np.where(looking[:, None], likely, 1.0)

    def draw_answers(self, random: Random, reactions: Reactions, thinking: Flags) -> Indices:
        """The listener's answers given the speaker's reactions to them: [P]."""
        return choose(random, self.answer_weights(reactions, thinking))

    def listener_smiles_a_minute(self) -> float:
        """Smiles that the listener begins."""
        return self.rule.listener_smiles_a_minute * SPEAKER.smiles_by_attitude[self.attitude]

    def draw_smiles(
        self, random: Random, duration_s: float, own_a_minute: float, peak: Pair
    ) -> tuple[Floats, float]:
        """The speaker's smiles [S, 3] as in SpeakerEvents, and the share of their rate that is the
        speaker's own; the others answer the listener's.

        Smiles that answer those of a Poisson process, each with a chance of its own and late by
        independent times, are a Poisson process too, independent of those not answered; so is the
        sum of both kinds, in which each is of either with the chance of its share of the rate.
        """
        own = own_a_minute * float(np.exp(self.rule.warm_smiles * self.warmth))
        led = self.listener_smiles_a_minute() * self.rule.listener_smile_answered
        share = own / max(own + led, 1e-9)
        at = poisson_times(random, duration_s, own + led)
        kinds = choose(random, np.tile(self._smile_chances(share), (len(at), 1)))
        medians, sigmas = self._smile_lengths[:, kinds]
        lengths = medians * np.exp(sigmas * random.normal(size=len(at)))
        smiles = np.stack([at, lengths, random.uniform(*peak, len(at))], axis=1)
        return smiles.astype(np.float32), share

    def draw_smile_kinds(self, random: Random, smiles: Floats, own_share: float) -> Indices:
        """LED, SHARED or ALONE for each of the speaker's ``smiles`` [S, 3], given their lengths."""
        medians, sigmas = self._smile_lengths
        likely = _lognormal_density(smiles[:, 1:2].astype(np.float64), medians, sigmas)
        return choose(random, likely * self._smile_chances(own_share))

    def _smile_chances(self, own_share: float) -> Doubles:
        copied = self.listener.smile_mimicry_chance[self.attitude]
        return np.array([1.0 - own_share, own_share * copied, own_share * (1.0 - copied)])

    @cached_property
    def _smile_lengths(self) -> Doubles:
        """Median and sigma of the log-normal length of each kind: [2, 3]."""
        shared = self.rule.shared_smile_s_lognormal
        return np.transpose([shared, shared, self.rule.lone_smile_s_lognormal])


@dataclass(frozen=True)
class Reactions:
    """What a speaker does who reacts to a listener, beside what every speaker does.

    ``looking`` bool [P], at the listener as the pause begins; ``lasts_s`` [P], pauses to their end,
    which may lie past the conversation's; ``repaired`` bool [P], what follows says it again;
    ``looks_away`` [L, 2], start and length; ``own_smiles``, the share of the rate of smiles that
    answer nobody.
    """

    dyad: Dyad
    looking: Flags
    lasts_s: Doubles
    repaired: Flags
    looks_away: Doubles
    own_smiles: float

    def says_again(self, pauses: Floats, times: Floats) -> Flags:
        """Whether each of ``times`` [K] lies in a phrase that says it again: bool [K]."""
        before_any = np.append(self.repaired, False)
        return before_any[np.searchsorted(pauses[:, 1], times, side="right") - 1]

    def looks_away_at(self, times: Floats) -> Flags:
        """Whether the speaker looks away at each of ``times`` [K]: bool [K]."""
        start, length = self.looks_away.T[:, :, None]
        return np.any((start <= times) & (times < start + length), axis=0)


def draw_looks(random: Random, reactions: Reactions, pauses: Floats, duration_s: float) -> Doubles:
    """The speaker's looks away over ``pauses`` [P, 2], in order: [L, 2] start and length.

    They begin with phrases and end before them where the speaker looks at the pause, else with it.
    """
    rule, count = reactions.dyad.rule, len(pauses) + 1
    looking = np.append(reactions.looking, True)
    away = (random.random(count) < rule.look_away_at_start) | ~looking
    begins = np.append(0.0, pauses[:, 1]) + random.uniform(*rule.look_away_start_s, count)
    back = np.append(pauses[:, 0], duration_s) - random.uniform(*rule.look_back_s, count)
    # over before the next one can begin
    over = np.append(pauses[:, 1] + rule.look_away_start_s[0], duration_s)
    length = np.where(looking, back, over) - begins
    kept = away & (length >= rule.look_away_shortest_s)
    return np.stack([begins, length], axis=1)[kept]


def _mixed(rule: ReactionRule, shared: float, own: float) -> float:
    return float(
        np.sqrt(rule.pair_correlation) * shared + np.sqrt(1.0 - rule.pair_correlation) * own
    )


def choose(random: Random, weights: Doubles) -> Indices:
    """A column of each row of ``weights`` [N, A], with chances in their proportion: [N]."""
    summed = np.cumsum(weights, axis=1)
    return np.sum(summed < random.random((len(weights), 1)) * summed[:, -1:], axis=1)


def _lognormal_density(values: Doubles, medians: Doubles, sigmas: Doubles) -> Doubles:
    """Of log-normals given as median and sigma of the log, 0 where a value is not positive."""
    safe = np.maximum(values, 1e-9)
    density = np.exp(-0.5 * (np.log(safe / medians) / sigmas) ** 2) / (safe * sigmas)
    return np.where(values > 0.0, density, 0.0)
