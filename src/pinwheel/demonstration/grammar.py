"""Reads the word lists and makes titles of them: pairs that say the same in both languages, each
used once."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from pinwheel.demonstration.model import Words

HERE = Path(__file__).parent
SLOT = re.compile(r"{(\w+)}")
A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[AEIOU])")
FULL_WIDTH = str.maketrans({",": "，", ":": "：", "?": "？", "!": "！"})


@cache
def load(name: str) -> dict[str, Any]:
    """One of the word lists beside this file."""
    return tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def pairs(text: str, parted_by: str = ";") -> tuple[Words, ...]:
    """Words from "English|中文" pairs; an empty pair is an empty text."""
    found = []
    for part in text.split(parted_by):
        en, _, zh = part.partition("|")
        found.append(Words(en, zh))
    return tuple(found)


def filled(form: Words, chosen: dict[str, Words]) -> Words:
    """A form with its slots filled; the English one starts with a capital, the Chinese one has
    full-width marks."""
    en = SLOT.sub(lambda m: chosen[m[1]].en, form.en)
    zh = SLOT.sub(lambda m: chosen[m[1]].zh, form.zh)
    en = A_BEFORE_VOWEL.sub(r"\1n ", en)
    return Words(en[:1].upper() + en[1:], zh.translate(FULL_WIDTH))


def titles_of(genre: dict[str, Any], r: Random) -> Iterator[Words]:
    """Every title of a genre once, the forms taking turns as long as they last."""
    slots = {key: pairs(text) for key, text in genre.items() if key not in ("forms", "subtitles")}
    queues = []
    for text in genre["forms"]:
        form = pairs(text)[0]
        names = sorted(set(SLOT.findall(form.en)))
        every = [
            filled(form, dict(zip(names, values, strict=True)))
            for values in product(*(slots[name] for name in names))
        ]
        r.shuffle(every)
        queues.append(every)
    while queues:
        for queue in list(queues):
            if queue:
                yield queue.pop()
            else:
                queues.remove(queue)
