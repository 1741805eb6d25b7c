"""Spans of sample indices, and how much of a window they take."""

from __future__ import annotations

from collections import deque

__all__ = ["IndexSpans"]

_MOST = 1 << 14  # spans that are kept: many more than a window of frames


class IndexSpans:
    """Spans in the order of their indices; windows, too, only go forwards.

    Examples
    --------
    >>> spans = IndexSpans()
    >>> spans.add(10, 20)
    >>> spans.add(20, 30)
    >>> spans.share(0.0, 100.0), spans.share(25.0, 125.0)
    (0.2, 0.05)
    """

    def __init__(self) -> None:
        self._spans: deque[tuple[int, int]] = deque(maxlen=_MOST)

    def add(self, first: int, stop: int) -> None:
        """Take the span from `first` to before `stop`, behind all others."""
        if self._spans and self._spans[-1][1] == first:
            first, _ = self._spans.pop()
        self._spans.append((first, stop))

    def share(self, first: float, stop: float) -> float:
        """Share, 0..1, of a window; what lies before it is forgotten."""
        while self._spans and self._spans[0][1] <= first:
            self._spans.popleft()
        within = sum(max(0.0, min(b, stop) - max(a, first)) for a, b in self._spans)
        return min(within / (stop - first), 1.0)

    def clear(self) -> None:
        """Forget all: another stream begins."""
        self._spans.clear()
