"""What the API server's refusals mean, in words that an admin can act on. Pure."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from federation.model.errors import DriverError

VERBS = {"GET": "read", "POST": "create", "PATCH": "change", "PUT": "replace", "DELETE": "delete", "WATCH": "watch"}
MANAGER = re.compile(r'conflict with "([^"]+)"')
LONGEST = 500


class ApiRefused(DriverError):
    """`reason` is Kubernetes' word for it, or the status in digits; `managers` hold fields that were to be changed."""

    def __init__(
        self, message: str, reason: str, *, delay_s: float = 5.0, help: str = "", managers: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, delay_s=delay_s, help=help)
        self.reason = reason
        self.managers = managers


def refused(site: str, method: str, path: str, status: int, content: bytes) -> ApiRefused:
    """`content` is the answer's body: a Status object, or whatever something before the server said."""
    said = _status(content)
    reason, message = str(said.get("reason") or status), str(said.get("message") or content.decode(errors="replace"))
    message, details = message[:LONGEST], said.get("details") or {}
    what = f"site {site}: cannot {VERBS.get(method, method)} {path.partition('?')[0]}"
    wait_s = float(details.get("retryAfterSeconds") or 0)
    if status == HTTPStatus.UNAUTHORIZED:
        return ApiRefused(f"{what}: the cluster does not know the agent's credentials", reason, help=CREDENTIALS)
    if status == HTTPStatus.FORBIDDEN:
        return _forbidden(what, reason, message)
    if status == HTTPStatus.CONFLICT and (others := _managers(details)):
        wrong = f"{what}: {' and '.join(others)} set the same fields: {message}"
        return ApiRefused(wrong, reason, help=OTHERS, managers=others)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ApiRefused(f"{what}: the cluster is busy: {message}", reason, delay_s=wait_s or 2.0)
    return ApiRefused(f"{what}: {message} ({status})", reason, delay_s=wait_s or 1.0)


def _forbidden(what: str, reason: str, message: str) -> ApiRefused:
    """One status for four different things."""
    if "exceeded quota" in message:
        return ApiRefused(f"{what}: the namespace's quota is used up: {message}", reason, help=QUOTA)
    if "admission webhook" in message:
        return ApiRefused(f"{what}: {message}", reason, help=WEBHOOK)
    if "being terminated" in message:
        return ApiRefused(f"{what}: its namespace is being deleted: {message}", reason)
    return ApiRefused(f"{what}: the agent may not: {message}", reason, help=RIGHTS)


def _status(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _managers(details: dict[str, Any]) -> tuple[str, ...]:
    said = [str(cause.get("message", "")) for cause in details.get("causes") or ()]
    return tuple(sorted({found for one in said for found in MANAGER.findall(one)}))


CREDENTIALS = "Look at spec.cluster.kubeconfig in the site file: its token or certificate may have ended."
QUOTA = "Raise the quota of the namespace, or take something from it: kubectl describe resourcequota."
WEBHOOK = "A rule of the cluster refuses it: ask who set the webhook up."
RIGHTS = "Give the agent's account the right that the message names."
OTHERS = "Let go of these fields there, or tell hubfed to leave them: two of them would undo each other for ever."
