"""The demonstration shop: the same every time, labelled, well-formed, and drawn within its
limits."""

import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from pinwheel import demonstration
from pinwheel.demonstration.covers import BY_GENRE, DRAWINGS, draw
from pinwheel.demonstration.grammar import load
from pinwheel.demonstration.identifiers import check_digit, demo_gtin, demo_isbn
from pinwheel.demonstration.lettering import fit, is_cjk, width
from pinwheel.demonstration.objects import SHAPES
from pinwheel.demonstration.palettes import PALETTES, Palette, contrast
from pinwheel.demonstration.tones import COLOURS

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
LANGUAGES: tuple[demonstration.Language, ...] = ("en", "zh-CN")


@pytest.fixture(scope="module")
def shop() -> demonstration.DemoShop:
    return demonstration.shop(7, UNTIL)


def test_the_same_seed_gives_the_same_shop(shop: demonstration.DemoShop) -> None:
    assert demonstration.shop(7, UNTIL) == shop
    assert demonstration.shop(8, UNTIL) != shop


def test_size(shop: demonstration.DemoShop) -> None:
    shapes = Counter(p.shape for p in shop.products)
    assert shapes == {"book": 3000, "object": 440}


@pytest.mark.parametrize("part", ["en", "zh"])
def test_every_title_occurs_once(shop: demonstration.DemoShop, part: str) -> None:
    titles = Counter(getattr(p.title, part) for p in shop.products)
    assert [t for t, n in titles.items() if n > 1] == []


def test_every_title_is_in_its_language(shop: demonstration.DemoShop) -> None:
    for p in shop.products:
        assert is_cjk(p.title.zh) and not is_cjk(p.title.en)
        assert "{" not in p.title.en + p.title.zh and "  " not in p.title.en


def test_every_number_is_used_once_and_checks(shop: demonstration.DemoShop) -> None:
    variants = [(p.shape, v) for p in shop.products for v in p.variants]
    assert len({v.sku for _, v in variants}) == len({v.gtin for _, v in variants}) == len(variants)
    for shape, v in variants:
        assert len(v.gtin) == 13 and int(v.gtin[12]) == check_digit(v.gtin[:12])
        assert v.gtin.startswith("979" if shape == "book" else "2")


def test_check_digit_is_the_published_one() -> None:
    assert check_digit("978030640615") == 7
    assert check_digit("400638133393") == 1
    assert len(demo_isbn(0)) == len(demo_gtin(0)) == 13


def test_a_list_price_is_always_higher(shop: demonstration.DemoShop) -> None:
    for p in shop.products:
        for v in p.variants:
            assert set(v.price_minor) == set(demonstration.RATES_CNY)
            assert min(v.price_minor.values()) > 0 and v.weight_grams > 0 and min(v.stock) >= 0
            for code, was in v.list_price_minor.items():
                assert was > v.price_minor[code]


def inherited(shop: demonstration.DemoShop) -> dict[str, dict[str, demonstration.DemoAttribute]]:
    found: dict[str, dict[str, demonstration.DemoAttribute]] = {}
    for c in shop.categories:
        assert c.parent is None or c.parent in found, "a parent comes before its children"
        found[c.slug] = {**found.get(c.parent or "", {}), **{a.key: a for a in c.attributes}}
    return found


def test_products_keep_to_their_categorys_attributes(shop: demonstration.DemoShop) -> None:
    schema = inherited(shop)
    for p in shop.products:
        declared = schema[p.category]
        facts = dict(p.attributes)
        for v in p.variants:
            for key, value in (*facts.items(), *v.options.items()):
                attribute = declared[key]
                if attribute.kind == "integer":
                    assert isinstance(value, int)
                elif attribute.kind == "choice":
                    assert value in {c.value for c in attribute.choices}


def test_everything_says_that_it_is_a_demonstration(shop: demonstration.DemoShop) -> None:
    for p in shop.products:
        assert "emonstration" in p.description.en and "演示" in p.description.zh
    assert all("Demonstration" in r.reviewer.en and "演示" in r.reviewer.zh for r in shop.reviews)


