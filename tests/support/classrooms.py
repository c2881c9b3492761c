"""Classrooms for tests: valid, small, and different only where a test says so."""

from __future__ import annotations

from typing import Any

from federation.model.classroom import Classroom


def classroom(name: str = "atm101", **spec: Any) -> Classroom:
    """A class of ten that may run at iu (preferred) or tacc. Keyword arguments replace whole parts of the spec."""
    fields: dict[str, Any] = {
        "term": {"start": "2026-08-24", "end": "2026-12-18", "timezone": "America/Chicago"},
        "contacts": {"instructor": "ann", "support": "help-desk"},
        "roster": {"expected": 10, "admins": ["ann"], "users": ["s01", "s02"]},
        "auth": {"type": "dummy"},
        "image": {"name": "quay.example/atm", "tag": "2026aug01"},
        "placement": {"allow": ["iu", "tacc"], "prefer": "iu"},
        "dns": {"host": f"{name}.localhost"},
        **spec,
    }
    return Classroom.model_validate({"name": name, "labels": {"semester": "fall-2026"}, "spec": fields})
