"""Progress: every item comes through, and the log says how far it is and when it will end."""

import io
import logging
import sys

import pytest

from mammosynth import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets: seconds in its only element."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_line_every_ten_seconds_with_the_time_that_is_left(clock, caplog):
    caplog.set_level(logging.INFO, "mammosynth")
    seen = []
    for item in progress.track(range(400, 7600), "sngan", total=7600, done=400, note=lambda: f"loss {clock[0]}"):
        seen.append(item)
        clock[0] += 4
        if len(seen) == 6:
            break
    assert seen == list(range(400, 406))
    assert [record.getMessage() for record in caplog.records] == ["sngan: 403 of 7600, 0.25/s, 7:59:48 left; loss 12.0"]


def test_quick_work_logs_nothing(clock, caplog):
    caplog.set_level(logging.INFO, "mammosynth")
    assert list(progress.track("abc", "letters")) == ["a", "b", "c"]
    assert not caplog.records


def test_a_terminal_has_a_bar_that_starts_where_a_resumed_training_does(monkeypatch, caplog):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.track(range(2, 4), "sngan", total=4, done=2)) == [2, 3]
    bars = terminal.getvalue().split("\r")[1:]
    assert "2/4" in bars[0]
    assert "4/4" in bars[-1]
    assert not caplog.records
