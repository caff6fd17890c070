"""The checkout's form: what was filled in, what it says, and what is still missing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.kernel.web import Call
from pinwheel.trade import orders, payments, pricing

Line = Annotated[str, msgspec.Meta(max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=40)]
STATE_CODES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ "
    "NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
STATES = tuple(STATE_CODES.split(" "))
SANDBOX = (
    ("sandbox:tok_ok", "Demonstration card", "Simulated: is accepted at once."),
    (
        "sandbox:tok_scan",
        "Scan to pay",
        "Simulated: a code for your phone's wallet.",
    ),
    (
        "sandbox:tok_challenge",
        "Demonstration card with confirmation",
        "Simulated: the bank asks you to confirm.",
    ),
    ("sandbox:tok_declined", "Demonstration card that is declined", "Simulated: try what happens."),
)


class CheckoutForm(msgspec.Struct):
    """Everything on the page. ``quote_…`` is the token of the figures shown with each way of
    delivery; ``key`` is the shown form's own: sending it twice places one order."""

    key: Short = ""
    email: Line = ""
    name: Line = ""
    phone: Short = ""
    country: Annotated[str, msgspec.Meta(max_length=2)] = ""
    region: Line = ""
    address: Line = ""
    city: Line = ""
    postcode: Annotated[str, msgspec.Meta(max_length=20)] = ""
    address_id: Short = ""
    delivery: Short = ""
    payment: Annotated[str, msgspec.Meta(max_length=80)] = ""
    quotes: list[Annotated[str, msgspec.Meta(max_length=120)]] = []
    gift_cards: list[Short] = []

    @property
    def quote(self) -> str:
        """The token that was shown beside the chosen way of delivery."""
        shown = dict(pair.split("=", 1) for pair in self.quotes if "=" in pair)
        return shown.get(self.delivery, "unseen")

    def stored_address(self) -> UUID | None:
        return _uuid(self.address_id)

    def stored_method(self) -> UUID | None:
        kind, _, value = self.payment.partition(":")
        return _uuid(value) if kind == "method" else None

    def cards(self) -> tuple[UUID, ...]:
        return tuple(c for text in self.gift_cards[:5] if (c := _uuid(text)) is not None)

    def tender(self) -> orders.Tender | None:
        kind, _, token = self.payment.partition(":")
        return orders.Tender(kind, token) if kind not in ("", "method") and token else None

    def ship_to(self) -> orders.AddressedTo:
        return orders.AddressedTo(
            name=self.name.strip(),
            line1=self.address.strip(),
            city=self.city.strip(),
            region=self.region.strip(),
            postal_code=self.postcode.strip(),
            country=self.country,
            phone=self.phone.strip(),
        )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def faults(call: Call, form: CheckoutForm, market: pricing.Market) -> dict[str, str]:
    """What is missing or wrong, by field, in the reader's language."""
    say = call.say
    found: dict[str, str] = {}
    if not call.caller.is_known and ("@" not in form.email or " " in form.email.strip()):
        found["email"] = say("Fill in an e-mail address, such as name@example.com.")
    if form.stored_address() is None:
        needed = {
            "name": say("Fill in who receives the parcel."),
            "address": say("Fill in street and number."),
            "city": say("Fill in the city."),
        }
        for field, sentence in needed.items():
            if not getattr(form, field).strip():
                found[field] = sentence
        if form.country not in market.countries:
            found["country"] = say("Choose a country.")
        if form.country == "US" and form.region not in STATES:
            found["region"] = say("Choose a state: its tax depends on it.")
    if form.tender() is None and form.stored_method() is None:
        found["payment"] = say("Choose how to pay.")
    return found


def payment_choices(
    call: Call, form: CheckoutForm, kept: Sequence[payments.Method], has_sandbox: bool
) -> list[dict[str, Any]]:
    """Stored methods first, then the sandbox's."""
    found = [
        {
            "value": f"method:{m.id}",
            "label": f"{m.brand} …{m.last4}" if m.last4 else call.say(m.brand),
            "note": call.say("Kept in your account"),
        }
        for m in kept
    ]
    if has_sandbox:
        found += [
            {"value": value, "label": call.say(label), "note": call.say(note)}
            for value, label, note in SANDBOX
            if value not in {f"{m.provider}:{m.token}" for m in kept}
        ]
    values = [f["value"] for f in found]
    chosen = form.payment if form.payment in values else (values[0] if values else "")
    return [{**f, "chosen": f["value"] == chosen} for f in found]
