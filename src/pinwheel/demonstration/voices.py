"""What simulated buyers say and do: reviews of uneven quality, and a month of orders with its
weekdays and hours."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from pinwheel.demonstration.grammar import load
from pinwheel.demonstration.model import (
    DemoOrderLine,
    DemoOrderPlan,
    DemoProduct,
    DemoReview,
    Language,
    Outcome,
)

RATING_WORDS = {5: "five", 4: "four", 3: "three", 2: "two", 1: "one"}
RATING_WEIGHTS = (56, 26, 9, 5, 4)
WORDLESS_SHARE = 0.22
CHINESE_SHARE = 0.66
MINUTES_A_YEAR = 525_600

# Monday first: a shop of books and small things is busiest at the weekend.
WEEKDAY_WEIGHT = (0.9, 0.86, 0.9, 0.94, 1.02, 1.22, 1.26)
HOUR_WEIGHT = (2, 1, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 10, 8, 8, 8, 8, 8, 9, 11, 14, 15, 11, 6)
OUTCOMES: tuple[Outcome, ...] = ("delivered", "returned", "cancelled")
OUTCOME_WEIGHTS = (90, 6, 4)


def phrases(shape: str, rating: int) -> list[tuple[str, str, str, str]]:
    """English title, Chinese title, English body and Chinese body, for one rating."""
    found = []
    for text in load("texts")["reviews"][shape][RATING_WORDS[rating]].split(";;"):
        parts = [*text.split("|")]
        bare = [p for p in parts if p]
        en_title, zh_title = (parts[0], parts[1]) if len(bare) == 4 else ("", "")
        found.append((en_title, zh_title, parts[-2], parts[-1]))
    return found


def reviews(
    products: Sequence[DemoProduct], r: Random, until: datetime, count: int, buyers: int
) -> list[DemoReview]:
    """About `count` reviews of the year before `until`; a buyer reviews a product once. Newest
    last."""
    bank = {(s, n): phrases(s, n) for s in ("book", "object") for n in RATING_WORDS}
    weights = [min(p.popularity, 40) for p in products]
    ratings = tuple(RATING_WORDS)
    seen: set[tuple[str, int]] = set()
    found: list[DemoReview] = []
    for product in r.choices(products, weights, k=count):
        buyer = r.randint(1, buyers)
        if (product.slug, buyer) in seen:
            continue
        seen.add((product.slug, buyer))
        rating = r.choices(ratings, RATING_WEIGHTS)[0]
        language: Language = "zh-CN" if r.random() < CHINESE_SHARE else "en"
        en_title, zh_title, en, zh = r.choice(bank[product.shape, rating])
        title, body = (zh_title, zh) if language == "zh-CN" else (en_title, en)
        if r.random() < WORDLESS_SHARE:
            title = body = ""
        at = until - timedelta(minutes=int(MINUTES_A_YEAR * r.random() ** 1.6) + 1)
        found.append(DemoReview(product.slug, buyer, rating, language, title, body, at))
    found.sort(key=lambda review: (review.at, review.product, review.buyer_number))
    return found


def order_history(
    products: Sequence[DemoProduct],
    seed: int,
    until: datetime,
    days: int = 30,
    orders_a_day: int = 40,
    buyers: int = 600,
) -> list[DemoOrderPlan]:
    """The orders of the `days` before `until`'s day, oldest first. `until` has a time zone;
    weekdays and hours are in it. A popular product is bought more, and few buyers buy often.
    Sold-out variants aren't ordered."""
    r = Random(seed)
    on_sale = [(v.sku, p.popularity) for p in products for v in p.variants if sum(v.stock) > 0]
    skus = [sku for sku, _ in on_sale]
    pull = list(accumulate(min(weight, 60) for _, weight in on_sale))
    loyal = list(accumulate(r.paretovariate(1.4) for _ in range(buyers)))
    midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
    plans: list[DemoOrderPlan] = []
    for back in range(days, 0, -1):
        start = midnight - timedelta(days=back)
        expected = orders_a_day * WEEKDAY_WEIGHT[start.weekday()]
        for _ in range(max(1, round(r.gauss(expected, expected**0.5)))):
            hour = r.choices(range(24), HOUR_WEIGHT)[0]
            lines = r.choices((1, 2, 3, 4, 6), (52, 26, 12, 7, 3))[0]
            basket = {
                sku: r.choices((1, 2, 3), (90, 8, 2))[0]
                for sku in r.choices(skus, cum_weights=pull, k=lines)
            }
            plans.append(
                DemoOrderPlan(
                    at=start + timedelta(hours=hour, seconds=r.randrange(3600)),
                    buyer_number=r.choices(range(1, buyers + 1), cum_weights=loyal)[0],
                    lines=tuple(DemoOrderLine(s, q) for s, q in sorted(basket.items())),
                    outcome=r.choices(OUTCOMES, OUTCOME_WEIGHTS)[0],
                )
            )
    plans.sort(key=lambda plan: (plan.at, plan.buyer_number))
    return plans
