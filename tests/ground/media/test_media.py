"""Pictures: what is refused, what is taken out, what goes when it must."""

from __future__ import annotations

import asyncio
import contextlib
import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import web_world
from pinwheel import app
from pinwheel.ground import identity, media
from pinwheel.ground.identity import Caller, PersonErased
from pinwheel.ground.media import NotAPicture, PictureTooLarge
from pinwheel.ground.media.actions import store_of, sweep, sweep_strays
from pinwheel.ground.media.remaking import remade
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings

ANN, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


def drawn(kind: str = "JPEG", size: tuple[int, int] = (60, 40), mode: str = "RGB") -> bytes:
    kept = io.BytesIO()
    more = {}
    if kind == "JPEG":
        exif = Image.Exif()
        exif[0x010F] = "a maker's name"
        exif[0x0112] = 6  # lies on its side
        exif.get_ifd(0x8825)[1] = "N"
        more["exif"] = exif
    Image.new(mode, size, "teal").save(kept, kind, **more)
    return kept.getvalue()


@pytest.fixture
def house(db: Database, tmp_path: Path) -> Database:
    media.use(db, tmp_path / "media")
    return db


def files(db: Database) -> list[Path]:
    return [path for path in store_of(db).folder.rglob("*") if path.is_file()]


# --- what is let in


def test_where_it_was_taken_is_not_kept_and_it_stands_upright() -> None:
    made = remade(drawn())
    assert (made.width, made.height) == (40, 60)
    with Image.open(io.BytesIO(made.body)) as kept:
        assert kept.format == "WEBP" and not kept.getexif() and "exif" not in kept.info
    assert b"maker" not in made.body


def test_what_hides_behind_a_picture_is_dropped() -> None:
    made = remade(drawn("PNG") + b"<script>alert(1)</script>PK\x03\x04")
    assert b"script" not in made.body


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*(("PNG", mode) for mode in ("RGBA", "P", "I;16", "1")), ("WEBP", "RGB"), ("JPEG", "CMYK")],
)
def test_every_mode_becomes_the_same_kind(kind: str, mode: str) -> None:
    kept = io.BytesIO()
    Image.new(mode, (10, 10)).save(kept, kind)
    with Image.open(io.BytesIO(remade(kept.getvalue()).body)) as made:
        assert (made.format, made.mode) == ("WEBP", "RGB")


def test_a_large_picture_becomes_smaller() -> None:
    made = remade(drawn("PNG", (4000, 1000)))
    assert (made.width, made.height) == (1600, 400)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        drawn()[:200],
        drawn("PNG")[:60],
        b"\xff\xd8\xff" + bytes(50),
    ],
)
def test_what_is_no_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAPicture):
        remade(raw)


@given(st.binary(max_size=300), st.integers(0, 800))
@settings(max_examples=100)
def test_a_damaged_picture_is_remade_or_refused(noise: bytes, at: int) -> None:
    raw = drawn("PNG")
    with contextlib.suppress(NotAPicture, PictureTooLarge):
        remade(raw[:at] + noise + raw[at + len(noise) :])


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    kept = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(kept, "PNG", optimize=True)
    assert len(kept.getvalue()) < 100_000
    with pytest.raises(PictureTooLarge):
        remade(kept.getvalue())
    with pytest.raises(PictureTooLarge):
        remade(bytes(10_000_001))


# --- what is kept and what goes


async def test_the_same_picture_is_one_file_until_the_last_has_gone(house: Database) -> None:
    first = await media.keep_picture(house, drawn(), owner_id=ANN)
    second = await media.keep_picture(house, drawn(), owner_id=BOB)
    assert first.digest == second.digest and len(files(house)) == 1
    async with house.transaction() as tx:
        await media.remove_picture(tx, first.id, ANN)
    async with house.transaction() as tx:
        assert await sweep(tx) == 1
        assert list(await media.pictures(tx, [first.id, second.id])) == [second.id]
    assert len(files(house)) == 1
    async with house.transaction() as tx:
        await media.remove_picture(tx, second.id, None)
        await sweep(tx)
    assert files(house) == []


