"""Lists of products: what the address asks, what the search answers, what the page shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from babel.numbers import get_currency_precision

from pinwheel.discovery import search
from pinwheel.faces.storefront import price_tags, queries
from pinwheel.faces.storefront.frame import Frame
from pinwheel.faces.storefront.showing import card, label_text, value_text
from pinwheel.kernel import words
from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, pricing

PAGE = 24
MOST_PAGES = 40
MOST_VALUES = 12


def sorts(language: str) -> list[dict[str, str]]:
    say = words.words(language).gettext
    return [
        {"value": "relevance", "label": say("Best match")},
        {"value": "popular", "label": say("Most bought")},
        {"value": "newest", "label": say("Newest")},
        {"value": "price_asc", "label": say("Price: low to high")},
        {"value": "price_desc", "label": say("Price: high to low")},
    ]


class Asked:
    """What the address of a list asks. Whatever can't be read is left out: an address is typed,
    shortened and mistyped by people."""

    def __init__(self, call: Call, frame: Frame, default_sort: str) -> None:
        query = call.query_params
        self.text = query.get("q", "")[:200]
        self.sort = query.get("sort", "")
        known = {s["value"] for s in sorts(call.language)}
        if self.sort not in known:
            self.sort = default_sort
        self.default_sort = default_sort
        page = query.get("page", "1")
        self.page = min(max(int(page), 1), MOST_PAGES) if page.isdigit() and len(page) < 5 else 1
        self.facets: dict[str, list[str]] = {}
        for code in query:
            if code in frame.labels or code in ("brand", "category"):
                values = [v[:200] for v in query.getall(code) if v]
                if values:
                    self.facets[code] = list(dict.fromkeys(values))[:20]
        self.price_min = query.get("price_min", "").strip()[:12]
        self.price_max = query.get("price_max", "").strip()[:12]
        self.sold_out_too = query.get("in_stock") == "0"

    @property
    def is_narrowed(self) -> bool:
        return bool(self.facets or self.price_min or self.price_max or self.sold_out_too)

    def minor(self, text: str, currency: str) -> int | None:
        """A typed amount in minor units; None when it is none."""
        plain = text.replace(",", ".")
        if not plain.replace(".", "", 1).isdigit():
            return None
        return int(Decimal(plain).scaleb(int(get_currency_precision(currency))))

    def href(self, path: str, **changed: Any) -> str:
        """The address with other values: None takes a value away."""
        values: dict[str, Any] = {
            "q": self.text or None,
            "sort": self.sort if self.sort != self.default_sort else None,
            "page": None,
            "price_min": self.price_min or None,
            "price_max": self.price_max or None,
            "in_stock": "0" if self.sold_out_too else None,
            **self.facets,
            **changed,
        }
        pairs = {k: v for k, v in values.items() if v not in (None, [], "")}
        return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path


def ask(
    call: Call, asked: Asked, market: pricing.Market, fixed: Mapping[str, list[str]]
) -> search.Results:
    """Put the question to the search desk; ``fixed`` is what the page itself narrows to."""
    desk: search.SearchDesk = call.app.state["search"]
    return desk.search(
        search.Query(
            text=asked.text,
            language=call.language,
            region=market.code,
            facets={**asked.facets, **fixed},
            price_min_minor=asked.minor(asked.price_min, market.currency),
            price_max_minor=asked.minor(asked.price_max, market.currency),
            buyable_only=not asked.sold_out_too,
            sort=asked.sort,  # type: ignore[arg-type]
            offset=(asked.page - 1) * PAGE,
            limit=PAGE,
        )
    )


async def cards(
    tx: Tx, call: Call, ids: Sequence[uuid.UUID], market: pricing.Market
) -> dict[uuid.UUID, dict[str, Any]]:
    """Cards of these products, by id, at what they cost this visitor. 2 statements, and those of
    the tags."""
    found = await queries.goods(tx, list(dict.fromkeys(ids)), market.currency)
    offers = [one.offer_id for one in found]
    prices = await pricing.prices(tx, offers, market.currency)
    viewer, revision = price_tags.viewer_of(call, market), found[0].revision if found else 0
    mine = await price_tags.tags(tx, viewer, offers, revision, call.language)
    return {
        one.product_id: card(
            one, prices.get(one.offer_id), call.language, tag=mine.get(one.offer_id)
        )
        for one in found
    }


def shown(
    call: Call,
    frame: Frame,
    asked: Asked,
    results: search.Results,
    cards_by_id: Mapping[uuid.UUID, Mapping[str, Any]],
    path: str,
    currency: str,
    hidden: Sequence[str] = (),
) -> dict[str, Any]:
    """The part of a list that filters swap: see ``_results.html``; and the filters beside it."""
    language = call.language
    local = call.local(path)
    last = asked.page * PAGE >= min(results.total, MOST_PAGES * PAGE)
    first = asked.page == 1
    return {
        "total": results.total,
        "products": _in_order(
            asked.sort,
            [cards_by_id[h.product_id] for h in results.hits if h.product_id in cards_by_id],
        ),
        "sorts": sorts(language)[0 if asked.text else 1 :],
        "sort": asked.sort,
        "chosen": _chosen(frame, asked, local, language, hidden),
        "clear_href": f"{local}?{urlencode({'q': asked.text})}" if asked.text else local,
        "previous": None if first else asked.href(local, page=asked.page - 1 or None),
        "next": None if last else asked.href(local, page=asked.page + 1),
        "facets": _facets(frame, asked, results, language, currency, hidden),
        "widening": results.widening,
        "outside_filters": results.outside_filters,
        "kept": {"q": asked.text} if asked.text else {},
        "list_path": path,
    }


def _in_order(sort: str, found: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The index knows plain prices: within a page those that are shown decide."""
    if sort not in ("price_asc", "price_desc"):
        return found
    return sorted(found, key=lambda c: int(c["price_minor"]), reverse=sort == "price_desc")


