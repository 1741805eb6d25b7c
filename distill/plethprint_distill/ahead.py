"""Batches drawn ahead, beside an accelerator that would otherwise wait for them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from plethprint_distill.teacher_batch import BatchSource, TeacherBatch

__all__ = ["AheadSource"]


class AheadSource:
    """Draws the next steps' batches in threads while a step is computed.

    A batch is a function of its step, so that what is drawn ahead is what would have been
    drawn. On a CPU it brings nothing: drawing and training would share the cores.
    """

    def __init__(self, source: BatchSource, steps: int = 2) -> None:
        self.source, self.steps = source, steps
        self.centre, self.spread = source.centre, source.spread
        self._threads = ThreadPoolExecutor(steps, thread_name_prefix="draw")
        self._drawn: dict[tuple[int, int, int], Future[TeacherBatch]] = {}

    def draw(self, step: int, rank: int = 0, world: int = 1) -> TeacherBatch:
        """As the source; the steps after it are begun."""
        wanted = [(step + later, rank, world) for later in range(self.steps + 1)]
        # After a jump to another step nothing that was drawn for the old ones is kept.
        self._drawn = {key: self._drawn[key] for key in wanted if key in self._drawn}
        for key in wanted:
            if key not in self._drawn:
                self._drawn[key] = self._threads.submit(self.source.draw, *key)
        return self._drawn.pop(wanted[0]).result()
