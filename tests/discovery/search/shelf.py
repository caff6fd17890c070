"""A small bilingual shelf to search in."""

import random
from typing import Any
from uuid import UUID

from pinwheel.discovery.search import Category, Document

BOOKS = Category("books", {"en": "Books", "zh-CN": "图书"})
BAGS = Category("bags", {"en": "Handbags", "zh-CN": "女包"})
SLEEVES = Category("sleeves", {"en": "Laptop sleeves", "zh-CN": "电脑包"})
GPUS = Category("gpus", {"en": "Graphics cards", "zh-CN": "显卡"})
LAPTOPS = Category("laptops", {"en": "Laptops", "zh-CN": "笔记本电脑"})


def pid(number: int) -> UUID:
    return UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number)


def item(number: int, en: str = "", zh: str = "", **more: Any) -> Document:
    titles = {k: v for k, v in (("en", en), ("zh-CN", zh)) if v}
    return Document(pid(number), titles, slug=f"item-{number}", currency="CNY", **more)


SHELF = [
    item(1, "The Three-Body Problem", "三体（全集）", brands=["刘慈欣"], categories=[BOOKS],
         identifiers=["978-7-5366-9293-0"], price_minor=5990, facets={"binding": ["paperback"]}),
    item(2, "Harry Potter and the Philosopher's Stone", "哈利·波特与魔法石", categories=[BOOKS],
         brands=["J. K. Rowling"], identifiers=["0-7475-3269-9"], price_minor=4500,
         facets={"binding": ["hardcover"]}),
    item(3, "Harry Potter and the Chamber of Secrets", "哈利·波特与密室", categories=[BOOKS],
         brands=["J. K. Rowling"], price_minor=4600, facets={"binding": ["paperback"]}),
    item(4, "Leather handbag", "女士真皮皮包", categories=[BAGS], brands=["Loma"],
         price_minor=39900, facets={"colour": ["red"], "material": ["leather"]}),
    item(5, "Canvas handbag", "帆布手提包", categories=[BAGS], brands=["Loma"],
         price_minor=9900, facets={"colour": ["red"], "material": ["canvas"]}),
    item(6, "Canvas handbag, blue", "帆布手提包 蓝色", categories=[BAGS], brands=["Tule"],
         price_minor=9800, facets={"colour": ["blue"], "material": ["canvas"]}),
    item(7, "Gainer GTX-1660 Super 6GB graphics card", "GTX1660 显卡", categories=[GPUS],
         identifiers=["GN-1660-S6"], price_minor=169900),
    item(8, 'Slimbook 15.6" laptop 16 GB', "轻薄笔记本 15.6英寸", categories=[LAPTOPS],
         price_minor=499900, sold_units=120, rating=4.5),
    item(9, "Laptop sleeve 15.6 inch", "电脑内胆包", categories=[SLEEVES], price_minor=7900),
    item(10, "Café crème filter coffee", "咖啡", price_minor=2990, sold_units=900),
    item(11, "Bluetooth headset", "蓝牙耳机", price_minor=12900),
    item(12, "Sold out lamp", "台灯", price_minor=100, buyable=False),
]  # fmt: skip

WORDS = [
    *("red", "blue", "leather", "canvas", "steel", "wireless", "usb", "cable", "charger", "lamp"),
    *("desk", "chair", "mouse", "三体", "皮包", "手机", "充电器", "台灯", "书桌", "键盘", "图书"),
]


def many(count: int, seed: int = 7) -> list[Document]:
    """Made-up products with few words, so that many scores tie."""
    rng = random.Random(seed)
    return [
        item(1000 + n, " ".join(rng.choices(WORDS, k=rng.randint(2, 6))),
             description=" ".join(rng.choices(WORDS, k=8)), price_minor=rng.randint(1, 40) * 100,
             brands=[rng.choice(["Loma", "Tule"])], facets={"colour": [rng.choice(WORDS[:2])]},
             sold_units=rng.choice([0, 0, 5, 80]))
        for n in range(count)
    ]  # fmt: skip
