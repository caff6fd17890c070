"""The guard of calls out: what it lets through, and what a receiver may do to us."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import world
from pinwheel.kernel.outbound import (
    CLOSED_4,
    AddressRefused,
    Outbound,
    Unreachable,
    is_public,
)

PUBLIC = "93.184.215.14"


def answering(*addresses: str) -> tuple[Outbound, list[str]]:
    """A guard whose names resolve to ``addresses``, and the names it was asked for."""
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return list(addresses)

    return Outbound(resolver=resolver), asked


closed_4 = st.sampled_from(CLOSED_4).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1]))
)


@given(st.integers(0, 2**32 - 1))
def test_no_special_address_is_public(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if is_public(str(address)):
        assert address.is_global and not address.is_multicast


@given(closed_4)
def test_closed_addresses_stay_closed_in_every_dress(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    assert not is_public(str(address))
    for dressed in (
        int(ipaddress.IPv6Address("::ffff:0:0")) | number,  # mapped
        number,  # compatible (deprecated)
        (0x2002 << 112) | (number << 80) | 1,  # 6to4
        int(ipaddress.IPv6Address("64:ff9b::")) | number,  # NAT64
        (0x20010000 << 96) | (number ^ 0xFFFF_FFFF),  # Teredo
        int(ipaddress.IPv6Address("::ffff:0:0:0")) | number,  # SIIT
    ):
        assert not is_public(str(ipaddress.IPv6Address(dressed)))


@given(st.integers(0, 2**128 - 1))
def test_no_special_ipv6_address_is_public(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if is_public(str(address)) and address not in ipaddress.IPv6Network("64:ff9b::/96"):
        assert address.is_global and not address.is_multicast
        assert address.ipv4_mapped is None and address.teredo is None and address.sixtofour is None


@pytest.mark.parametrize(
    "address", ["8.8.8.8", PUBLIC, "2606:4700:4700::1111", "64:ff9b::808:808", "2a00:1450::1"]
)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700::1%1", "", "example.com", "1.2.3"])
def test_what_is_no_plain_address_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "file:///etc/passwd",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:169.254.169.254]/latest",
        "https://169.254.169.254/latest/meta-data",
        "https://10.1.2.3:8443/",
        "https://name:word@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/ a",
        "https://example.com/\r\nhost: other",
        "https://",
        "//example.com/hook",
        "https://example.com:0/",
        "https://" + "a" * 3000 + ".com/",
    ],
)
def test_a_bad_address_is_refused_before_anybody_is_asked(url: str) -> None:
    with pytest.raises(AddressRefused):
        Outbound().checked(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost", "0177.0.0.1"])
async def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises((AddressRefused, Unreachable)):
        await Outbound(seconds=5).vetted(f"https://{host}/")


@given(st.lists(st.sampled_from([PUBLIC, "2606:4700::1"]), max_size=3), closed_4)
async def test_one_private_address_refuses_the_name(good: list[str], number: int) -> None:
    guard, _ = answering(*good, str(ipaddress.IPv4Address(number)))
    with pytest.raises(AddressRefused):
        await guard.vetted("https://hooks.example.com/")


async def test_a_name_without_addresses_is_unreachable() -> None:
    guard, _ = answering()
    with pytest.raises(Unreachable):
        await guard.vetted("https://hooks.example.com/")


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], object]


@asynccontextmanager
async def receiver(
    script: Callable[[bytes, asyncio.StreamWriter], AsyncIterator[None] | object],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server that answers each request by ``script(head, writer)``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            found = script(head, writer)
            if asyncio.iscoroutine(found):
                await found
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def local(resolved: str = "127.0.0.1", **how: object) -> tuple[Outbound, list[str]]:
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return [resolved] if len(asked) == 1 else ["10.0.0.1"]  # a name that changes its mind

    patient = {"seconds": world.PATIENCE_SECONDS} | how
    return Outbound(allow_loopback=True, resolver=resolver, **patient), asked  # type: ignore[arg-type]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    seen: list[bytes] = []

    def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/x\r\n"
                     b"content-length: 0\r\n\r\n")  # fmt: skip

    async with receiver(script) as port:
        guard, _ = local()
        reply = await guard.send("POST", f"http://127.0.0.1:{port}/a", body=b"{}")
    assert reply.status == 302
    assert len(seen) == 1


async def test_an_endless_answer_is_cut() -> None:
    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with receiver(script) as port:
        guard, _ = local()
        reply = await guard.send("GET", f"http://127.0.0.1:{port}/", most_bytes=1000)
    assert reply.body == b"x" * 1000


async def test_a_receiver_that_trickles_or_says_nothing_runs_out_of_time() -> None:
    async def trickle(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:  # each piece in time, the whole never
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with receiver(trickle) as port:
        guard, _ = local(seconds=0.4)
        with pytest.raises(Unreachable, match="no answer within"):
            await guard.send("GET", f"http://127.0.0.1:{port}/")


async def test_a_dropped_connection_is_unreachable() -> None:
    async with receiver(lambda head, writer: writer.close()) as port:
        guard, _ = local()
        with pytest.raises(Unreachable):
            await guard.send("GET", f"http://127.0.0.1:{port}/")


async def test_a_packed_answer_is_not_unpacked() -> None:
    seen: list[bytes] = []

    def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b!"
        )

    async with receiver(script) as port:
        guard, _ = local()
        reply = await guard.send("GET", f"http://127.0.0.1:{port}/")
    assert reply.body == b"\x1f\x8b!"
    assert b"accept-encoding: identity" in seen[0].lower()


async def test_the_name_is_asked_once_and_kept_for_tls_and_host(tmp_path: Path) -> None:
    """DNS rebinding: the second answer of this name would be a private address."""
    server, client = certificate(tmp_path, "hooks.example.com")
    names: list[str | None] = []
    server.sni_callback = lambda _, name, __: names.append(name)
    seen: list[bytes] = []

    def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with receiver(script, server) as port:
        guard, asked = local(trust=client)
        reply = await guard.send("POST", f"https://hooks.example.com:{port}/a?b=c", body=b"{}")
    assert (reply.status, reply.body) == (200, b"ok")
    assert asked == ["hooks.example.com"]
    assert names == ["hooks.example.com"]
    assert seen[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: hooks.example.com:{port}\r\n".encode() in seen[0].lower()


async def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "other.example.com")
    async with receiver(lambda head, writer: None, server) as port:
        guard, _ = local(trust=client)
        with pytest.raises(Unreachable, match=r"(?i)certificate"):
            await guard.send("POST", f"https://hooks.example.com:{port}/")


async def test_http_stays_refused_for_a_name_that_is_not_this_machine() -> None:
    guard, _ = local(PUBLIC)
    with pytest.raises(AddressRefused):
        await guard.vetted("http://hooks.example.com/")


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server for ``name`` with a certificate of its own, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = folder / "certificate.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(public, private)
    client = ssl.create_default_context(cafile=str(public))
    return server, client
