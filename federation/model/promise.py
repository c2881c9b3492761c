"""What an agent has bound itself to for a while, kept in its journal (PROTOCOL.md H9).

Times are CLOCK_BOOTTIME, which begins anew with each boot: after a reboot the whole time counts again.
"""

from __future__ import annotations

from typing import TypeVar

from federation.model.identity import Epoch
from federation.model.schema import Model


class Wait(Model):
    """Something is not done before `until_ns` of this boot."""

    boot_id: str
    until_ns: int

    def runs(self, boot_id: str, now_ns: int) -> bool:
        """Whether it is not over yet; one of another boot is not, as long as nobody has `restarted` it."""
        return self.boot_id != boot_id or now_ns < self.until_ns


class Promise(Wait):
    """To (site, uid), which asked in its round `nonce`: "I do not run your hub, was not told to, and do not open it before
    this is over". `epoch` is the one at which that site owns the hub."""

    hub: str
    epoch: Epoch
    site: str
    uid: str
    nonce: int


W = TypeVar("W", bound=Wait)


def restarted(wait: W, boot_id: str, now_ns: int, whole_ns: int) -> W:
    """The wait as it counts for an agent that starts now; `whole_ns` is L."""
    return wait if wait.boot_id == boot_id else wait.revise(boot_id=boot_id, until_ns=now_ns + whole_ns)
