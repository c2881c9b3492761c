"""What the API server refuses, in words for an admin. Bodies as a 1.35 server writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.drivers.kubernetes.refusals import refused

PATH = "/api/v1/namespaces/atm101-abc123/pods"


def answer(status: int, message: str, reason: str, **more: Any) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "code": status, **more}).encode()


@pytest.mark.parametrize(
    ("message", "says", "advice"),
    [
        (
            'pods is forbidden: User "agent" cannot create resource "pods" in API group "" in the namespace "x"',
            'the agent may not: pods is forbidden: User "agent" cannot create resource "pods"',
            "right",
        ),
        (
            'pods "hub" is forbidden: exceeded quota: class, requested: cpu=2, used: cpu=1, limited: cpu=2',
            "quota is used up",
            "Raise the quota",
        ),
        ('admission webhook "deny.example.edu" denied the request: no', "deny.example.edu", "webhook"),
        ("unable to create new content in namespace x because it is being terminated", "is being deleted", ""),
    ],
)
def test_four_things_are_forbidden_and_each_is_told_apart(message: str, says: str, advice: str) -> None:
    error = refused("iu", "POST", PATH, 403, answer(403, message, "Forbidden"))
    assert error.message.startswith(f"site iu: cannot create {PATH}: ")
    assert says in error.message
    assert advice in error.help
    assert error.reason == "Forbidden"


def test_who_has_set_a_field_already_is_named() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using v1',
            "field": ".metadata.labels",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "argocd" using v1',
            "field": ".metadata.annotations",
        },
    ]
    error = refused(
        "iu", "PATCH", PATH, 409, answer(409, "Apply failed with 2 conflicts", "Conflict", details={"causes": causes})
    )
    assert error.managers == ("argocd", "kubectl-edit")
    assert "argocd and kubectl-edit set the same fields" in error.message


def test_a_busy_server_says_when_to_come_again() -> None:
    error = refused(
        "iu", "GET", PATH, 429, answer(429, "too many", "TooManyRequests", details={"retryAfterSeconds": 7})
    )
    assert error.delay_s == 7


def test_something_before_the_server_answers_without_a_status() -> None:
    error = refused("iu", "GET", f"{PATH}?limit=1", 502, b"<html>bad gateway</html>")
    assert error.message == f"site iu: cannot read {PATH}: <html>bad gateway</html> (502)"
    assert error.reason == "502"


def test_credentials_that_ended_are_no_missing_right() -> None:
    error = refused("iu", "GET", PATH, 401, answer(401, "Unauthorized", "Unauthorized"))
    assert "credentials" in error.message
    assert "kubeconfig" in error.help
