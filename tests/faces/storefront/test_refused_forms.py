"""A refused form comes back where it stood: what was typed, the sentence, the status, the focus."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from faces.storefront.test_buying import put_something, sign_in
from pinwheel import app
from pinwheel.faces import storefront
from pinwheel.ground.identity import web as identity_web
from pinwheel.kernel.web import routes_of
from storefront_world import Storefront, text_of
from web_world import Browser

NOBODY = uuid.UUID(int=5)
PASSWORD = "nine green lanterns"
BY_ITSELF = {
    "/sign-out",  # nothing can be refused
    "/days/balance/{deposit_id:uuid}/quote",
    "/checkout/quote",
    "/bargain/{token:str}/buy/quote",
    "/newcomers/{offer_id:uuid}/quote",
    "/teams/checkout/quote",  # parts of a page, swapped by themselves
    "/teams/checkout",  # shows its own page again
    "/letters/unsubscribe/{token:str}",  # pressed by mail programs
}


def test_every_form_of_the_shop_says_where_it_stands() -> None:
    ours = [m for m in app.WEB if m.__name__.startswith(storefront.__name__)]
    bare = {
        path
        for route in routes_of(*ours, identity_web)
        if route.method == "POST" and route.again is None
        for path in route.paths
        if not path.startswith("/api/")
    }
    assert bare <= BY_ITSELF, bare - BY_ITSELF


@pytest.fixture(scope="module")
async def member(shop: Storefront) -> Browser:
    """One of the shop's buyers, signed in, with something in the cart."""
    browser = shop.browser()
    await sign_in(browser)
    await put_something(shop, browser)
    return browser


FORMS: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    (
        "/account/addresses",
        {"recipient_name": "", "line1": "Long Lane 7", "city": "Leeds", "country": "GB"},
        "Add an address",
        ('value="Long Lane 7"', 'value="Leeds"'),
    ),
    (
        "/account/addresses",
        {"recipient_name": "A", "line1": "Long Lane 7", "city": "Leeds", "country": "nowhere"},
        "Add an address",
        ('value="Long Lane 7"', 'aria-invalid="true"'),
    ),
    (f"/account/addresses/{NOBODY}/default", {}, "Add an address", ()),
    (f"/account/addresses/{NOBODY}/remove", {}, "Add an address", ()),
    ("/account/password", {"old": "not this one", "new": PASSWORD}, "Change the password", ()),
    ("/account/password", {"old": PASSWORD, "new": "short"}, "Change the password", ()),
    ("/account/erase", {"password": "not this one"}, "Be forgotten", ()),
    ("/account/consents", {"purpose": "world peace", "channel": "email"}, "What you allow", ()),
    (f"/account/payment/{NOBODY}/default", {}, "Ways to pay", ()),
    ("/account/one-click", {"is_on": "perhaps"}, "One-click order", ()),
    ("/account/coupons", {"code": "x" * 80}, "Coupons", ()),
    ("/account/appeals", {"words": "y" * 3000}, "look again", ("yyyy",)),
    ("/cart/lines", {"offer_id": str(NOBODY), "quantity": "1"}, "Summary", ()),
    ("/cart/lines", {"offer_id": "none", "quantity": "1"}, "Summary", ()),
    ("/cart/coupons", {"code": "z" * 80}, "Summary", ()),
    (f"/deals/{NOBODY}/buy", {}, "So many pieces at this price", ()),
    (f"/deals/{NOBODY}/wait", {}, "So many pieces at this price", ()),
    ("/bargains", {"campaign": "none"}, "Bargains", ()),
    ("/letters", {"email": "x", "zone": ""}, "Where you live", ('value="x"',)),
    ("/share", {"target": "moon"}, "Your rewards", ()),
    ("/teams", {"campaign": str(NOBODY), "offer": str(NOBODY)}, "Your teams", ()),
    ("/checkout", {"name": "n" * 300, "city": "Leeds"}, "Your order", ('value="Leeds"',)),
]


@pytest.mark.parametrize(
    ("path", "form", "page", "typed"), FORMS, ids=[f"{n}-{f[0]}" for n, f in enumerate(FORMS)]
)
async def test_a_refused_form_comes_back(
    member: Browser, path: str, form: dict[str, Any], page: str, typed: tuple[str, ...]
) -> None:
    await member.get("/account")
    answer = await member.post(path, form)
    if answer.status_code == 303:  # asking to forget what is not there is no mistake
        assert path.endswith("/remove")
        return
    assert 400 <= answer.status_code < 500
    assert page in text_of(answer.text), text_of(answer.text)[:800]
    assert 'id="refusal"' in answer.text and answer.text.count("autofocus") == 1
    assert answer.text.count('id="refusal"') == 1
    for words in typed:
        assert words in answer.text, words
    assert PASSWORD not in answer.text and "not this one" not in answer.text


async def test_a_program_gets_the_problem_and_a_stranger_the_way_in(
    shop: Storefront, member: Browser
) -> None:
    answer = await member.post(
        "/account/addresses", {"recipient_name": ""}, headers={"accept": "application/json"}
    )
    assert answer.headers["content-type"] == "application/problem+json"
    stranger = shop.browser()
    await stranger.get("/")
    refused = await stranger.post("/account/addresses", {"line1": "x", "city": "y"})
    assert refused.status_code in (400, 401, 422) and "Long Lane" not in refused.text
