"""A mail server for tests: real sockets, and the faults a real one has."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage

Answer = Callable[[str], str]


class MailServer:
    """``letters`` is what arrived. ``at_rcpt`` answers for an address; ``before_rcpt`` is waited
    for before it does; ``silent_after_data`` takes a letter and hangs up without a word."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, EmailMessage]] = []
        self.asked: list[str] = []
        self.at_rcpt: Answer = lambda address: "250 2.1.5 ok"
        self.before_rcpt: asyncio.Event | None = None
        self.reached_rcpt = asyncio.Event()
        self.silent_after_data = False
        self.port = 0

    def to(self, address: str) -> list[EmailMessage]:
        return [letter for whom, letter in self.letters if whom == address]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whom = ""

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 mail.test ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb = line.upper()
            if verb.startswith("EHLO"):
                say("250-mail.test")
                say("250 8BITMIME")
            elif verb.startswith("RCPT"):
                whom = line.partition("<")[2].partition(">")[0]
                self.asked.append(whom)
                self.reached_rcpt.set()
                if self.before_rcpt is not None:
                    await self.before_rcpt.wait()
                say(self.at_rcpt(whom))
            elif verb == "DATA":
                say("354 go on")
                raw = await reader.readuntil(b"\r\n.\r\n")
                letter = email.message_from_bytes(raw[:-5], policy=email.policy.default)
                self.letters.append((whom, letter))  # type: ignore[arg-type]
                if self.silent_after_data:
                    break
                say("250 2.0.0 queued")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("250 ok")
            await writer.drain()
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    made = MailServer()
    server = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
