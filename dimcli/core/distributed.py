"""A batch cut into equal shares: over processes, as ``torchrun`` starts them, and over time.

Every process holds the whole model and an equal share of each batch's rows, which it may compute in
several parts, one after the other (gradient accumulation, :func:`in_parts`). Random draws are made
for the whole batch and cut, sums are taken over all shares, so that any number of processes and of
parts computes what one would. With one of each everything here does nothing.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor

from dimcli.core.errors import InputError

Result = TypeVar("Result")
_meetings = itertools.count()


def active() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if active() else 0


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if active() else 1


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Meet the other processes that ``torchrun`` started (it sets RANK and WORLD_SIZE), if any."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or active():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # a place of its own for each meeting: one that finds what the last one left there may fail
    store, number, count = next(dist.rendezvous("env://"))
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=dist.PrefixStore(f"dim-{next(_meetings)}", store),
        rank=number,
        world_size=count,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def on_first(work: Callable[[], Result]) -> Result:
    """What ``work`` gives, done by the first process only and handed to all.

    An InputError that it raises is raised in every process.
    """
    if not active():
        return work()
    outcome: list[object] = [None, None]
    if rank() == 0:
        try:
            outcome[0] = work()
        except InputError as error:
            outcome[1] = str(error)
    dist.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise InputError(str(outcome[1]))
    return outcome[0]  # type: ignore[return-value]


@dataclass
class Part:
    """Where the computation of a process's rows in ``count`` parts is.

    What a part needs to know of the others (:func:`total`, :func:`gather_batch`) is found out in a
    first pass over all of them without gradients, in which ``learns`` is false. So a loss whose
    terms compare all rows of a batch, as equation 5 does, is that of the whole batch: GradCache
    (Gao and others, arXiv 2101.06983), for any objective.
    """

    count: int
    index: int = 0
    learns: bool = False
    _call: int = 0
    _given: list[list[Tensor]] = field(default_factory=list)
    _whole: dict[int, list[Tensor]] = field(default_factory=dict)
    _waiting: dict[int, list[Tensor]] = field(default_factory=dict)

    @property
    def last(self) -> bool:
        """Whether this is the last that the step computes."""
        return self.learns and self.index == self.count - 1

    def rows(self, rows: int) -> slice:
        """Which of the process's ``rows`` are this part's."""
        share = rows // self.count
        return slice(self.index * share, (self.index + 1) * share)

    def go_to(self, index: int, learns: bool) -> None:
        """Begin with part ``index``."""
        self.index, self.learns, self._call = index, learns, 0

    def of_all(self, own: Tensor, join: Callable[[list[Tensor]], list[Tensor]]) -> list[Tensor]:
        """What all parts give in this call; ``join`` adds the other processes' once a step. In the
        first pass ``own`` stands for all of them."""
        call, self._call = self._call, self._call + 1
        if not self.learns:
            if self.index == 0:
                self._given.append([])
            self._given[call].append(own.detach())
            return join([own.detach()] * self.count)
        if call not in self._whole:
            self._whole[call] = join(self._given[call])
        return self._whole[call]

    def kept(self, rows: Tensor) -> list[Tensor]:
        """What the parts until now gave in this call."""
        call, self._call = self._call, self._call + 1
        if not self.learns:
            self._given.append([])
            return []
        self._waiting.setdefault(call, []).append(rows)
        return self._waiting[call]


_WHOLE = Part(count=1, learns=True)
_part: ContextVar[Part] = ContextVar("part", default=_WHOLE)


def part() -> Part:
    """The part of the process's rows that is computed now."""
    return _part.get()


def in_parts(count: int) -> Iterator[Part]:
    """The passes of one step that is computed in ``count`` parts: each part once without and then
    once with gradients; of one part, only the latter. Nothing that is drawn or learnt may change
    between the passes; what a step changes waits for the ``last`` (:func:`once_a_step`)."""
    now = Part(count, learns=True)
    passes = (False, True) if count > 1 else (True,)
    before = _part.set(now)
    try:
        for learns in passes:
            for index in range(count):
                now.go_to(index, learns)
                yield now
    finally:
        _part.reset(before)


def shares() -> int:
    """How many shares a batch is computed in: parts of all processes."""
    return processes() * part().count


