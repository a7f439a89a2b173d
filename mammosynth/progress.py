"""Progress that suits where it is shown: a bar on a terminal, a line every few seconds in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")
LOG_INTERVAL = 10.0


def track(iterable: Iterable[T], what: str, total: int | None = None, done: int = 0) -> Iterator[T]:
    """Yield from *iterable* and show how far it is and when it will end.

    total: number of items, its length if not given; done: items finished before (a resumed training).
    """
    total = len(iterable) + done if total is None else total
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(iterable, desc=what, total=total, initial=done)
        return
    log = logging.getLogger("mammosynth")
    start = last = time.monotonic()
    for count, item in enumerate(iterable, 1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_INTERVAL:
            last = now
            rate = count / (now - start)
            left = timedelta(seconds=round((total - done - count) / rate))
            log.info("%s: %d of %d, %.3g/s, %s left", what, done + count, total, rate, left)
