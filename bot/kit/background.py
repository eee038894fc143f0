"""Work that goes on after an answer: tracked, so that nothing is lost unseen and shutdown can wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from bot.kit.logs import get_logger

log = get_logger(__name__)


class Background:
    """Keeps the tasks of this process. `stopping` is set when it is time to park what runs."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, object], *, name: str) -> asyncio.Task[None]:
        """Run `work` until it ends or the process stops; an error in it is logged."""
        task = asyncio.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, timeout_s: float) -> None:
        """Ask running work to stop, wait up to `timeout_s`, then cancel what is left."""
        self.stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = list(self._tasks)
        for task in left:
            log.warning("work cancelled at shutdown", work=task.get_name())
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing runs any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _guarded(self, work: Coroutine[Any, Any, object], name: str) -> None:
        try:
            await work
        except Exception:
            log.exception("background work failed", work=name)
