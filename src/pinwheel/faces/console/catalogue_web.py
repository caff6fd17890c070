"""The catalogue: the list, and the product's editor with its variants, prices and history."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown, with_query, words_of
from pinwheel.faces.console.moments import in_zone, zone_of
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.faces.console.queries import CatalogueLine, catalogue_lines
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, inventory, marketplace, pricing
from pinwheel.trade.catalogue import Attribute, Product, ProductDraft, Variant, VariantDraft
from pinwheel.trade.marketplace import OWN_SELLER_ID

READ, WRITE = "catalogue:read", "catalogue:write"
Text = Annotated[str, Meta(max_length=500)]
STATES = ("published", "draft", "archived")
EMPTY_ROWS = 2


@get("/console/catalogue", scope=READ)
async def product_list(
    call: Call,
    tx: Tx,
    q: Text = "",
    category: UUID | None = None,
    status: str = "",
    after: str | None = None,
) -> Answer[Page[CatalogueLine]]:
    """Products with what they cost and what can be promised, the newest first."""
    currency = call.app.state["edge"].settings.currency
    status = status if status in STATES else ""
    found = await catalogue_lines(
        tx,
        currency=currency,
        q=q.strip(),
        category_id=category,
        status=status or None,
        cursor=after,
    )
    query: dict[str, Any] = {"q": q.strip(), "category": category, "status": status}
    return await shown(
        call,
        tx,
        found,
        "catalogue",
        call.say("Catalogue"),
        "catalogue",
        currency=currency,
        asked=query,
        states=STATES,
        categories_all=await catalogue.categories(tx),
        here=with_query("/console/catalogue", **query),
        next_path=with_query("/console/catalogue", **query, after=found.next)
        if found.next
        else None,
        first_path=with_query("/console/catalogue", **query) if after else None,
    )


class Priced(msgspec.Struct, frozen=True):
    """A variant's own offer in one currency: what it costs now and what was asked before."""

    variant_id: UUID
    offer_id: UUID | None
    currency: str
    price: pricing.Price | None


class ProductDesk(msgspec.Struct, frozen=True):
    """What the editor of a product starts from."""

    product: Product | None
    variants: list[Variant]
    attributes: list[Attribute]
    prices: list[Priced]
    history: list[catalogue.Change]


@get("/console/catalogue/new", scope=WRITE)
async def new_product(call: Call, tx: Tx, category_id: UUID | None = None) -> Answer[ProductDesk]:
    """An empty editor."""
    attributes = await catalogue.attributes(tx, category_id) if category_id else []
    desk = ProductDesk(None, [], attributes, [], [])
    return await _edit(call, tx, desk, call.say("New product"), category_id=category_id)


@get("/console/catalogue/{product_id:uuid}", scope=READ)
async def product_page(
    call: Call, tx: Tx, product_id: UUID, category_id: UUID | None = None
) -> Answer[ProductDesk]:
    """One product: its words, values, variants, prices, stock and history."""
    desk = await _desk(call, tx, product_id, category_id)
    assert desk.product is not None
    title = said(desk.product.title, call.language)
    return await _edit(call, tx, desk, title, category_id=category_id)


async def _desk(call: Call, tx: Tx, product_id: UUID, category_id: UUID | None) -> ProductDesk:
    product, variants = await catalogue.product(tx, product_id)
    category = category_id or product.category_id
    markets = await pricing.markets(tx)
    currencies = sorted({m.currency for m in markets.values() if m.active})
    offers = await marketplace.offers(tx, [v.id for v in variants])
    own = {
        v.id: next((o.id for o in offers.get(v.id, ()) if o.seller_id == OWN_SELLER_ID), None)
        for v in variants
    }
    prices: list[Priced] = []
    offer_ids = [o for o in own.values() if o]
    for currency in currencies:
        now = await pricing.prices(tx, offer_ids, currency)
        prices += [Priced(v, o, currency, now.get(o) if o else None) for v, o in own.items()]
    return ProductDesk(
        product,
        variants,
        await catalogue.attributes(tx, category) if category else [],
        prices,
        (await catalogue.history(tx, product_id, limit=12)).items,
    )


