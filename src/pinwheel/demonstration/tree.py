"""The category tree and the typed attributes that each node declares; children inherit what their
parents declare."""

import re

from pinwheel.demonstration.grammar import load, pairs
from pinwheel.demonstration.model import DemoAttribute, DemoCategory, DemoChoice, Words

LANGUAGES = (
    DemoChoice("zh-CN", Words("Chinese", "中文")),
    DemoChoice("en", Words("English", "英文")),
    DemoChoice("bilingual", Words("Chinese and English", "中英双语")),
)
BINDINGS = (
    DemoChoice("paperback", Words("Paperback", "平装")),
    DemoChoice("hardcover", Words("Hardcover", "精装")),
)
BOOK_ATTRIBUTES = (
    DemoAttribute("binding", Words("Binding", "装帧"), "choice", choices=BINDINGS),
    DemoAttribute("language", Words("Language", "语言"), "choice", choices=LANGUAGES),
    DemoAttribute("pages", Words("Pages", "页数"), "integer"),
    DemoAttribute("published_year", Words("Published", "出版年份"), "integer"),
    DemoAttribute("imprint", Words("Imprint", "出版品牌"), "text"),
    DemoAttribute("series", Words("Series", "丛书"), "text"),
    DemoAttribute("height_mm", Words("Height", "高"), "integer", "mm", is_facet=False),
    DemoAttribute("width_mm", Words("Width", "宽"), "integer", "mm", is_facet=False),
)
READER_AGES = (
    DemoChoice("3-6", Words("3 to 6 years", "3至6岁")),
    DemoChoice("6-9", Words("6 to 9 years", "6至9岁")),
)
SCRIPTED = {
    "children": (DemoAttribute("age", Words("Age", "适读年龄"), "choice", choices=READER_AGES),),
}


def value_of(name: str) -> str:
    """A choice's value from its English name: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def choices_of(text: str) -> tuple[DemoChoice, ...]:
    """Choices from "English|中文" pairs, each once."""
    return tuple({value_of(w.en): DemoChoice(value_of(w.en), w) for w in pairs(text)}.values())


def colour_choices() -> tuple[DemoChoice, ...]:
    """The named colours as choices."""
    named = (part.split("|") for part in load("goods")["colours"]["names"].split(";"))
    return tuple(DemoChoice(value, Words(en, zh)) for value, en, zh in named)


def thing_attributes(slug: str) -> tuple[DemoAttribute, ...]:
    """What the kinds of one category need: their make, sizes and measured figures."""
    goods = load("goods")
    kinds = [k for k in goods["kinds"].values() if k["category"] == slug]
    if not kinds:
        return ()
    made_of = choices_of(";".join(k["materials"] for k in kinds))
    found = [DemoAttribute("make", Words("Make", "材质与款式"), "choice", choices=made_of)]
    sizes = ";".join(k["sizes"] for k in kinds if "sizes" in k)
    if sizes:
        found.append(
            DemoAttribute("size", Words("Size", "规格"), "choice", choices=choices_of(sizes))
        )
    for key, text in goods["units"].items():
        if any(key in k for k in kinds):
            en, zh, unit = text.split("|")
            found.append(DemoAttribute(key, Words(en, zh), "integer", unit))
    return tuple(found)


def categories() -> tuple[DemoCategory, ...]:
    """The whole tree, parents first."""
    colour = DemoAttribute("colour", Words("Colour", "颜色"), "choice", choices=colour_choices())
    found = []
    for slug, text in load("goods")["categories"].items():
        en, zh, parent = text.split("|")
        own = SCRIPTED.get(slug, ()) + thing_attributes(slug)
        if slug == "books":
            own = BOOK_ATTRIBUTES
        elif not parent:
            own = (colour, *own)
        found.append(DemoCategory(slug, parent or None, Words(en, zh), own))
    return tuple(found)