def _share() -> int:
    """Number of the share that is computed now, from 0, in the order of the batch's rows."""
    return rank() * part().count + part().index


def process_rows(rows: int) -> slice:
    """Which of a whole batch's ``rows`` are this process's."""
    share = rows // processes()
    return slice(rank() * share, (rank() + 1) * share)


def require_equal_shares(rows: int, parts: int) -> None:
    """Raise InputError unless the processes can share a batch of ``rows`` equally, and each of them
    its rows among ``parts``."""
    if rows % (processes() * parts):
        wanted = " x ".join(
            [f"{processes()} processes"] * (processes() > 1)
            + [f"training.accumulation {parts}"] * (parts > 1)
        )
        raise InputError(f"training.batch_size is {rows}; expected a multiple of {wanted}")


def require_one_part(what: str) -> None:
    """Raise InputError where ``what`` is computed in parts and cannot be."""
    if part().count > 1:
        raise InputError(
            f"training.accumulation is {part().count}: {what} compares rows of a whole batch; "
            "expected 1"
        )


def total(count: Tensor) -> Tensor:
    """The sum of ``count`` over all shares; no gradient passes."""
    if part().count > 1:
        return part().of_all(count, lambda given: [_all_reduced(torch.stack(given).sum(dim=0))])[0]
    return _all_reduced(count)


def _all_reduced(count: Tensor) -> Tensor:
    if not active():
        return count
    summed = count.detach().clone()
    dist.all_reduce(summed)
    return summed


def mean_figures(figures: dict[str, Tensor]) -> dict[str, float]:
    """Figures averaged over all processes, as numbers: here the device is waited for."""
    if not figures:
        return {}
    values = torch.stack([value.detach().double() for value in figures.values()])
    if active():
        dist.all_reduce(values)
        values = values / processes()
    return dict(zip(figures, values.tolist(), strict=True))


def gather_batch(rows: Tensor) -> Tensor:
    """All shares' ``rows`` [B, ...] as one batch, in order; gradients flow back to each.

    Of a batch in parts, what is computed from it must be the same in every share.
    """
    now = part()
    if now.count == 1:
        return torch.cat(differentiable.all_gather(rows)) if active() else rows
    given = list(now.of_all(rows, _all_gathered))
    if now.learns:  # the mean over the shares is taken later
        given[_share()] = rows.detach() + shares() * (rows - rows.detach())
    return torch.cat(given)


def _all_gathered(given: list[Tensor]) -> list[Tensor]:
    """Every process's ``given`` tensors, in order."""
    if not active():
        return given
    own = torch.stack(given)
    gathered = [torch.empty_like(own) for _ in range(processes())]
    dist.all_gather(gathered, own)
    return [each for of_process in gathered for each in of_process]


def once_a_step(change: Callable[[Tensor], object], rows: Tensor) -> None:
    """Call ``change`` with ``rows`` [M, D] of this process: of all its parts, when the last one is
    computed."""
    if part().count == 1:
        change(rows)
        return
    given = part().kept(rows)
    if part().last:
        change(torch.cat(given))


def gather_unequal(rows: Tensor) -> Tensor:
    """All processes' ``rows`` [M, D], M differing among them, one after another; no gradient."""
    if not active():
        return rows
    rows = rows.detach()
    sizes = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(processes())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    lengths = [int(size) for size in sizes]
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: len(rows)] = rows
    gathered = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(gathered, padded)
    return torch.cat([part[:length] for part, length in zip(gathered, lengths, strict=True)])


def uniform(rows: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers in 0..1, [rows, ...], for this share's ``rows`` of a batch."""
    return torch.rand((rows * shares(), *shape), generator=generator)[_own(rows)]


def normal(rows: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Normal numbers [rows, ...] for this share's ``rows`` of a batch."""
    return torch.randn((rows * shares(), *shape), generator=generator)[_own(rows)]


def spread_rows(rows: int, share: float) -> Tensor:
    """Indices of an evenly spread ``share`` of a batch (one row at least) among ``rows`` of it."""
    number = torch.arange(rows) + _share() * rows
    whole = rows * shares()
    count = max(1, round(share * whole))
    return torch.nonzero((number + 1) * count // whole > number * count // whole)[:, 0]


def _own(rows: int) -> slice:
    return slice(_share() * rows, (_share() + 1) * rows)