async def _edit(
    call: Call,
    tx: Tx,
    desk: ProductDesk,
    title: str,
    *,
    category_id: UUID | None,
    status: int = 200,
    **more: Any,
) -> Answer[ProductDesk]:
    product = desk.product
    return await shown(
        call,
        tx,
        desk,
        "product",
        title,
        "catalogue",
        status=status,
        **{
            "chosen": category_id or (product.category_id if product else None),
            "categories_all": await catalogue.categories(tx),
            "positions": await inventory.positions(tx, [v.id for v in desk.variants]),
            "names": await names_of(tx, [h.actor for h in desk.history]),
            "plain_of": plain_of,
            "empty_rows": EMPTY_ROWS if desk.variants else 1,
            "home": call.app.state["edge"].settings.currency,
            "values": product.attributes if product else {},
            **more,
        },
    )


class ProductForm(msgspec.Struct):
    """A product as the editor sends it; the columns of the variants side by side. Attributes come
    as ``attr.CODE`` from a form, as an object from a program."""

    title_en: Text = ""
    title_zh: Text = ""
    slug: Annotated[str, Meta(max_length=120)] = ""
    brand: Annotated[str, Meta(max_length=200)] = ""
    category_id: UUID | None = None
    description_en: Annotated[str, Meta(max_length=200_000)] = ""
    description_zh: Annotated[str, Meta(max_length=200_000)] = ""
    attributes: dict[str, Any] = {}
    media_url: list[str] = []
    media_alt_en: list[str] = []
    media_alt_zh: list[str] = []
    variant_id: list[str] = []
    sku: list[str] = []
    gtin: list[str] = []
    options: list[str] = []
    weight_grams: list[str] = []
    tax_class: list[str] = []
    variant_status: list[str] = []
    version: int | None = None
    reason: Text = ""


@post("/console/catalogue/new", scope=WRITE)
async def create(call: Call, db: Database, data: ProductForm) -> Any:
    """Make a product. It is a draft until it is published."""
    return await _save(call, db, data, None)


@post("/console/catalogue/{product_id:uuid}", scope=WRITE, body_bytes=3_000_000)
async def save(call: Call, db: Database, product_id: UUID, data: ProductForm) -> Any:
    """Save a product whole. Somebody who saved in between is not overwritten."""
    return await _save(call, db, data, product_id)


async def _save(call: Call, db: Database, data: ProductForm, product_id: UUID | None) -> Any:
    """When it is refused the editor is shown again with everything as it was written."""
    form = call.exchange.form or {}
    values = {k[5:]: v if len(v) > 1 else v[0] for k, v in form.items() if k.startswith("attr.")}
    try:
        draft = _draft_of(data, values or data.attributes, product_id)

        async def verb(tx: Tx) -> catalogue.Saved:
            [answer] = await catalogue.save_products(tx, [draft], reason=data.reason)
            if isinstance(answer, Refusal):
                raise answer
            return answer

        return await attempt_or_raise(call, db, verb)
    except Refusal as refusal:
        if not call.wants_page or refusal.status in (401, 403):
            raise
        async with db.reading(actor=call.caller.actor) as tx:
            return await _again(call, tx, data, values, product_id, refusal)


async def attempt_or_raise(call: Call, db: Database, verb: Any) -> See[Any]:
    saved = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    text = call.say("Saved.") if saved.fresh else call.say("Nothing was different.")

    async def done(tx: Tx) -> Any:
        return saved

    return await attempt(call, db, done, f"/console/catalogue/{saved.product_id}", text)


def _draft_of(data: ProductForm, values: dict[str, Any], product_id: UUID | None) -> ProductDraft:
    columns = (data.sku, data.variant_id, data.gtin, data.options, data.weight_grams,
               data.tax_class, data.variant_status)  # fmt: skip
    rows = [[c[n] if n < len(c) else "" for c in columns] for n in range(len(data.sku))]
    return ProductDraft(
        id=product_id,
        title=words_of(data.title_en, data.title_zh),
        slug=data.slug.strip(),
        category_id=data.category_id,
        description=words_of(data.description_en, data.description_zh),
        attributes={k: _choices(v) for k, v in values.items()},
        brand=data.brand,
        media=_media(data),
        variants=[_variant(row, n) for n, row in enumerate(rows, 1) if row[0].strip()],
        version=data.version,
    )