def _chosen(
    frame: Frame, asked: Asked, local: str, language: str, hidden: Sequence[str]
) -> list[dict[str, str]]:
    say = words.words(language).gettext
    found = []
    for code, values in asked.facets.items():
        for value in values:
            if code not in hidden:
                rest = [v for v in values if v != value]
                text = facet_value(frame, code, value, language)
                found.append({"label": text, "without_href": asked.href(local, **{code: rest})})
    if asked.price_min or asked.price_max:
        label = f"{asked.price_min or '0'} – {asked.price_max or '…'}"
        without = asked.href(local, price_min=None, price_max=None)
        found.append({"label": label, "without_href": without})
    if asked.sold_out_too:
        label = say("Sold-out titles too")
        found.append({"label": label, "without_href": asked.href(local, in_stock=None)})
    return found


def facet_value(frame: Frame, code: str, value: str, language: str) -> str:
    if code == "category":
        known = frame.categories.get(_uuid(value))
        return said(known.name, language) if known else value
    return value if code == "brand" else value_text(frame, code, value, language)


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)


def _facets(
    frame: Frame,
    asked: Asked,
    results: search.Results,
    language: str,
    currency: str,
    hidden: Sequence[str],
) -> list[dict[str, Any]]:
    say = words.words(language).gettext
    found: list[dict[str, Any]] = [
        {
            "key": "price",
            "kind": "range",
            "label": f"{say('Price')} ({currency})",
            "low": asked.price_min,
            "high": asked.price_max,
            "options": [],
        }
    ]
    for facet in results.facets:
        label = frame.labels.get(facet.code)
        if facet.code in hidden or (label is None and facet.code not in ("brand", "category")):
            continue
        values = [v for v in facet.values if v.count or v.selected]
        if facet.code == "category":
            values = [v for v in values if _is_top(frame.categories.get(_uuid(v.value)))]
        if label is not None and label.kind == "number":
            if len(values) > MOST_VALUES:
                continue
            values.sort(key=lambda v: float(v.value) if v.value.replace(".", "").isdigit() else 0.0)
        if len(values) < 2 and not any(v.selected for v in values):
            continue
        values = [v for n, v in enumerate(values) if n < MOST_VALUES or v.selected]
        options = [
            {
                "value": v.value,
                "label": facet_value(frame, facet.code, v.value, language),
                "count": v.count,
                "checked": v.selected,
            }
            for v in values
        ]
        found.append(
            {"key": facet.code, "label": _name(frame, facet.code, language), "options": options}
        )
    return found


def _is_top(category: catalogue.Category | None) -> bool:
    return category is not None and len(category.path) <= 2


def _name(frame: Frame, code: str, language: str) -> str:
    say = words.words(language).gettext
    if code == "brand":
        return say("Maker or imprint")
    if code == "category":
        return say("Department")
    return label_text(frame, code, language)