def test_ratings_look_like_a_shops(shop: demonstration.DemoShop) -> None:
    ratings = Counter(r.rating for r in shop.reviews)
    assert set(ratings) == {1, 2, 3, 4, 5} and ratings[5] > ratings[4] > ratings[3] > ratings[1]
    assert all(r.at < UNTIL for r in shop.reviews)
    assert len({(r.product, r.buyer_number) for r in shop.reviews}) == len(shop.reviews)


def test_a_month_of_orders(shop: demonstration.DemoShop) -> None:
    plans = demonstration.order_history(shop.products, 7, UNTIL)
    assert plans == demonstration.order_history(shop.products, 7, UNTIL)
    assert plans == sorted(plans, key=lambda plan: plan.at) and plans[-1].at < UNTIL
    outcomes = Counter(plan.outcome for plan in plans)
    assert outcomes["delivered"] > outcomes["returned"] > 0 < outcomes["cancelled"]
    in_stock = {v.sku for p in shop.products for v in p.variants if sum(v.stock)}
    assert all(line.sku in in_stock and line.quantity > 0 for plan in plans for line in plan.lines)


def test_weekends_are_busier(shop: demonstration.DemoShop) -> None:
    plans = demonstration.order_history(shop.products, 7, UNTIL, days=28, orders_a_day=200)
    days = Counter(plan.at.weekday() for plan in plans)
    assert min(days[5], days[6]) > max(days[0], days[1], days[2])


@pytest.mark.parametrize("name", DRAWINGS)
def test_covers_are_well_formed_small_and_say_their_title(name: str) -> None:
    long = "A Short History of the Kitchen Window & Other Rooms <in Nine Parts>"
    for title in ("Tea", "茶", long, "厨房窗户与其他房间以及走廊的简史（增订第二版）"):
        for palette in PALETTES:
            drawn = draw(name, demonstration_random(title), palette, title, "A Novel", "演示出版")
            root = ET.fromstring(drawn)
            assert len(drawn.encode()) <= 6 * 1024
            assert root.findtext("{http://www.w3.org/2000/svg}title") == title
            assert "style=" not in drawn and "<script" not in drawn


def demonstration_random(title: str) -> Random:
    return Random(len(title))


def test_every_genre_has_drawings_and_every_drawing_is_used() -> None:
    assert set(BY_GENRE) == set(load("goods")["quota"])
    assert {name for names in BY_GENRE.values() for name in names} == set(DRAWINGS)
    assert len(DRAWINGS) >= 12


@pytest.mark.parametrize("palette", PALETTES, ids=lambda p: str(p.ground))
def test_ink_can_be_read_on_its_ground(palette: Palette) -> None:
    assert contrast(palette.ground, palette.ink) >= 4.5


@pytest.mark.parametrize("kind", SHAPES)
def test_things_are_well_formed_and_small(kind: str) -> None:
    for colour in COLOURS:
        for seed in (1, 2):
            drawn = demonstration.object_svg(kind, seed, colour, "Mug & <co>")
            ET.fromstring(drawn)
            assert len(drawn.encode()) <= 6 * 1024 and "style=" not in drawn


def test_pictures_are_the_same_every_time(shop: demonstration.DemoShop) -> None:
    for product in shop.products[::97]:
        for language in LANGUAGES:
            assert demonstration.picture(product, language) == demonstration.picture(
                product, language
            )


@pytest.mark.parametrize(
    "text", ["Tea", "茶", "The Lighthouse Keeper of Camphor Hill", "樟树岗的灯塔守护人"]
)
def test_type_fits_its_box(text: str) -> None:
    block = fit(text, 200, 120, 60)
    assert block.height <= 120 and all(width(line, block.size) <= 200 for line in block.lines)
    assert "".join(block.lines).replace(" ", "") == text.replace(" ", "")
