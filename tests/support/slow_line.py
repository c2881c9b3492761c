"""A line that takes its time: packets between a host and the router go through this process, which holds them back.

For kernels without `netem`. The host keeps its addresses; only its route, and the router's to it, lead through a pair of
TUN devices meanwhile, so that connections which were open before are slow from then on, as they are on a bad day.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.network import Network, run_in

TUN = Path("/dev/net/tun")
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MOST_BYTES = 65_536


@contextmanager
def slow(net: Network, host: str, delay_s: float, jitter_s: float = 0.0) -> Iterator[None]:
    """Each packet to and from `host` is `delay_s`, and up to `jitter_s` more, on its way; they stay in order."""
    near, far = _device(net, host, "slow"), _device(net, "router", f"slow-{host}")
    address, gateway = net.address(host), net.gateway(host)
    line = _Line((near, far), delay_s, jitter_s)
    try:
        for place, device in ((host, "slow"), ("router", f"slow-{host}")):
            run_in(net, place, "ip", "link", "set", device, "up")
            run_in(net, place, "sh", "-c", f"echo 0 > /proc/sys/net/ipv4/conf/{device}/rp_filter")
        line.start()
        run_in(net, "router", "ip", "route", "add", f"{address}/32", "dev", f"slow-{host}")
        run_in(net, host, "ip", "route", "replace", "default", "dev", "slow", "src", address)
        yield
        assert line.passed > 0, "nothing went over the line that was slow"
    finally:
        run_in(net, host, "ip", "route", "replace", "default", "via", gateway)
        line.end()
        for handle in (near, far):  # the device goes with its handle, and the router's route with the device
            os.close(handle)


def _device(net: Network, place: str, name: str) -> int:
    with net.inside(place):
        handle = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return handle


class _Line(threading.Thread):
    def __init__(self, ends: tuple[int, int], delay_s: float, jitter_s: float) -> None:
        super().__init__(daemon=True)
        self._ends, self._delay_s, self._jitter_s = ends, delay_s, jitter_s
        self._over, self._over_write = os.pipe()
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due, a number that keeps order, to which end, packet
        self._newest_s = [0.0, 0.0]
        self.passed = 0

    def run(self) -> None:
        while True:
            wait_s = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            ready, _, _ = select.select([*self._ends, self._over], [], [], wait_s)
            if self._over in ready:
                return
            for way, handle in enumerate(self._ends):
                if handle in ready:
                    self._take(way, os.read(handle, MOST_BYTES))
            self._let_go()

    def _take(self, way: int, packet: bytes) -> None:
        due_s = time.monotonic() + self._delay_s + random.random() * self._jitter_s
        due_s = self._newest_s[way] = max(due_s, self._newest_s[way])
        self.passed += 1
        heapq.heappush(self._waiting, (due_s, self.passed, 1 - way, packet))

    def _let_go(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, way, packet = heapq.heappop(self._waiting)
            try:
                os.write(self._ends[way], packet)
            except OSError:  # what the other end does not take is lost, as anywhere
                continue

    def end(self) -> None:
        os.write(self._over_write, b".")
        self.join(10)
        os.close(self._over)
        os.close(self._over_write)
