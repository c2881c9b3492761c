"""The one base class of all models: frozen, unknown keys refused.

Every stored document derives from `Document` and carries a schema version (DESIGN.md 4.1): coordinator N reads N-1.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An immutable value; unknown keys are an error, so that a mistyped field is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, ser_json_bytes="base64")

    def revise(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated (unlike `model_copy`)."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate({**fields, **changes})


class Document(Model):
    """A model that is stored in the register as JSON, with the version of its schema beside it."""

    SCHEMA: ClassVar[int] = 1
