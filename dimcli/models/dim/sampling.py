"""Mask-predict sampling of one window's codes, of a listener or of a speaker.

A window is filled in a few passes: each draws real samples for steps that lie evenly between those
already known, then shows them to the next. (Keeping the surest codes first, as is often done,
starves a face of what is rare and brief: blinks and nods.)

Axes: N steps of the window, P parts, K codes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from dimcli.core.errors import InputError
from dimcli.data.clip import ATTITUDES
from dimcli.models.dim.config import DIMRun
from dimcli.models.dim.dim import DIM, OTHER, Dyad


def draw(
    logits: Tensor, temperature: float, generator: torch.Generator, *, top_p: float = 1.0
) -> Tensor:
    """Codes [...] drawn from ``logits`` [..., K]; the likeliest at temperature 0.

    With ``top_p`` below 1, out of the likeliest that together have that probability (nucleus
    sampling, arXiv 1904.09751).
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1)
    if top_p < 1:
        ranked, order = probabilities.sort(dim=-1, descending=True)
        before = F.pad(ranked.cumsum(dim=-1)[..., :-1], (1, 0))
        kept = ranked * (before < top_p)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, kept)
    flat = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return flat.view(logits.shape[:-1])


def draw_step(
    model: DIM, role: str, logits: Tensor, temperature: float, generator: torch.Generator
) -> Tensor:
    """Codes [..., P] of ``role`` drawn from ``logits`` [..., P, K] at ``temperature``, those of
    some parts at their own (``generation.nod_temperature``, ``turn_temperature``, ...)."""
    settings = model.config.generation
    by_part = torch.tensor(
        [getattr(settings, f"{name}_temperature", 1.0) for name in model.vqvae(role).columns]
    )
    return draw(logits.cpu() / by_part[:, None], temperature, generator)


