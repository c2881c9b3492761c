"""Bounds of the files' fields: of two limits of one kind only the last would count, so no field has two."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

import federation.model

FOLDER = Path(federation.model.__file__).parent
MODELS = sorted(
    {
        found
        for path in FOLDER.glob("*.py")
        for found in vars(import_module(f"federation.model.{path.stem}")).values()
        if isinstance(found, type) and issubclass(found, BaseModel)
    },
    key=lambda model: (model.__module__, model.__name__),
)
KINDS = {"Ge", "Gt", "Le", "Lt"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_field_has_two_limits_of_one_kind(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        kinds = Counter(type(one).__name__ for one in field.metadata if type(one).__name__ in KINDS)
        assert all(count == 1 for count in kinds.values()), f"{model.__name__}.{name}: {field.metadata}"
