"""Which facts are public. A kind that stands here is a promise to programs we don't know: its
fields stay; new ones may come."""

from __future__ import annotations

import inspect

import msgspec

from pinwheel.ground.identity import PersonErased
from pinwheel.growth.community import (
    QuestionAnswered,
    QuestionAsked,
    RatingChanged,
    ReviewPublished,
    ReviewWithdrawn,
)
from pinwheel.growth.social import TeamFailed, TeamFormed, TeamJoined, TeamLeft, TeamOpened
from pinwheel.kernel.events import Event
from pinwheel.platform.open.model import EndpointDisabled, KindSchema, UnknownKind, type_of
from pinwheel.trade.catalogue import ProductChanged
from pinwheel.trade.inventory import AvailabilityChanged
from pinwheel.trade.marketplace import OfferChanged, SellerChanged
from pinwheel.trade.orders import (
    LinesCancelled,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderShipped,
)
from pinwheel.trade.payments import PaymentCaptured, PaymentDisputed, RefundCompleted
from pinwheel.trade.pricing import PriceChanged
from pinwheel.trade.promotions import (
    CouponGranted,
    CouponUsed,
    PromotionEnded,
    PromotionStarted,
)

PUBLIC: tuple[type[Event], ...] = (
    ProductChanged,
    OfferChanged,
    SellerChanged,
    PriceChanged,
    PromotionStarted,
    PromotionEnded,
    CouponGranted,
    CouponUsed,
    AvailabilityChanged,
    OrderPlaced,
    LinesCancelled,
    OrderCancelled,
    OrderShipped,
    OrderDelivered,
    PaymentCaptured,
    RefundCompleted,
    PaymentDisputed,
    ReviewPublished,
    ReviewWithdrawn,
    RatingChanged,
    QuestionAsked,
    QuestionAnswered,
    TeamOpened,
    TeamJoined,
    TeamLeft,
    TeamFormed,
    TeamFailed,
    PersonErased,  # whoever keeps a copy must make it nameless too
    EndpointDisabled,
)
KINDS: tuple[str, ...] = tuple(event.kind() for event in PUBLIC)


def schemas() -> list[KindSchema]:
    """Every public kind with the JSON Schema of its ``data``, made from the struct itself."""
    return [
        KindSchema(
            kind=event.kind(),
            type=type_of(event.kind()),
            description=" ".join((inspect.getdoc(event) or "").split()),
            schema=msgspec.json.schema(event),
        )
        for event in PUBLIC
    ]


def known(kinds: list[str]) -> list[str]:
    """``kinds`` without repeats; ``UnknownKind`` for one that is not public."""
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownKind(kind=kind)
    return sorted(set(kinds))
