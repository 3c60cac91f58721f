"""Sentences of our own for :mod:`examples.recipes.build_speech`: a small grammar over chosen words.

The words are chosen for what lips do: bilabials, labiodentals, rounded vowels and glides, spread
vowels and clusters all come often, next to each other in many orders. What they say is of no
weight, yet they scan as English, so that a synthesiser gives them natural stress and rhythm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

Random = np.random.Generator

WORDS: dict[str, str] = {
    "someone": "my brother|the farmer|our new boss|Bob|Paula|a few people|the old woman|"
    "everybody|your father|the whole family|Moira|Victor|the bus driver|her best friend|"
    "nobody|the baby|Joe|Phoebe|the workmen|five of us|the shopkeeper|Sue|both of them|"
    "the judge|Hugh|my neighbours|the group|William|some of the children|the boy in blue",
    "did": "bought|moved|found|followed|forgot|put away|watched|borrowed|pushed|left|brought|"
    "washed|fixed|broke|wanted|remembered|threw out|dropped|lifted|picked up|grew|chose|"
    "wrapped|measured|sold|opened|painted|shook|drew|proved|loved|mixed|chewed|used",
    "do": "buy|move|find|follow|put away|watch|borrow|push|leave|bring|wash|fix|break|want|"
    "remember|throw out|drop|lift|pick up|choose|wrap|measure|sell|open|paint|shake|draw|use",
    "adj": "big|blue|small|heavy|broken|full|warm|cheap|brown|beautiful|wooden|empty|purple|"
    "smooth|wet|fresh|white|very old|quiet|huge|thick|yellow|fragile|round|soft|brave|short|"
    "simple|weird|perfect|clumsy|shiny|thin|normal",
    "thing": "map|boat|shoe|bottle|book|vase|window|apple|umbrella|piano|fish|mushroom|pepper|"
    "movie|shovel|cup of tea|bag of flour|orange|watch|problem|photograph|lamp|oven|blanket|"
    "package|wheel|bowl|tooth|garden|van|fork|jacket|cheese|message|fence|globe|sweater|egg|"
    "poem|machine|treasure|voice|room|flower|puzzle|song|church|bridge|leather purse",
    "where": "above the oven|before the movie|in the garden|by the river|behind the shop|"
    "after breakfast|on Wednesday|under the bridge|from the village|at half past four|"
    "over there|for a while|near the museum|with both hands|every evening|in February|"
    "between the houses|without me|on the roof|for the first time|through the fog|upstairs|"
    "in the middle of the room|before we arrived|this afternoon|at the zoo|across the field",
    "why": "because it was raining|although the food was awful|so we went home|but I doubt it|"
    "and that made me smile|when the phone rang|if you know what I mean|which was obvious|"
    "and then we had to move|but everybody laughed|because of the weather|as far as I remember|"
    "until the batteries failed|and it worked|but he would not give up|whatever that involves|"
    "even though they were full|since you ask me|while the coffee was boiling",
    "filler": "um|well|you know|I mean|oh|hmm|so|right|OK|actually|uh|yeah|look|maybe",
    "name": "Bob|Paula|Moira|Victor|Joe|Phoebe|William|Sue|Hugh|Emma|Pam|Thomas|Abby|Ruth",
    "feel": "wonderful|terrible|about the same|much better|a bit odd|impossible|very funny|"
    "too expensive|worth it|unbelievable|pretty obvious|hopeless|far away|beyond me|awful",
    "number": "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty two|"
    "thirty five|forty|fifty six|ninety nine|a hundred|two thousand and five",
    "food": "peaches|ham|beef|plums|mushrooms|brown bread|vanilla|olives|apples|fish|wine|soup|"
    "butter|jam|waffles|eggs|juice|pumpkin|coffee|yoghurt|beans|figs|cheese",
}
"""Choices of each slot, between bars."""

PATTERNS = (
    "{someone} {did} the {adj} {thing} {where}.",
    "{someone} {did} a {thing}, {why}.",
    "{filler}, {someone} {did} the {thing} {where}, {why}.",
    "Did {someone} {do} the {adj} {thing} {where}?",
    "What would {someone} {do} {where}?",
    "Why would you {do} a {adj} {thing}, {name}?",
    "We need {food}, {food}, {food} and {food}.",
    "I think it was {feel}, {filler}, {feel}.",
    "{filler}. That is {feel}.",
    "{someone} should {do} {number} {adj} things {where}, {why}.",
    "You can {do} the {thing}, or you can {do} the {thing}.",
    "No, {name}, {someone} never {did} my {thing}!",
    "{number}, {number}, {number}, {number}.",
    "{where}, {someone} {did} it, {filler}, {why}.",
    "If {someone} {did} the {thing}, {someone} would {do} the {adj} {thing}.",
    "It was {feel}. {someone} {did} {number} of them {where}.",
    "How {adj} was the {thing} that {someone} {did}?",
    "Please {do} the {thing}, {name}. It looks {feel}.",
    "Both the {thing} and the {thing} were {adj}, {why}.",
    "{filler}, who {did} the {adj} {thing}?",
    "I always {do} a {thing} {where}, {filler}, {why}.",
    "My {thing} is {adj}. Your {thing} is {adj}. {name} has a {thing}, too.",
)
"""Sentences with slots; commas and full stops are where the speaker may pause."""


@dataclass(frozen=True)
class Clause:
    """A stretch of speech without a pause: its text with the closing mark, and the pause after."""

    text: str
    pause_s: float


def draw_sentence(random: Random) -> str:
    """One sentence or a few short ones."""
    pattern = str(random.choice(PATTERNS))

    def fill(slot: re.Match[str]) -> str:
        return str(random.choice(WORDS[slot.group(1)].split("|")))

    text = re.sub(r"\{(\w+)\}", fill, pattern)
    return re.sub(r"(^|[.?!] )(\w)", lambda start: start.group(1) + start.group(2).upper(), text)


def draw_passage(random: Random, sentences: int) -> list[Clause]:
    """Sentences cut into clauses, with pauses: between sentences 0.3-1.5 s, at a comma none or
    0.2-0.8 s. The text of a clause ends with its mark (``,``, ``.``, ``?``, ``!``).
    """
    clauses: list[Clause] = []
    for _ in range(sentences):
        held = ""
        for piece in re.findall(r"[^,.?!]+[,.?!]", draw_sentence(random)):
            held = f"{held} {piece.strip()}".strip()
            if piece.endswith(","):
                # most commas only bend the melody; at the others the speaker stops
                if random.random() < 0.6:
                    continue
                pause = random.uniform(0.2, 0.8)
            else:
                pause = (
                    random.uniform(0.3, 1.0) if random.random() < 0.7 else random.uniform(1, 1.5)
                )
            clauses.append(Clause(held, float(pause)))
            held = ""
    return clauses
