"""Failover timing (DESIGN.md 4.2): named profiles, and the inequality that keeps two copies of a hub apart.

Unsafe values are refused with the arithmetic shown, never repaired.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from federation.model.refusal import refuse
from federation.model.schema import Model


class ProfileName(StrEnum):
    LAB = "lab"
    NORM = "norm"
    WIDE = "wide"


class Profile(Model):
    """The times of one profile, in seconds; letters as in DESIGN.md 4.2."""

    name: ProfileName
    renew_s: float = Field(gt=0, description="r: a site renews its lease this often.")
    contact_s: float = Field(gt=0, description="D: an armed hub may be served this long after the renewal was sent.")
    fence_s: float = Field(gt=0, description="F: within this time after D the agent has stopped the hub.")
    fencer_s: float = Field(
        gt=0, description="W: if the agent is dead, the fencer has stopped it after this further time."
    )
    drift: float = Field(0.02, ge=0, lt=1, description="rho: how much clocks of two hosts may differ in rate.")
    margin_s: float = Field(gt=0, description="eps: for what is not modelled.")
    takeover_s: float = Field(
        gt=0, description="L: the leader waits this long from its first sight of the newest grant."
    )
    leader_ttl_s: float = Field(gt=0, description="The leader's own lease in the register.")

    @property
    def least_takeover_s(self) -> float:
        """The smallest safe L: (D + F + W)(1 + rho)/(1 - rho) + eps."""
        silent = self.contact_s + self.fence_s + self.fencer_s
        return silent * (1 + self.drift) / (1 - self.drift) + self.margin_s

    @property
    def longest_s(self) -> float:
        """How far ahead an honest deadline in a lease file can lie: (D + F)(1 + rho) (PROTOCOL.md section 4)."""
        return (self.contact_s + self.fence_s) * (1 + self.drift)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.takeover_s < self.least_takeover_s:
            silent = f"(D {self.contact_s:g} + F {self.fence_s:g} + W {self.fencer_s:g})"
            drifting = f"(1 + {self.drift:g})/(1 - {self.drift:g})"
            sum_of_all = f"{silent} x {drifting} + {self.margin_s:g} = {self.least_takeover_s:.2f}"
            wrong = f"takeover_s {self.takeover_s:g} is unsafe: {sum_of_all}"
            raise refuse(
                wrong, f"at least {self.least_takeover_s:.2f} s", f"{self.least_takeover_s + 1:.0f}", "takeover_s"
            )
        if self.renew_s * 2 > self.contact_s:
            lost = f"one lost answer closes a class, for renewals are {self.renew_s:g} s apart"
            wrong = f"contact_s {self.contact_s:g} is too short: {lost}"
            raise refuse(wrong, "at least 2 x renew_s", f"{self.renew_s * 3:g}", "contact_s")
        return self


PROFILES: dict[ProfileName, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name=ProfileName.LAB,
            renew_s=1,
            contact_s=5,
            fence_s=4,
            fencer_s=3,
            margin_s=1,
            takeover_s=15,
            leader_ttl_s=5,
        ),
        Profile(
            name=ProfileName.NORM,
            renew_s=5,
            contact_s=30,
            fence_s=30,
            fencer_s=15,
            margin_s=2,
            takeover_s=90,
            leader_ttl_s=15,
        ),
        Profile(
            name=ProfileName.WIDE,
            renew_s=10,
            contact_s=60,
            fence_s=30,
            fencer_s=20,
            margin_s=5,
            takeover_s=135,
            leader_ttl_s=15,
        ),
    )
}
