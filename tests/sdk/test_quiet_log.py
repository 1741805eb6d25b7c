"""Warnings that a device can cause, and no more of them than anybody would read."""

from __future__ import annotations

import logging

import pytest

from plethprint.quiet_log import QuietLog


def test_beyond_so_many_it_says_so_once_and_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = [0.0]
    log = QuietLog(logging.getLogger("quiet"), most=3, per_s=10.0, clock=lambda: now_s[0])
    with caplog.at_level(logging.WARNING, logger="quiet"):
        for _ in range(100):
            log.warning("reset")
        assert [r.getMessage() for r in caplog.records] == [
            *["reset"] * 3,
            "more such warnings follow; they are left out for 10 s",
        ]
        now_s[0] = 10.5
        assert log.warning("again")
    assert caplog.records[-1].getMessage() == "again"
