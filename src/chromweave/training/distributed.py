"""What several processes that train one model tell one another. With one process, everything is itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "any_of_us",
    "first_of_us",
    "from_first",
    "gathered",
    "joined",
    "largest",
    "rank",
    "summed",
    "wait_for_all",
    "world",
]

T = TypeVar("T")


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Number of this process among those that train together, from 0."""
    return dist.get_rank() if _together() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if _together() else 1


class _Gather(torch.autograd.Function):
    """Rows of all processes. A row's gradient is the sum of what every process's loss asks of it."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        context.rows = len(own)
        parts = [torch.empty_like(own) for _ in range(world())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        start = rank() * context.rows
        return gradient[start : start + context.rows]


def gathered(own: Tensor) -> Tensor:
    """The rows of `own` of all processes, first those of process 0; each must have as many.

    Gradients flow back to where a row comes from, summed over the processes: the mean over processes of the
    gradients of their losses, which DDP takes, is then the gradient of the mean of their losses.
    """
    return _Gather.apply(own) if _together() else own  # type: ignore[no-untyped-call]


def _device() -> torch.device:
    """Where tensors must be for the processes to exchange them."""
    if "nccl" in str(dist.get_backend()):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def summed(values: Mapping[str, float]) -> dict[str, float]:
    """Sum over processes of each value, in double precision; all must have the same names."""
    if not _together():
        return dict(values)
    numbers = torch.tensor(list(values.values()), dtype=torch.float64, device=_device())
    dist.all_reduce(numbers)
    return dict(zip(values, numbers.tolist(), strict=True))


def largest(value: int) -> int:
    """The largest of the values of all processes."""
    if not _together():
        return value
    box = torch.tensor([value], dtype=torch.int64, device=_device())
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return int(box.item())


def any_of_us(condition: bool) -> bool:
    """Whether the condition holds in any process; every process gets the same answer."""
    return largest(int(condition)) > 0


def first_of_us(word: str | None) -> str | None:
    """What the first process that has something to say says; every process gets the same answer."""
    if not any_of_us(word is not None) or not _together():
        return word
    words: list[str | None] = [None] * world()
    dist.all_gather_object(words, word)
    return next(word for word in words if word is not None)


def joined(own: T) -> list[T] | None:
    """The objects of all processes, in process 0; None in the others."""
    if not _together():
        return [own]
    everything: list[T] | None = [own] * world() if rank() == 0 else None
    dist.gather_object(own, everything)
    return everything


def from_first(value: T) -> T:
    """What process 0 has, in every process."""
    if not _together():
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def wait_for_all() -> None:
    """Return when every process has come here."""
    any_of_us(False)


def average_gradient(parameter: Tensor) -> None:
    """Mean over processes of the gradient of a parameter that each of them holds."""
    if _together() and parameter.grad is not None:
        dist.all_reduce(parameter.grad)
        parameter.grad /= world()
