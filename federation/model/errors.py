"""The error catalogue: every failure that crosses a boundary is one `FederationError` with a code from here.

`definite` says whether the operation surely did not happen; only then may a caller repeat it blindly
(an indefinite one is repeated with the same request id, or read back first).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """fedctl's exit codes; part of its interface."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 5
    REFUSED = 6
    TIMED_OUT = 7


class Code(StrEnum):
    INVALID = "Invalid"
    NOT_FOUND = "NotFound"
    CONFLICT = "Conflict"
    UNAVAILABLE = "Unavailable"
    DEADLINE = "DeadlineExceeded"
    REFUSED = "Refused"
    DENIED = "Denied"
    NOT_LEADER = "NotLeader"
    STALE_EPOCH = "StaleEpoch"
    OLD_INCARNATION = "OldIncarnation"
    REGISTER_FAULT = "RegisterFault"
    REGISTER_FULL = "RegisterFull"
    DRIVER = "DriverFailed"
    INTERNAL = "Internal"


@dataclass(frozen=True, slots=True)
class Entry:
    """A catalogue line. `grpc_status` is the name of the gRPC status code."""

    grpc_status: str
    exit_code: ExitCode
    retryable: bool
    help: str


CATALOGUE: dict[Code, Entry] = {
    Code.INVALID: Entry(
        "INVALID_ARGUMENT", ExitCode.BAD_INPUT, False, "Correct the input; `fedctl check FILE` lists every error."
    ),
    Code.NOT_FOUND: Entry("NOT_FOUND", ExitCode.NOT_FOUND, False, "`fedctl get` lists what exists."),
    Code.CONFLICT: Entry(
        "ABORTED", ExitCode.CONFLICT, True, "Somebody else changed it first: look at it again, then repeat."
    ),
    Code.UNAVAILABLE: Entry("UNAVAILABLE", ExitCode.UNAVAILABLE, True, "Try again; `fedctl doctor` says what is down."),
    Code.DEADLINE: Entry(
        "DEADLINE_EXCEEDED", ExitCode.TIMED_OUT, True, "It may have been done: look before repeating."
    ),
    Code.REFUSED: Entry("FAILED_PRECONDITION", ExitCode.REFUSED, False, "The message says which rule refused it."),
    Code.DENIED: Entry(
        "PERMISSION_DENIED",
        ExitCode.REFUSED,
        False,
        "Ask an admin of the federation for the role that the message names.",
    ),
    Code.NOT_LEADER: Entry(
        "FAILED_PRECONDITION", ExitCode.UNAVAILABLE, True, "Ask the leader whose address is in the details."
    ),
    Code.STALE_EPOCH: Entry("ABORTED", ExitCode.CONFLICT, False, "A newer owner exists; nothing was changed."),
    Code.OLD_INCARNATION: Entry(
        "FAILED_PRECONDITION", ExitCode.REFUSED, False, "A newer agent speaks for this site; stop this one."
    ),
    Code.REGISTER_FAULT: Entry(
        "FAILED_PRECONDITION",
        ExitCode.REFUSED,
        False,
        "The register is not the one that was known; see docs/how-to/recover-the-register.md.",
    ),
    Code.REGISTER_FULL: Entry(
        "RESOURCE_EXHAUSTED",
        ExitCode.UNAVAILABLE,
        False,
        "The register's quota is used up: compact, defragment, disarm the alarm.",
    ),
    Code.DRIVER: Entry("INTERNAL", ExitCode.FAILED, True, "See the agent's log at the site."),
    Code.INTERNAL: Entry("INTERNAL", ExitCode.FAILED, False, "This is a defect: report it with the coordinator's log."),
}


class FederationError(Exception):
    """Base of all errors that cross a boundary. The message names the object, the attempted action and what happened."""

    code: Code = Code.INTERNAL

    def __init__(
        self, message: str, *, definite: bool = True, help: str = "", details: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.definite = definite
        self.help = help or CATALOGUE[self.code].help
        self.details = details or {}

    @property
    def retryable(self) -> bool:
        """Whether trying again later, unchanged, may work."""
        return CATALOGUE[self.code].retryable


class InvalidRequest(FederationError):
    code = Code.INVALID


class NotFound(FederationError):
    code = Code.NOT_FOUND


class Conflict(FederationError):
    """A lost compare-and-set: a normal outcome, not a failure."""

    code = Code.CONFLICT


class Unavailable(FederationError):
    """A dependency is down. `definite` is False when the request may have been carried out."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(FederationError):
    """Always indefinite."""

    code = Code.DEADLINE

    def __init__(self, message: str, *, help: str = "", details: dict[str, str] | None = None) -> None:
        super().__init__(message, definite=False, help=help, details=details)


class Refused(FederationError):
    code = Code.REFUSED


class Denied(FederationError):
    code = Code.DENIED


class NotLeader(FederationError):
    code = Code.NOT_LEADER


class StaleEpoch(FederationError):
    code = Code.STALE_EPOCH


class OldIncarnation(FederationError):
    code = Code.OLD_INCARNATION


class RegisterFault(FederationError):
    code = Code.REGISTER_FAULT


class RegisterFull(FederationError):
    code = Code.REGISTER_FULL


class DriverError(FederationError):
    """A driver could not do it; `delay_s` says when to look again, None means that repeating will not help."""

    code = Code.DRIVER

    def __init__(self, message: str, *, delay_s: float | None = 5.0, help: str = "") -> None:
        super().__init__(message, help=help)
        self.delay_s = delay_s


BY_CODE: dict[Code, type[FederationError]] = {
    cls.code: cls
    for cls in (
        InvalidRequest, NotFound, Conflict, Unavailable, Refused, Denied, NotLeader, StaleEpoch, OldIncarnation,
        RegisterFault, RegisterFull, DriverError, DeadlineExceeded, FederationError,
    )
}  # fmt: skip
