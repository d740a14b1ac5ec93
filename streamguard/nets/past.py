"""What a network remembers of the crops before, while it runs: how one code sees a whole clip, or the next crop only.

Shapes: N faces, L crops each. Inside a network crops lie one after the other, (N L, C, h, w), face by face; so all that
looks at single crops is plain 2-D, and whatever looks back asks the Past.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class Past:
    """One run's memory. Each layer that looks back takes its share of the state in turn, and leaves what it keeps.

    Without a state nothing was before: zeros. A slot that was cleared holds the same zeros.
    """

    def __init__(self, age: Tensor, state: Sequence[Tensor] | None = None) -> None:
        """`age` (N, L) int64: how many crops each face was given before each of these."""
        self.age = age
        self.length = age.shape[1]
        self.kept: list[Tensor] = []
        """The state after this run, once it is through."""
        self._given = None if state is None else list(state)
        self._younger = {than: (age < than).flatten()[:, None, None, None] for than in (1, 2)}  # (N L, 1, 1, 1)

    @classmethod
    def of_clips(cls, crops: Tensor) -> Past:
        """Nothing before crops (N, L, ...)."""
        return cls(torch.arange(crops.shape[1], device=crops.device)[None].expand(crops.shape[0], -1))

    def one_back(self, x: Tensor) -> Tensor:
        """x (N L, ...) as it was one crop earlier; takes and keeps one tensor (N, ...)."""
        steps = x.unflatten(0, (-1, self.length))  # (N, L, ...)
        # A copy: x may be what was given, and who gives a state may write the next one in its place.
        self.kept.append(steps[:, -1].clone())
        if self._given is None:
            return _shifted(steps, 1).flatten(0, 1)
        last = self._take()  # (N, ...)
        if self.length == 1:  # nothing to put together
            return last
        return torch.cat([last[:, None], steps[:, :-1]], dim=1).flatten(0, 1)

    def one_ahead(self, x: Tensor) -> Tensor:
        """x (N L, ...) as it will be one crop later, zeros after the last: for networks that see whole clips only."""
        return _shifted(x.unflatten(0, (-1, self.length)), -1).flatten(0, 1)

    def with_recent(self, x: Tensor, count: int) -> Tensor:
        """x (N L, K) after the `count` crops before: (N, count + L, K); takes and keeps one tensor (N, count, K)."""
        steps = x.unflatten(0, (-1, self.length))  # (N, L, K)
        before = steps.new_zeros(steps.shape[0], count, steps.shape[2]) if self._given is None else self._take()
        steps = torch.cat([before, steps], dim=1)
        self.kept.append(steps[:, steps.shape[1] - count :])
        return steps

    def check_used_up(self) -> None:
        """ValueError if the state had more tensors than the network's layers took: it was another network's."""
        if self._given:
            raise ValueError(f"the state has {len(self._given)} tensors more than this network keeps")

    def _take(self) -> Tensor:
        assert self._given is not None
        if not self._given:
            raise ValueError("the state has fewer tensors than this network keeps")
        return self._given.pop(0)

    def since(self, x: Tensor, age: int) -> Tensor:
        """x (N L, C, h, w), and zeros where a face is younger than `age`, 1 or 2 crops."""
        return x.masked_fill(self._younger[age], 0)


def _shifted(steps: Tensor, by: int) -> Tensor:
    """(N, L, ...) one later (1) or one earlier (-1), with zeros in the place that is free."""
    rest = (0, 0) * (steps.dim() - 2)
    return functional.pad(steps[:, :-1], (*rest, 1, 0)) if by == 1 else functional.pad(steps[:, 1:], (*rest, 0, 1))
