"""What a hub's namespace says of its homes: which epoch they are of, from which copy they came, which claims hold them, and
which restore is under way. Pure: one text, and how it changes.

Claims are of generations (`federation/core/claim_names.py`). A restore fills claims of a new one; that they are the homes
from now on is one write of this text. Those of before stay, and the text says which epoch they are of.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from agents.drivers.base import CopyRef
from federation.core.claim_names import claims_of, generation_of
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from federation.model.schema import Document, Model


class Source(Model):
    """A copy of this hub: who made it, and its id in full."""

    site: str
    snapshot: str

    @classmethod
    def of(cls, copy: CopyRef) -> Source:
        return cls(site=copy.site, snapshot=copy.snapshot)


class Due(Model):
    """A restore that was ordered and has not ended. `generation`: of the claims that it fills."""

    epoch: Epoch
    source: Source
    generation: int


class Kept(Model):
    """Homes that a restore put aside, and the epoch that they were of."""

    epoch: Epoch
    generation: int


class MarkText(Document):
    """As it is written on the namespace. `epoch` None: there are no homes. `source`: the copy as which they began at this
    epoch; None: they began as they were."""

    epoch: Epoch | None = None
    source: Source | None = None
    generation: int = 0
    due: Due | None = None
    kept: tuple[Kept, ...] = ()  # oldest first

    @classmethod
    def of(cls, hub: str, text: str) -> MarkText:
        """DriverError if it cannot be understood: who owns these homes is unknown then."""
        if not text:
            return cls()
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise DriverError(f"{hub}: what its namespace says of the homes cannot be understood: {said}") from None

    @property
    def text(self) -> str:
        """Empty if there is nothing to say."""
        return "" if self.epoch is None and self.due is None else self.model_dump_json()

    @property
    def trees(self) -> dict[int, Epoch]:
        """Generation -> epoch, of the homes and of those that were put aside."""
        own = {} if self.epoch is None else {self.generation: self.epoch}
        return {**own, **{one.generation: one.epoch for one in self.kept}}

    @property
    def filled(self) -> int:
        """The generation of the claims that a restore fills; of the homes, if none is under way."""
        return self.generation if self.due is None else self.due.generation

    def is_of(self, copy: CopyRef, epoch: Epoch) -> bool:
        """Whether the homes are wholly this copy at this epoch."""
        return self.epoch == epoch and self.source == Source.of(copy)

    def raised(self, epoch: Epoch) -> MarkText:
        """The same homes at another epoch."""
        return self.revise(epoch=epoch, source=None)

    def ordered(self, copy: CopyRef, epoch: Epoch, claims: Iterable[str]) -> MarkText:
        """With this restore under way. One that goes on fills the same claims; another one those of a generation that never
        was, of which none of the `claims` is, not even one that is about to go."""
        source = Source.of(copy)
        if self.due is not None and (self.due.epoch, self.due.source) == (epoch, source):
            return self
        used = [self.generation, *(one.generation for one in self.kept)]
        used += [found for claim in claims if (found := generation_of(claim)) is not None]
        used += [self.due.generation] if self.due is not None else []
        return self.revise(due=Due(epoch=epoch, source=source, generation=max(used) + 1))

    def restored(self) -> MarkText:
        """The restore that was under way is done."""
        due = self.due
        if due is None:
            return self
        kept = self.kept if self.epoch is None else (*self.kept, Kept(epoch=self.epoch, generation=self.generation))
        return MarkText(epoch=due.epoch, source=due.source, generation=due.generation, kept=kept)

    def abandoned(self) -> MarkText:
        """It is given up."""
        return self.revise(due=None)

    @property
    def kept_claims(self) -> tuple[str, ...]:
        """For people."""
        return tuple(f"claims {claims_of(one.generation)} of epoch {one.epoch}" for one in self.kept)
