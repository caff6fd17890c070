"""The people of the demonstration shop: those one can sign in as, and the simulated buyers."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence

import msgspec

from pinwheel.demonstration import DemoOrderPlan
from pinwheel.ground import identity, messages
from pinwheel.kernel.caller import Kind
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.trade import payments

AT_ONCE = 100
CONFIRM_SECONDS = 3600
WORDING = "News and offers by e-mail (demonstration)"


class Login(msgspec.Struct, frozen=True):
    """Somebody whom the person at the keyboard may sign in as. The password is public."""

    email: str
    password: str
    name: str
    kind: Kind
    role: str


LOGINS = (
    Login("buyer@demo.example", "pinwheel-buyer", "Demonstration buyer", "buyer", "buyer / 买家"),
    Login("clerk@demo.example", "pinwheel-clerk", "Demonstration clerk", "clerk", "clerk / 店员"),
    Login(
        "operator@demo.example",
        "pinwheel-operator",
        "Demonstration operator",
        "operator",
        "operator / 管理员",
    ),
)


class Home(msgspec.Struct, frozen=True):
    """Where simulated buyers live: a market, its language and a street that nobody lives in."""

    market: str
    language: str
    country: str
    city: str
    postal_code: str
    street: str
    region: str = ""


HOMES = (
    Home("CN", "zh-CN", "CN", "上海市", "200000", "演示路 {} 号", "上海市"),
    Home("CN", "zh-CN", "CN", "杭州市", "310000", "演示西路 {} 号", "浙江省"),
    Home("CN", "zh-CN", "CN", "广州市", "510000", "演示大道 {} 号", "广东省"),
    Home("CN", "zh-CN", "CN", "成都市", "610000", "演示巷 {} 号", "四川省"),
    Home("GB", "en", "GB", "Demonstration Town", "ZZ1 1ZZ", "{} Example Street"),
    Home("US", "en", "US", "Demonstration City", "00000", "{} Example Avenue", "WA"),
    Home("EU-DE", "en", "DE", "Musterstadt", "00000", "Musterweg {}"),
)


def home_of(buyer_number: int) -> Home:
    """Four in seven live in China."""
    return HOMES[buyer_number % len(HOMES)]


def line1_of(buyer_number: int) -> str:
    """Everybody lives in a house of their own."""
    return home_of(buyer_number).street.format(buyer_number)


def subscribes(buyer_number: int) -> bool:
    """Three in five want letters."""
    return buyer_number % 5 < 3


def email_of(buyer_number: int) -> str:
    return f"buyer{buyer_number}@demo.example"


def name_of(buyer_number: int) -> str:
    if home_of(buyer_number).language == "zh-CN":
        return f"演示买家 {buyer_number} 号"
    return f"Demonstration buyer {buyer_number}"


def stand_in(plans: Sequence[DemoOrderPlan]) -> int:
    """The Chinese buyer with the most orders: the one that visitors sign in as."""
    counted: dict[int, int] = {}
    for plan in plans:
        if home_of(plan.buyer_number) is HOMES[0]:
            counted[plan.buyer_number] = counted.get(plan.buyer_number, 0) + 1
    return max(counted, key=lambda number: (counted[number], -number)) if counted else 0


async def fill_people(
    db: Database, marker: Marker, plans: Sequence[DemoOrderPlan], say: Callable[[str], None]
) -> None:
    """The logins first, then everybody who will order."""
    long_ago = marker.began_at - dt.timedelta(days=60)
    if not marker.at("logins"):
        hashes = [await identity.hashed(who.password, who.email) for who in LOGINS]
        async with db.transaction(actor=ACTOR, now=long_ago) as tx:
            for who, password_hash in zip(LOGINS, hashes, strict=True):
                await _welcome(tx, who, password_hash)
            await marker.reach(tx, "logins", 1)
    numbers = sorted({plan.buyer_number for plan in plans} - {stand_in(plans)})
    for at in range(marker.at("buyers"), len(numbers), AT_ONCE):
        async with db.transaction(actor=ACTOR, now=long_ago) as tx:
            for number in numbers[at : at + AT_ONCE]:
                await welcome(tx, number)
            await marker.reach(tx, "buyers", at + AT_ONCE)
    say(f"  {len(numbers)} simulated buyers / 个模拟买家")


async def welcome(tx: Tx, number: int) -> uuid.UUID:
    """A simulated buyer's account; most of them want letters. Safe to repeat."""
    email, language = email_of(number), home_of(number).language
    found = await identity.person_with_email(tx, email)
    if found is not None:
        return found.id
    person = await identity.register(tx, email, name=name_of(number), language=language)
    if subscribes(number):
        await messages.subscribe(
            tx, email, language=language, wording=WORDING, source=ACTOR, person_id=person.id
        )
        until = tx.later_than(CONFIRM_SECONDS)
        token = messages.confirm_token(tx.db.vault, messages.hash_of(tx.db, email), until)
        await messages.confirm(tx, token, wording=WORDING, source=ACTOR)
    return person.id


async def _welcome(tx: Tx, who: Login, password_hash: str) -> None:
    person = await identity.register(
        tx, who.email, password_hash=password_hash, name=who.name, language="zh-CN"
    )
    if who.kind != "buyer":
        await identity.appoint(tx, person.id, who.kind, [])
        return
    home = HOMES[0]
    await identity.add_address(
        tx,
        person.id,
        identity.NewAddress(
            recipient_name=who.name,
            phone="000-0000-0000",
            country=home.country,
            region=home.region,
            city=home.city,
            line1=home.street.format(1),
            postal_code=home.postal_code,
        ),
    )
    for token, brand in (("tok_ok", "Sandbox card"), ("tok_challenge", "Sandbox card, confirmed")):
        kept = await payments.save_method(
            tx, person.id, provider="sandbox", token=token, brand=brand
        )
        if isinstance(kept, Refusal):
            raise kept
