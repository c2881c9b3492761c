"""Threads that call an API server for somebody who must not wait. They end with the process, whatever they are in: nothing
that was handed over and has not begun is done after that."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Crew:
    """`size` threads, begun at once."""

    name: str
    size: int
    _work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        for number in range(self.size):
            threading.Thread(target=self._run, name=f"{self.name}-{number}", daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Done by the next thread that is free; whatever it raises is in the answer."""
        answer: Future[T] = Future()
        self._work.put((answer, work))
        return answer

    def _run(self) -> None:
        while True:
            answer, work = self._work.get()
            try:
                answer.set_result(work())
            except BaseException as error:  # noqa: BLE001 - a thread of a crew never ends
                answer.set_exception(error)
