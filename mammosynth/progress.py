"""Progress that suits where it is shown: a bar on a terminal, a line every few seconds in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import timedelta
from typing import TypeVar, cast

T = TypeVar("T")
LOG_INTERVAL = 10.0


def track(
    iterable: Iterable[T], what: str, total: int | None = None, done: int = 0, note: Callable[[], str] = str
) -> Iterator[T]:
    """Yield from *iterable* and show how far it is and when it will end.

    total: number of items, its length if not given; done: items finished before (a resumed training);
    note: what else to show, asked after each item on a terminal and for each line in a log.
    """
    total = len(cast(Sized, iterable)) + done if total is None else total
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(iterable, desc=what, total=total, initial=done) as bar:
            for item in bar:
                yield item
                bar.set_postfix_str(note(), refresh=False)
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
            line = f"{what}: {done + count} of {total}, {rate:.3g}/s, {left} left"
            log.info("; ".join(filter(None, [line, note()])))
