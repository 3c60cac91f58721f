"""Training on several processes, as ``torchrun`` starts them: who we are and what we share.

Every process holds the whole model and an equal share of each batch's rows. Random draws are made
for the whole batch and cut, sums are taken over all processes, so that any number of processes
computes what one would. In a single process everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor

from dimcli.core.errors import InputError

Result = TypeVar("Result")


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
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
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


def own_rows(rows: int) -> slice:
    """Which of a whole batch's ``rows`` are this process's."""
    share = rows // processes()
    return slice(rank() * share, (rank() + 1) * share)


def require_equal_shares(rows: int) -> None:
    """Raise InputError unless the processes can share a batch of ``rows`` equally."""
    if rows % processes():
        raise InputError(
            f"training.batch_size is {rows}; {processes()} processes need a multiple of it"
        )


def total(count: Tensor) -> Tensor:
    """The sum of ``count`` over all processes; no gradient passes."""
    if not active():
        return count
    summed = count.detach().clone()
    dist.all_reduce(summed)
    return summed


def mean_figures(figures: dict[str, Tensor]) -> dict[str, float]:
    """Figures averaged over all processes, as numbers."""
    if not active():
        return {name: float(value.detach()) for name, value in figures.items()}
    values = torch.stack([value.detach().double() for value in figures.values()])
    dist.all_reduce(values)
    return dict(zip(figures, (values / processes()).tolist(), strict=True))


def gather_batch(rows: Tensor) -> Tensor:
    """All processes' ``rows`` [B, ...] as one batch, in order; gradients flow back to each."""
    return torch.cat(differentiable.all_gather(rows)) if active() else rows


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
    """Uniform numbers in 0..1, [rows, ...], for this process's ``rows`` of a batch."""
    return torch.rand((rows * processes(), *shape), generator=generator)[_own(rows)]


def normal(rows: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Normal numbers [rows, ...] for this process's ``rows`` of a batch."""
    return torch.randn((rows * processes(), *shape), generator=generator)[_own(rows)]


def spread_rows(rows: int, share: float) -> Tensor:
    """Indices of an evenly spread ``share`` of a batch (one row at least) among ``rows`` of it."""
    number = torch.arange(rows) + rank() * rows
    whole = rows * processes()
    count = max(1, round(share * whole))
    return torch.nonzero((number + 1) * count // whole > number * count // whole)[:, 0]


def _own(rows: int) -> slice:
    return slice(rank() * rows, (rank() + 1) * rows)
