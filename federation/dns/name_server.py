"""One name server: questions over UDP (TCP where that fails), updates over TCP, each within seconds, errors in our words.

Signed with a TSIG key where one is given, questions too: a key that the server does not take shows at the first look,
not at the first failover.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from federation.model.errors import Conflict, DeadlineExceeded, FederationError, Refused, Unavailable

ASK_S, SEND_S = 3.0, 5.0  # a whole question with all its tries; a whole update
TRY_S, UDP_TRIES = 0.7, 2
LOST = (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET)


@dataclass(frozen=True, slots=True)
class NameServer:
    """`address` is host:port. `key` None: nothing is signed."""

    address: str
    key: dns.tsig.Key | None = field(default=None, repr=False)

    async def ask(self, name: str, kind: str, *, recurse: bool) -> dns.message.Message:
        """The answer to one question: NOERROR or NXDOMAIN. `recurse` False: it must be what the server itself holds.
        Refused, Unavailable."""
        question = dns.message.make_query(name, kind)
        if not recurse:
            question.flags &= ~dns.flags.RD
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._answer(question)
        except (TimeoutError, dns.exception.Timeout):
            raise Unavailable(f"name server {self.address} does not answer") from None
        except (OSError, EOFError) as error:
            raise Unavailable(f"name server {self.address} does not answer: {error or type(error).__name__}") from error
        except dns.exception.DNSException as error:
            raise self._translated(error) from error
        code = answer.rcode()
        if code == dns.rcode.REFUSED:
            raise Refused(f"name server {self.address} does not answer questions about {name} (REFUSED)", help=ALLOW)
        if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise Unavailable(f"name server {self.address} cannot say what {name} is ({dns.rcode.to_text(code)})")
        if not recurse and not answer.flags & dns.flags.AA:
            raise Refused(f"name server {self.address} does not hold the zone of {name} itself", help=PRIMARY)
        return answer

    async def send(self, update: dns.update.UpdateMessage) -> None:
        """Make the change if its prerequisites hold. Conflict if they do not, Refused, Unavailable, DeadlineExceeded."""
        if self.key is not None:
            update.use_tsig(self.key)
        try:
            async with asyncio.timeout(SEND_S):
                where, port = await self._located()
                answer = await dns.asyncquery.tcp(update, where, port=port, timeout=SEND_S)
        except (TimeoutError, dns.exception.Timeout):
            raise DeadlineExceeded(f"name server {self.address} did not answer an update in {SEND_S:g} s") from None
        except (OSError, EOFError) as error:
            refused = isinstance(error, ConnectionRefusedError | socket.gaierror)
            wrong = f"name server {self.address} takes no update: {error or type(error).__name__}"
            raise Unavailable(wrong, definite=refused) from error
        except dns.exception.DNSException as error:
            raise self._translated(error) from error
        self._judge(answer.rcode())

    def _judge(self, code: dns.rcode.Rcode) -> None:
        """RFC 2136 section 2.2, in words that an admin can act on."""
        said = dns.rcode.to_text(code)
        if code == dns.rcode.NOERROR:
            return
        if code in LOST:
            raise Conflict(f"the zone at {self.address} is not what was expected ({said}): nothing was written")
        if code == dns.rcode.REFUSED:
            raise Refused(f"name server {self.address} does not let this key write this name (REFUSED)", help=POLICY)
        if code in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE):
            raise Refused(f"name server {self.address} is not the primary of this zone ({said})", help=PRIMARY)
        if code in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            raise Refused(f"name server {self.address} takes no updates ({said})", help=PRIMARY)
        raise Unavailable(f"name server {self.address} could not update the zone ({said})", definite=False)

    async def _answer(self, question: dns.message.Message) -> dns.message.Message:
        where, port = await self._located()
        if self.key is not None:
            question.use_tsig(self.key)
        for _try in range(UDP_TRIES):
            try:
                answer, _tcp = await dns.asyncquery.udp_with_fallback(
                    question, where, timeout=TRY_S, port=port, ignore_unexpected=True
                )
            except dns.exception.Timeout:
                continue
            return answer
        return await dns.asyncquery.tcp(question, where, port=port, timeout=ASK_S)

    async def _located(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        bare = host.strip("[]")
        if dns.inet.is_address(bare):
            return bare, int(port)
        found = await asyncio.get_running_loop().getaddrinfo(bare, int(port), type=socket.SOCK_STREAM)
        return str(found[0][4][0]), int(port)

    def _translated(self, error: dns.exception.DNSException) -> FederationError:
        """What dnspython raises for an answer that it does not take."""
        key = self.key.name.to_text(omit_final_dot=True) if self.key is not None else "none"
        match error:
            case dns.tsig.PeerBadKey():
                return Refused(f"name server {self.address} does not know the key {key} (BADKEY)", help=KEY)
            case dns.tsig.PeerBadSignature() | dns.tsig.BadSignature():
                wrong = f"name server {self.address} has another secret for the key {key} (BADSIG)"
                return Refused(wrong, help=KEY)
            case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
                wrong = f"the clocks of this host and of name server {self.address} differ by minutes (BADTIME)"
                return Refused(wrong, help="Set both by NTP: signed updates are good for five minutes.")
            case _:
                wrong = f"the answer of name server {self.address} cannot be read: {type(error).__name__}: {error}"
                return Unavailable(wrong, definite=False)


ALLOW = "Let this host ask: allow-query in the server's configuration."
KEY = "spec.names.key_name, algorithm and the secret in key_file must be those of the server's configuration."
POLICY = "Let the key write A, AAAA, CNAME and TXT below the zone: update-policy in the server's configuration."
PRIMARY = "spec.names.server must be the primary of spec.names.zone, and take updates (dynamic, not a static zone)."