def _choices(value: Any) -> Any:
    return [v for v in value if v] if isinstance(value, list) else value


def _media(data: ProductForm) -> list[dict[str, Any]]:
    media = []
    for n, url in enumerate(data.media_url):
        if url.strip():
            en = data.media_alt_en[n] if n < len(data.media_alt_en) else ""
            zh = data.media_alt_zh[n] if n < len(data.media_alt_zh) else ""
            media.append({"url": url.strip(), "alt": words_of(en, zh)})
    return media


def _variant(row: list[str], number: int) -> VariantDraft:
    sku, variant_id, gtin, options, weight, tax_class, status = row
    try:
        return msgspec.convert(
            {
                "sku": sku.strip(),
                "id": variant_id or None,
                "gtin": gtin,
                "options": options_of(options),
                "weight_grams": weight.strip() or None,
                "tax_class": tax_class.strip() or "standard",
                "status": status or "published",
            },
            VariantDraft,
            strict=False,
        )
    except msgspec.ValidationError as error:
        raise Invalid(f"variant {number}", str(error), f"第 {number} 个规格：{error}") from error


def options_of(text: str) -> dict[str, str]:
    """``Size: M, Colour: red`` as {"Size": "M", "Colour": "red"}."""
    options = {}
    for part in re.split(r"[,;，；]", text):
        name, found, value = re.sub("：", ":", part).partition(":")
        if part.strip() and not (found and name.strip() and value.strip()):
            raise Invalid("options", "write Size: M, Colour: red", "请写作 尺寸: M, 颜色: 红")
        if part.strip():
            options[name.strip()] = value.strip()
    return options


async def _again(
    call: Call,
    tx: Tx,
    data: ProductForm,
    values: dict[str, Any],
    product_id: UUID | None,
    refusal: Refusal,
) -> Answer[ProductDesk]:
    if product_id:
        desk = await _desk(call, tx, product_id, data.category_id)
    else:
        attributes = await catalogue.attributes(tx, data.category_id) if data.category_id else []
        desk = ProductDesk(None, [], attributes, [], [])
    title = data.title_en or data.title_zh or call.say("New product")
    return await _edit(
        call,
        tx,
        desk,
        title,
        category_id=data.category_id,
        status=refusal.status,
        again=data,
        values=values,
        error=refusal.sentence(call.language),
    )


class StateForm(msgspec.Struct):
    """``to``: published, draft or archived. ``at``: publish then, in the shop's time."""

    to: str
    at: dt.datetime | None = None


@post("/console/catalogue/{product_id:uuid}/state", scope=WRITE)
async def set_state(call: Call, db: Database, product_id: UUID, data: StateForm) -> See[Any]:
    """Publish now or at a time, take back to a draft, or archive."""

    async def verb(tx: Tx) -> None:
        refused(await become(tx, [product_id], data.to, in_zone(data.at, zone_of(call))))

    return await attempt(call, db, verb, f"/console/catalogue/{product_id}", call.say("Done."))


async def become(tx: Tx, ids: list[UUID], to: str, at: dt.datetime | None) -> list[Any]:
    if to == "published":
        return list(await catalogue.publish(tx, ids, at))
    if to == "draft":
        return list(await catalogue.unpublish(tx, ids))
    if to == "archived":
        return list(await catalogue.archive(tx, ids))
    raise Invalid("to", "choose published, draft or archived", "请选择上架、草稿或归档")


class PriceForm(msgspec.Struct):
    """Prices of variants in one currency, side by side; an empty price changes nothing."""

    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    variant_id: list[UUID] = []
    price: list[str] = []
    list_price: list[str] = []
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    reason: Text = ""
    confirmed: bool = False