async def test_keeping_again_while_sweeping_loses_no_file(house: Database) -> None:
    for _ in range(5):
        first = await media.keep_picture(house, drawn(), owner_id=ANN)
        async with house.transaction() as tx:
            await media.remove_picture(tx, first.id, ANN)

        async def swept() -> None:
            async with house.transaction() as tx:
                await sweep(tx)

        kept, _ = await asyncio.gather(media.keep_picture(house, drawn(), owner_id=BOB), swept())
        assert store_of(house).get(kept.digest) is not None
        async with house.transaction() as tx:
            await media.remove_picture(tx, kept.id, BOB)
            await sweep(tx)


async def test_whoever_is_erased_takes_their_pictures_along(house: Database) -> None:
    kept = await media.keep_picture(house, drawn(), owner_id=ANN)
    async with house.transaction() as tx:
        assert len(await media.export(tx, ANN)) == 1
        tx.emit(PersonErased(person_id=ANN))
    async with house.transaction() as tx:
        assert await media.pictures(tx, [kept.id]) == {}
        assert await media.export(tx, ANN) == []


async def test_a_file_without_a_row_goes_in_time(house: Database, clock: SetClock) -> None:
    """A process died between the file and its row."""
    digest = store_of(house).put(b"left behind")
    kept = await media.keep_picture(house, drawn(), owner_id=ANN)
    gone = 0
    clock.travel(days=3650)
    for _ in range(256):
        clock.travel(hours=1)
        async with house.transaction() as tx:
            gone += await sweep_strays(tx)
    assert gone == 1
    assert store_of(house).get(digest) is None
    assert store_of(house).get(kept.digest) is not None


# --- over HTTP


@pytest.fixture
async def api(house: Database) -> AsyncIterator[httpx2.AsyncClient]:
    edge = app.edge(Settings(secret="s" * 32, rate_limit_per_second=0), house)
    async with web_world.client(edge, house) as http:
        yield http


async def key(db: Database) -> dict[str, str]:
    async with db.transaction() as tx:
        person = await identity.register(tx, f"{uuid.uuid4().hex}@example.com")
        made = await identity.make_key(
            tx, Caller(kind="buyer", person_id=person.id, scopes=frozenset()), "test", []
        )
    return {"authorization": f"Bearer {made.key}"}


async def test_a_picture_is_sent_shown_safely_and_taken_away(
    house: Database, api: httpx2.AsyncClient
) -> None:
    ann, bob = await key(house), await key(house)
    assert (await api.post("/api/v1/pictures", content=drawn())).status_code in (401, 403)
    jpeg = {"content-type": "image/jpeg"}
    sent = await api.post("/api/v1/pictures", content=drawn(), headers=ann | jpeg)
    assert sent.status_code == 201
    at = f"/media/pictures/{sent.json()['id']}"
    shown = await api.get(at)
    assert shown.headers["content-type"] == "image/webp"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    again = await api.get(at, headers={"if-none-match": shown.headers["etag"]})
    assert again.status_code == 304
    mine = f"/api/v1/pictures/{sent.json()['id']}"
    assert (await api.delete(mine, headers=bob)).status_code == 404
    assert (await api.delete(mine, headers=ann)).status_code == 200
    assert (await api.get(at)).status_code == 404
    bad = await api.post("/api/v1/pictures", content=b"<svg/>", headers=ann | jpeg)
    assert bad.status_code == 415 and bad.json()["code"] == "not_a_picture"


async def test_a_form_may_send_it_too(house: Database, api: httpx2.AsyncClient) -> None:
    form = {"picture": ("a.png", drawn("PNG"), "image/png")}
    sent = await api.post("/api/v1/pictures", files=form, headers=await key(house))
    assert sent.status_code == 201
    empty = await api.post("/api/v1/pictures", data={"picture": "x"}, headers=await key(house))
    assert empty.status_code == 415
