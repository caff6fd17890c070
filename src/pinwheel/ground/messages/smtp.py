"""Mail by SMTP (RFC 5321), over TLS, within time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import aiosmtplib
import msgspec

from pinwheel.ground.messages.post import MayGo, Outcome, Outgoing
from pinwheel.kernel.errors import Invalid

SECONDS = 20.0
AT_ONCE = 4
NOTE_CHARACTERS = 300
LOCAL = ("localhost", "127.0.0.1", "::1")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail is handed over. The address comes from the operator's environment alone: no page
    and no caller can name another one."""

    host: str
    port: int
    tls: bool  # from the first byte; otherwise by STARTTLS
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Server(host={self.host!r}, port={self.port}, …)"

    @property
    def is_local(self) -> bool:
        return self.host in LOCAL


def server_of(url: str) -> Server:
    """``smtp://user:password@host:587`` (STARTTLS) or ``smtps://…:465``; else ``Invalid``."""
    try:
        parts = urlsplit(url)
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise Invalid(
            "PINWHEEL_SMTP_URL",
            "give smtp://user:password@host:587 or smtps://…:465",
            "格式应为 smtp://用户:密码@主机:587 或 smtps://…:465",
        )
    return Server(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "smtps",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


class Smtp:
    """Carries letters over a few connections at a time. Without TLS only to this machine."""

    def __init__(self, server: Server, sender: str, *, trust: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.sender = sender
        self.trust = trust or ssl.create_default_context()

    async def carry(self, letters: Sequence[Outgoing], may_go: MayGo) -> list[Outcome]:
        shares = [letters[n::AT_ONCE] for n in range(AT_ONCE)]
        done = await asyncio.gather(*(self._carry(s, may_go) for s in shares if s))
        return [outcome for share in done for outcome in share]

    async def _carry(self, letters: Sequence[Outgoing], may_go: MayGo) -> list[Outcome]:
        done: list[Outcome] = []
        client = self._client()
        try:
            await client.connect()
            for letter in letters:
                outcome = await self._one(client, letter, may_go)
                if outcome is not None:
                    done.append(outcome)
                if not client.is_connected:
                    raise aiosmtplib.SMTPServerDisconnected("the server closed the connection")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            note = _note(error)
            known = {o.id for o in done}
            left = [o for o in letters if o.id not in known]
            done += [Outcome(o.id, o.attempts, "retry", note) for o in left]
        finally:
            client.close()
        return done

    def _client(self) -> aiosmtplib.SMTP:
        server = self.server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=not (server.tls or server.is_local),
            username=server.user,
            password=server.password,
            timeout=SECONDS,
            tls_context=self.trust,
        )

    async def _one(
        self, client: aiosmtplib.SMTP, letter: Outgoing, may_go: MayGo
    ) -> Outcome | None:
        """The words leave with DATA: the last look is right before it."""
        try:
            await client.mail(self.sender)
            await client.rcpt(letter.to)
        except aiosmtplib.SMTPRecipientRefused as error:
            await client.rset()
            return _refused(letter, error.code, error.message, at_recipient=True)
        except aiosmtplib.SMTPResponseException as error:
            await client.rset()
            return _refused(letter, error.code, error.message)
        if letter.id not in await may_go([letter.id]):
            await client.rset()
            return None
        try:
            said = await client.data(letter.raw)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(letter, error.code, error.message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Outcome(letter.id, letter.attempts, "unsure", _note(error))
        return Outcome(letter.id, letter.attempts, "sent", said.message[:NOTE_CHARACTERS])


def _refused(letter: Outgoing, code: int, message: str, *, at_recipient: bool = False) -> Outcome:
    """RFC 5321: 4xx may work later, 5xx will not. The address itself is bad when the recipient was
    refused and the enhanced status (RFC 3463) speaks neither of policy (5.7) nor of a full box."""
    note = f"{code} {message}"[:NOTE_CHARACTERS]
    if not 500 <= code < 600:
        return Outcome(letter.id, letter.attempts, "retry", note)
    is_bad = at_recipient and code in (550, 551, 553) and message[:3] not in ("5.7", "5.2")
    return Outcome(letter.id, letter.attempts, "refused", note, is_bad)


def _note(error: BaseException) -> str:
    """What a person is told of it; a server's answer carries no secret of ours."""
    said = str(error) or type(error).__name__
    return said.replace("\0", "")[:NOTE_CHARACTERS]