@post("/console/catalogue/{product_id:uuid}/prices", scope=WRITE)
async def set_prices(call: Call, db: Database, product_id: UUID, data: PriceForm) -> See[Any]:
    """Set prices now or from a time on; what was asked before stays in the history."""
    zone = zone_of(call)
    wanted = [
        (v, price, data.list_price[n] if n < len(data.list_price) else "")
        for n, (v, price) in enumerate(zip(data.variant_id, data.price, strict=False))
        if price.strip()
    ]

    async def verb(tx: Tx) -> int:
        _, variants = await catalogue.product(tx, product_id)
        mine = {v.id for v in variants}
        if not all(v in mine for v, _, _ in wanted):
            raise Invalid("variant_id", "not a variant of this product", "不是本商品的规格")
        offers = await own_offers(tx, [v for v, _, _ in wanted])
        answers = await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(
                    offer_id=offers[v],
                    currency=data.currency,
                    price_minor=minor_of(price, data.currency, "price"),
                    list_price_minor=minor_of(listed, data.currency, "list_price")
                    if listed.strip()
                    else None,
                    starts_at=in_zone(data.starts_at, zone),
                    ends_at=in_zone(data.ends_at, zone),
                    reason=data.reason,
                    confirmed=data.confirmed,
                )
                for v, price, listed in wanted
            ],
        )
        refused(answers)
        return sum(isinstance(a, pricing.PriceSet) and a.fresh for a in answers)

    def message(n: int) -> str:
        return call.say("%(n)s prices set.") % {"n": n}

    return await attempt(call, db, verb, f"/console/catalogue/{product_id}#prices", message)


async def own_offers(tx: Tx, variant_ids: list[UUID]) -> dict[UUID, UUID]:
    """The shop's own offer of each variant; one that has none gets one."""
    found = await marketplace.offers(tx, variant_ids)
    own = {v: o.id for v in variant_ids for o in found.get(v, ()) if o.seller_id == OWN_SELLER_ID}
    missing = [v for v in dict.fromkeys(variant_ids) if v not in own]
    if missing:
        drafts = [marketplace.OfferDraft(variant_id=v) for v in missing]
        made = await marketplace.save_offers(tx, drafts)
        refused(made)
        own |= {o.variant_id: o.id for o in made if isinstance(o, marketplace.Offer)}
    return own


class Preview(msgspec.Struct, frozen=True):
    """What a price would look like to a buyer. ``strike_minor``: what may honestly be struck
    through; ``lowest_minor``: the lowest price of the last 30 days."""

    currency: str
    price_minor: int | None
    strike_minor: int | None
    lowest_minor: int | None
    why: str


@get("/console/prices/preview", scope=READ)
async def preview(
    call: Call,
    tx: Tx,
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")],
    offer: UUID | None = None,
    price: Annotated[str, Meta(max_length=30)] = "",
    list_price: Annotated[str, Meta(max_length=30)] = "",
) -> Answer[Preview]:
    """How a price would be shown, before it is set (Directive 98/6/EC, article 6a)."""
    lowest = (await pricing.lowest_prices(tx, [offer], currency)).get(offer) if offer else None
    made = Preview(currency, None, None, lowest, "")
    if price.strip():
        now = minor_of(price, currency, "price")
        listed = minor_of(list_price, currency, "list_price") if list_price.strip() else None
        strike = min(listed, lowest) if listed is not None and lowest is not None else None
        strike = strike if strike is not None and strike > now else None
        why = "" if listed is None or strike == listed else ("capped" if strike else "none")
        made = Preview(currency, now, strike, lowest, why)
    return Answer(made, page="console/_price.html", part="console/_price.html")


class PriceHistory(msgspec.Struct, frozen=True):
    offer_id: UUID
    currency: str
    prices: list[pricing.PastPrice]
    lowest_minor: int | None


@get("/console/offers/{offer_id:uuid}/prices", scope=READ)
async def price_history(
    call: Call,
    tx: Tx,
    offer_id: UUID,
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")],
) -> Answer[PriceHistory]:
    """Every price of one offer, planned ones too."""
    found = await pricing.history(tx, offer_id, currency, limit=100)
    lowest = await pricing.lowest_prices(tx, [offer_id], currency)
    desk = PriceHistory(offer_id, currency, found.items, lowest.get(offer_id))
    return await shown(
        call,
        tx,
        desk,
        "prices",
        call.say("Price history"),
        "catalogue",
        names=await names_of(tx, [p.set_by for p in found.items]),
    )