@dataclass(frozen=True)
class Sampling:
    """How a clip is sampled: ``temperature``, passes (``steps``) a window, and the steps of codes
    of a ``window`` and of its ``overlap`` with the next."""

    temperature: float
    steps: int
    window: int
    overlap: int

    @classmethod
    def of(cls, config: DIMRun, temperature: float | None, steps: int | None) -> Sampling:
        """What is None is as the run has it. Raises InputError for what can't be."""
        settings, fps, stride = config.generation, config.data.fps, config.vq.stride
        temperature = settings.temperature if temperature is None else temperature
        steps = settings.steps if steps is None else steps
        if temperature < 0:
            raise InputError(f"temperature is {temperature}; expected 0 or more")
        if steps < 1:
            raise InputError(f"steps is {steps}; expected 1 or more")
        window = max(2, round(settings.window_s * fps) // stride)
        overlap = min(window - 1, round(settings.overlap_s * fps) // stride)
        return cls(temperature, steps, window, overlap)


UNKNOWN = ATTITUDES.index("unknown")


def fill_order(count: int, passes: int, generator: torch.Generator) -> list[Tensor]:
    """Which of ``count`` unknown steps each pass fills: long tensors that cover 0..count-1 once.

    Every pass takes steps spread evenly between those of the passes before it, and about twice as
    many: neighbours are then hardly ever drawn without knowing of each other.
    """
    bits = max(1, (count - 1).bit_length())
    spread = [int(f"{index:0{bits}b}"[::-1], 2) for index in range(2**bits)]
    offset = int(torch.randint(count, (1,), generator=generator))
    order = torch.tensor([(index + offset) % count for index in spread if index < count])
    ends = {max(1, round(count / 2**halvings)) for halvings in range(passes)}
    while len(ends) < min(passes, count):  # more passes than halvings: split the largest
        bounds = [0, *sorted(ends)]
        low, high = max(itertools.pairwise(bounds), key=lambda pair: pair[1] - pair[0])
        ends.add((low + high) // 2)
    return [order[low:high] for low, high in itertools.pairwise([0, *sorted(ends)])]


@torch.inference_mode()
def sample_codes(
    model: DIM,
    dyad: Dyad,
    known: Tensor,
    temperature: float,
    *,
    steps: int,
    generator: torch.Generator,
    role: str = "listener",
) -> Tensor:
    """Codes of ``role`` long [N, P] for a window; its first are ``known`` long [M, P], M < N."""
    if model.previous is not None:
        return _one_by_one(model, dyad, known, temperature, generator, role)
    predictor = CodePredictor(model, dyad, role)
    codes = dyad.codes[role][0].clone()
    size, prefix = len(codes), len(known)
    visible = torch.zeros(size, dtype=torch.bool, device=codes.device)
    if prefix:
        codes[:prefix] = known
        visible[:prefix] = True
    for chosen in fill_order(size - prefix, steps, generator):
        places = (chosen + prefix).to(codes.device)
        logits = predictor.logits(codes, visible, places)
        drawn = draw_step(model, role, logits, temperature, generator)
        codes[places] = drawn.to(codes.device)
        visible[places] = True
    return codes


def _one_by_one(
    model: DIM,
    dyad: Dyad,
    known: Tensor,
    temperature: float,
    generator: torch.Generator,
    role: str,
) -> Tensor:
    """Codes of an autoregressive decoder: each drawn given those before it, which the decoder alone
    is shown, as in its fine-tuning. It works on each step once, the rest of the model once in all.
    """
    successive = Successive(model, dyad, role)
    codes = dyad.codes[role][0].clone()
    codes[: len(known)] = before = known.to(codes.device)
    for index in range(len(known), len(codes)):
        drawn = draw_step(model, role, successive.logits(before), temperature, generator)
        codes[index] = drawn.to(codes.device)
        before = codes[index : index + 1]
    return codes


@dataclass(frozen=True)
class View:
    """One of the answers of the decoder that are mixed into a step's logits: its ``weight``, and
    whether the ``attitude`` and the ``history``, the codes before a step, were told."""

    weight: float
    attitude: bool = True
    history: bool = True

    def of(self, dyad: Dyad, role: str) -> Dyad:
        """``dyad`` with what this view knows of it."""
        if not self.attitude:
            dyad = replace(dyad, attitude=torch.full_like(dyad.attitude, UNKNOWN))
        if not self.history:
            nothing = torch.ones_like(dyad.codes[role][..., 0], dtype=torch.bool)
            dyad = replace(dyad, forgotten=nothing)
        return dyad


def views(model: DIM, dyad: Dyad) -> list[View]:
    """What is mixed, for ``dyad``; the weights add up to 1.

    With guidance g, a logit l becomes u + g (l - u), where u is the logit of an unknown attitude:
    classifier-free guidance (arXiv 2207.12598), for models trained with ``attitude_dropout``. With
    ``generation.history_weight`` w, it becomes h + w (l - h), where h is that without the history.
    """
    settings = model.config.generation
    guidance, weight = settings.attitude_guidance, settings.history_weight
    mixed = [View(1.0)]
    if guidance != 1 and bool((dyad.attitude != UNKNOWN).any()):
        mixed = [View(guidance), View(1 - guidance, attitude=False)]
    if model.previous is not None and weight < 1:
        parts = ((weight, True), (1 - weight, False))
        mixed = [
            View(one.weight * share, one.attitude, history)
            for one in mixed
            for share, history in parts
        ]
    return mixed


class Successive:
    """What an autoregressive model expects of one role in a window, step after step: the mixture of
    :func:`views`, each a row."""

    def __init__(self, model: DIM, dyad: Dyad, role: str = "listener") -> None:
        self.model, self.role = model, role
        predictor = CodePredictor(model, dyad, role)
        nothing = torch.zeros_like(predictor.seen)
        own = model.encode_role(role, dyad, nothing)
        other = predictor.other
        joint = model.join(
            {other: predictor.partner, role: own}, {other: predictor.seen, role: nothing}
        )
        rows = [
            model.decoder_inputs(role, joint, view.of(dyad, role), nothing)
            for view in predictor.views
        ]
        self.inputs = torch.cat(rows)
        by_row = [(view.weight, float(view.history)) for view in predictor.views]
        self.weights, self.history = self.inputs.new_tensor(by_row).T[..., None, None]
        self.memory = model.decoder.memory(self.inputs, self.inputs.shape[1])
        self.at = 0

    def logits(self, before: Tensor) -> Tensor:
        """Logits [P, K] of the next step, given the codes ``before`` it that were not given yet,
        long [M, P]: of any number of steps in the first call, then of one."""
        model = self.model
        shown = model.after(self.role, before[None]) * self.history
        if self.at == 0 and model.start is not None:
            shown = torch.cat([model.start.expand(len(shown), 1, -1), shown], dim=1)
        end = self.at + shown.shape[1]
        features = self.inputs[:, self.at : end] + shown
        features = model.decoder.step(features, self.memory, self.at)[:, -1:]
        self.at = end
        return (self.weights * model.scores(self.role, features).float()[:, 0]).sum(dim=0)


class CodePredictor:
    """What a model expects of one role in a window, given which of its codes are known so far: the
    mixture of :func:`views`.

    A listener's speaker is seen; nothing of a speaker's listener is.
    """

    def __init__(self, model: DIM, dyad: Dyad, role: str = "listener") -> None:
        self.model = model
        self.dyad = dyad
        self.role, self.other = role, OTHER[role]
        self.views = views(model, dyad)
        self.seen = model.partner_seen(role, dyad)
        self.partner = model.encode_role(self.other, dyad, self.seen)

    def logits(self, codes: Tensor, visible: Tensor, steps: Tensor) -> Tensor:
        """Logits [M, P, K] of ``steps`` long [M], from ``codes`` long [N, P] where ``visible`` bool
        [N]."""
        return self.logits_and_residual(codes, visible, steps)[0]

    def logits_and_residual(
        self, codes: Tensor, visible: Tensor, steps: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """:meth:`logits`, and what is added to an expected mouth ([M * stride, C] or None)."""
        model = self.model
        codes, visible = codes[None], visible[None]
        if model.previous is not None:  # the decoder alone is shown the codes before a step
            visible = torch.zeros_like(visible)
        role, other = self.role, self.other
        current = replace(
            self.dyad,
            motion={**self.dyad.motion, role: self._own_motion(codes, visible)},
            codes={**self.dyad.codes, role: codes},
        )
        own = model.encode_role(role, current, visible)
        joint = model.join({other: self.partner, role: own}, {other: self.seen, role: visible})
        decoded = [
            model.decoded(role, joint, view.of(current, role), visible, steps)
            for view in self.views
        ]
        mixed = [
            view.weight * model.scores(role, features).float()[0]
            for view, features in zip(self.views, decoded, strict=True)
        ]
        logits = torch.stack(mixed).sum(dim=0)
        residual = model.mouth_residual(decoded[0]) if role == "speaker" else None
        return logits, None if residual is None else residual.float()[0]

    def _own_motion(self, codes: Tensor, visible: Tensor) -> Tensor:
        """What the role's encoder reads when it reads motion: the visible codes, decoded."""
        model, role = self.model, self.role
        if model.inputs[role] == "codes" or not visible.any():
            return self.dyad.motion[role]
        vq = model.vqvae(role)
        # Steps that are not visible are never read; the decoder just needs something there.
        decoded = vq.decode(vq.vectors(codes), visible)
        return model.standardise_motion(vq.unstandardise(decoded), role)
