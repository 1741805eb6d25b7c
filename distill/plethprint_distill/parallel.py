"""The teacher's step on many devices and in micro-batches, with the losses of one batch.

The losses compare every window of the *global* batch with every other. So fingerprints
and token errors are gathered over the ranks, with gradients, and each rank computes the
same losses of the whole batch. Backwards, gathering adds up what every rank's copy of the
loss says of a rank's windows (W times their gradient), and the mean over W ranks that DDP
and FSDP take makes the gradient of the global loss of it, exactly.

Micro-batches would shrink the contrast's batch. They do not, after GradCache (Gao et al.
2021): a first pass without graphs gives the fingerprints of the whole batch; then each
micro-batch takes its turn with its graph, among the kept fingerprints of the others. It
costs one more forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from plethprint_distill.objective import (
    Learned,
    Masks,
    PerWindow,
    compare,
    look,
)
from plethprint_distill.physiology import TARGETS
from plethprint_distill.pretrain_config import PretrainConfig
from plethprint_distill.teacher import M2AE
from plethprint_distill.teacher_batch import TeacherBatch

__all__ = ["Objective", "gathered", "micro_batches"]

Gather = Callable[[torch.Tensor], torch.Tensor]
"""(n, ...) of this rank -> (W n, ...) of all ranks, with gradients."""


class Objective(nn.Module):
    """The teacher and what its loss learns along, as one module for Fabric to wrap."""

    def __init__(self, teacher: M2AE, config: PretrainConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        scale = np.log(1.0 / (config.temperature or 0.1))
        self.log_scale = nn.Parameter(torch.tensor(scale, dtype=torch.float32))
        self.log_scale.requires_grad_(config.temperature == 0.0)
        self.log_variance = nn.Parameter(torch.zeros(len(TARGETS)))
        self.gather: Gather | None = None
        """Set where there is more than one rank."""

    @property
    def learned(self) -> Learned:
        """The parameters of the loss alone."""
        return Learned(self.log_scale, self.log_variance)

    def forward(
        self,
        windows: PerWindow,
        kept: list[PerWindow] | None = None,
        place: int = 0,
        only_look: bool = False,
    ) -> PerWindow:
        """Losses of the whole batch by name, of which `windows` are this rank's share.

        Parameters
        ----------
        windows
            The fields of a `TeacherBatch` that are there; ``shown`` and ``hidden`` in a
            masked step.
        kept
            What `only_look` gave of every micro-batch, where there is more than one.
        place
            Which of them `windows` are; the last one's losses teach the read-outs.
        only_look
            Give what `look` gives, of all ranks, in place of losses.
        """
        given = {k: v for k, v in windows.items() if k not in ("shown", "hidden")}
        fields: dict[str, Any] = {
            **dict.fromkeys(TeacherBatch.__dataclass_fields__),
            **given,
        }
        batch = TeacherBatch(**fields)
        masks: Masks = None
        if "shown" in windows:
            masks = windows["shown"], windows["hidden"]
        seen = look(self.teacher, batch, masks)
        if self.gather is not None:
            seen = gathered(seen, self.gather)
        if only_look:
            return seen
        last = True
        learned = self.learned
        if kept is not None:
            seen = _joined([*kept[:place], seen, *kept[place + 1 :]])
            last = place == len(kept) - 1
            if not last:
                learned = Learned(self.log_scale.detach(), self.log_variance.detach())
        return compare(self.teacher, seen, self.config, learned, read_outs_learn=last)


def gathered(seen: PerWindow, gather: Gather) -> PerWindow:
    """The same of all ranks, in the order of the ranks: one exchange for each type."""
    found: PerWindow = {}
    for whole_numbers in (False, True):
        names = [k for k, v in seen.items() if v.is_floating_point() != whole_numbers]
        columns = [seen[k].reshape(len(seen[k]), -1) for k in names]
        rows = gather(torch.cat(columns, dim=1))
        widths = [c.shape[1] for c in columns]
        for name, column in zip(names, torch.split(rows, widths, dim=1), strict=True):
            found[name] = column.reshape(-1, *seen[name].shape[1:])
    return {k: found[k] for k in seen}


def micro_batches(batch: TeacherBatch, masks: Masks, count: int) -> Iterator[PerWindow]:
    """A rank's batch in `count` parts of equal size, as `Objective` takes them."""
    size = len(batch) // count
    fields = {k: v for k, v in vars(batch).items() if v is not None}
    if masks is not None:
        fields["shown"], fields["hidden"] = (m.to(batch.targets.device) for m in masks)
    for first in range(0, len(batch), size):
        yield {k: v[first : first + size] for k, v in fields.items()}


def _joined(parts: list[PerWindow]) -> PerWindow:
    return {k: torch.cat([part[k] for part in parts]) for k in parts[0]}
