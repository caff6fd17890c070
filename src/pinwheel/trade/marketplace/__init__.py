"""The marketplace: who sells, and what each offers.

Words: a *seller* is the platform's own shop or a third party; an *offer* is one seller's promise to
sell one variant in one condition, and what a price and stock belong to; the *featured offer* is the
one a product's page leads with.

Promises: a seller has one offer for a variant in a condition; which offer is featured keeps its
reason; merging two variants moves their offers, and taking that back moves them back."""

from pinwheel.trade.marketplace.actions import (
    pause_offers,
    resume_offers,
    save_offers,
    save_sellers,
)
from pinwheel.trade.marketplace.model import (
    OUTLET_SELLER_ID,
    OWN_SELLER_ID,
    Candidate,
    Choice,
    Offer,
    OfferChanged,
    OfferDraft,
    OfferUnknown,
    OfferUnsound,
    Seller,
    SellerChanged,
    SellerDraft,
    SellerUnknown,
    SellerUnsound,
    featured,
)
from pinwheel.trade.marketplace.queries import (
    OfferLine,
    featured_offers,
    offers,
    offers_of,
    sellers,
)

__all__ = [
    "OUTLET_SELLER_ID",
    "OWN_SELLER_ID",
    "Candidate",
    "Choice",
    "Offer",
    "OfferChanged",
    "OfferDraft",
    "OfferLine",
    "OfferUnknown",
    "OfferUnsound",
    "Seller",
    "SellerChanged",
    "SellerDraft",
    "SellerUnknown",
    "SellerUnsound",
    "featured",
    "featured_offers",
    "offers",
    "offers_of",
    "pause_offers",
    "resume_offers",
    "save_offers",
    "save_sellers",
    "sellers",
]
