"""Rules for what is right in a section of which a part is wrong: pydantic checks rules only when every field is right.

The right fields are put into an instance that lacks the wrong ones. A rule that looks at a field that is not there
cannot be judged and says nothing; every other rule speaks, so that one mistake does not hide the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from federation.model.classroom import ClassroomSpec
from federation.model.classroom_rules import RULES
from federation.model.files.explain import models_in
from federation.model.refusal import Place, Problem, problems_in

AFTER = "after"


def problems_despite_errors(spec: Mapping[str, Any]) -> list[Problem]:
    """What the rules in and between the sections of a specification say, as far as they can be judged."""
    reader = _Reader()
    sections = {
        name: value
        for name in ClassroomSpec.model_fields
        if (value := reader.field(ClassroomSpec, name, spec, ())) is not MISSING
    }
    for rule, needs in RULES:
        if all(need in sections for need in needs):
            try:
                reader.problems += list(rule(sections))
            except AttributeError:
                continue  # it looks at a field that is wrong
    return reader.problems


class _Missing:
    """Stands for a value that is wrong, or must be given and is not."""


MISSING = _Missing()


@dataclass(slots=True)
class _Reader:
    """Builds what can be built, and collects what its rules say."""

    problems: list[Problem] = field(default_factory=list)

    def field(self, model: type[BaseModel], name: str, data: Mapping[str, Any], place: Place) -> Any:
        """The value of one field; MISSING if it is wrong."""
        info = model.model_fields[name]
        key = info.alias or name
        if key not in data:
            return MISSING if info.is_required() else info.get_default()
        value, inner = data[key], models_in(info.annotation)
        if len(inner) == 1 and isinstance(value, dict):
            return self._model(inner[0], value, (*place, key))
        if len(inner) == 1 and isinstance(value, list):
            return self._list(inner[0], value, (*place, key))
        try:
            right = _adapter(model, name).validate_python(value)
            for checker, decorator in model.__pydantic_decorators__.field_validators.items():
                if name in decorator.info.fields and decorator.info.mode == AFTER:
                    right = getattr(model, checker)(right)
        except (ValidationError, PydanticCustomError):
            return MISSING  # which has been told
        return right

    def _model(self, model: type[BaseModel], data: Mapping[str, Any], place: Place) -> Any:
        values = {name: self.field(model, name, data, place) for name in model.model_fields}
        right = {name: value for name, value in values.items() if value is not MISSING}
        given = {name for name, info in model.model_fields.items() if (info.alias or name) in data}
        built = model.model_construct(_fields_set=given)
        built.__dict__.clear()
        built.__dict__.update(right)
        found = self._rules(built)
        self.problems += [problem.below(*place) for problem in found]
        return MISSING if found else built

    def _list(self, model: type[BaseModel], items: list[Any], place: Place) -> Any:
        built = [
            self._model(model, item, (*place, index)) if isinstance(item, dict) else MISSING
            for index, item in enumerate(items)
        ]
        return MISSING if MISSING in built else tuple(built)

    @staticmethod
    def _rules(built: BaseModel) -> list[Problem]:
        found: list[Problem] = []
        for name, decorator in type(built).__pydantic_decorators__.model_validators.items():
            if decorator.info.mode != AFTER:
                continue
            try:
                getattr(built, name)()
            except PydanticCustomError as refused:
                found += problems_in(refused.context)
            except AttributeError:
                continue  # it looks at a field that is wrong
        return found


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Validates one field of a model by itself."""
    info = model.model_fields[name]
    kind: Any = info.annotation
    return TypeAdapter(Annotated[kind, *info.metadata] if info.metadata else kind)
