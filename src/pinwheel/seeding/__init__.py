"""Seeding: fills an empty database with the labelled demonstration shop, through the same doors as
everybody.

`seed(db, say)` does it once: goods with drawn pictures, prices that really changed, stock in two
places, people with printed logins, and a month of orders that were placed, paid, sent, delivered,
cancelled by the real verbs at their own time; and around it a season of campaigns that brought
buyers in. Each step
commits with a marker, so a killed run goes on where it ended, and a shop that holds anything of its
own is left alone.
"""

from collections.abc import Callable

from pinwheel.demonstration import SEED, order_history, shop
from pinwheel.discovery import search
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.seeding.goods import fill_goods, settled_products
from pinwheel.seeding.growth import lives_of
from pinwheel.seeding.history import play_history
from pinwheel.seeding.loops import open_today
from pinwheel.seeding.marker import Marker, begun
from pinwheel.seeding.people import LOGINS, fill_people, stand_in

__all__ = ["LOGINS", "ORDERS_A_DAY", "Say", "seed"]

Say = Callable[[str], None]
ORDERS_A_DAY = 16
DAYS = 30
BUYERS = 240


async def seed(
    db: Database, say: Say, *, days: int = DAYS, orders_a_day: int = ORDERS_A_DAY, most: int = 0
) -> list[str]:
    """Fill the shop if it is empty or half filled; lines for the operator to read. ``most`` > 0
    seeds only so many products (for tests)."""
    marker = await begun(db)
    if marker is None:
        return []
    if not marker.is_done:
        await _fill(db, marker, say, days, orders_a_day, most)
    return [
        "Demonstration logins / 演示账号",
        *(f"  {who.email}   {who.password}   {who.role}" for who in LOGINS),
    ]


async def _index(db: Database, say: Say) -> None:
    """Have the search index ready before the first visitor comes."""
    settings: Settings | None = db.given.get(Settings)
    if settings is None:
        return
    follower = search.Follower(db, settings.data_dir / "search")
    with follower.writer:
        await follower.begin()
    say("  search index / 搜索索引")


async def _fill(
    db: Database, marker: Marker, say: Say, days: int, orders_a_day: int, most: int
) -> None:
    say("Filling the demonstration shop … / 正在准备演示商店 …")
    content = shop(SEED, marker.began_at, review_count=9000)
    products = content.products
    if most:
        # Books come first and things after them: keep some of both.
        products = (*products[: most - most // 3], *products[-(most // 3) :])
    await fill_goods(db, marker, content.categories, products, say)
    plans = order_history(
        settled_products(products),
        SEED,
        marker.began_at,
        days=days,
        orders_a_day=orders_a_day,
        buyers=BUYERS,
    )
    await fill_people(db, marker, plans, say)
    lives = lives_of(
        settled_products(products), plans, marker.began_at,
        days=days, orders_a_day=orders_a_day, seed=SEED,
    )  # fmt: skip
    every = [*plans, *(plan for life in lives for plan in life.season.plans)]
    living = await play_history(
        db, marker, products, every, content.reviews, lives, stand_in(plans), say
    )
    await open_today(db, marker, living if lives else None, say)
    await _index(db, say)
    await marker.finish(db)
    say("The demonstration shop is ready. / 演示商店已就绪。")
