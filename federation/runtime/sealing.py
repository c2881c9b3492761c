"""Sealed boxes: what sites must share is encrypted to the allowed agents' public keys, so that the register holds
ciphertext only (DESIGN.md 4.1). X25519 and XSalsa20-Poly1305 as libsodium has them; nothing of our own.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from federation.model.errors import InvalidRequest
from federation.runtime.disk import Disk

SHOWN = "[redacted]"


class Secret:
    """A value that shows itself only to `reveal`: not in a log line, a traceback with locals, or an f-string."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plain value; call it where it is handed over and keep it in no variable."""
        return self._value

    def __repr__(self) -> str:
        return SHOWN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class SealingKey:
    """An agent's key pair. The public half goes into the register with Hello; the private one stays on its disk."""

    __slots__ = ("_private",)

    def __init__(self, private: PrivateKey) -> None:
        self._private = private

    @classmethod
    def generate(cls) -> SealingKey:
        """A fresh pair."""
        return cls(PrivateKey.generate())

    @classmethod
    def open_or_create(cls, path: Path, disk: Disk) -> SealingKey:
        """The pair whose private half lies at `path` (base64, 0600), made and saved durably if there is none.

        Raises InvalidRequest if the file is broken: making a new key would silently lose every sealed secret.
        """
        content = disk.read(path)
        if content is None:
            fresh = cls.generate()
            disk.replace(path, b64encode(bytes(fresh._private)) + b"\n")
            return fresh
        try:
            return cls(PrivateKey(b64decode(content.strip(), validate=True)))
        except (ValueError, CryptoError) as error:
            raise InvalidRequest(
                f"{path} holds no sealing key",
                help="Bring the file back from a backup; without it set every secret of this site again.",
            ) from error

    @property
    def public(self) -> str:
        """The public half, base64."""
        return b64encode(bytes(self._private.public_key)).decode()

    def open(self, box: bytes) -> bytes:
        """The plain value. Raises InvalidRequest if the box was sealed to another key or was changed."""
        try:
            return SealedBox(self._private).decrypt(box)
        except (CryptoError, ValueError) as error:
            raise InvalidRequest(
                "a sealed secret does not open with this site's key",
                help="Set the secret again, so that it is sealed to the agent's present key.",
            ) from error

    def __repr__(self) -> str:
        return f"SealingKey(public={self.public})"


def check_public_key(public_key: str) -> None:
    """InvalidRequest unless something can be sealed to it."""
    seal(public_key, b"")


def seal(public_key: str, value: bytes) -> bytes:
    """Encrypt to a public key (base64). Nobody but its owner can open it, not even the caller.

    Raises InvalidRequest if the key is not a valid one.
    """
    try:
        return SealedBox(PublicKey(b64decode(public_key, validate=True))).encrypt(value)
    except (CryptoError, ValueError, TypeError) as error:
        raise InvalidRequest("the agent's sealing key is not a base64 X25519 public key") from error
