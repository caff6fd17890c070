"""Newcomers: a price for a first order, one to a person, and what it brought.

Words: a *pool* has limits and perhaps a budget; a *newcomer offer* is a marketplace offer at a
first-order price in one market, perhaps delivered free; a *win* is an order at that price; *pay-
back* is how a pool's newcomers come back and what they leave.

Promises: new is who has no paid order under this account, device, telephone, mailbox, card or home;
one identity has a pool's offer so often at most, held at commit, and what turns out to be one too
many before it has left is ended and paid back; cancelled before it is sent, the chance is there
again; a refusal accuses nobody and says what to do.
"""

from pinwheel.growth.newcomers.actions import (
    ask_again,
    call_back,
    open_pool,
    put_up,
    set_offer_open,
    set_pool_open,
)
from pinwheel.growth.newcomers.model import (
    CLAIM,
    NewcomerCalledBack,
    NewcomerGone,
    NewcomerLooksAgain,
    NewcomerNeedsSomebody,
    NewcomerOver,
    NewcomerWon,
    NewOffer,
    NewPool,
    NotNew,
    OneAtNewcomerPrice,
    PayBack,
    Pool,
    PoolOffer,
)
from pinwheel.growth.newcomers.queries import (
    Goods,
    export,
    goods_of,
    had,
    not_new,
    offer_of_sku,
    offers,
    pool,
    pool_pay_back,
    pools,
)
from pinwheel.growth.newcomers.stage import NewcomerStage

__all__ = [
    "CLAIM",
    "Goods",
    "NewOffer",
    "NewPool",
    "NewcomerCalledBack",
    "NewcomerGone",
    "NewcomerLooksAgain",
    "NewcomerNeedsSomebody",
    "NewcomerOver",
    "NewcomerStage",
    "NewcomerWon",
    "NotNew",
    "OneAtNewcomerPrice",
    "PayBack",
    "Pool",
    "PoolOffer",
    "ask_again",
    "call_back",
    "export",
    "goods_of",
    "had",
    "not_new",
    "offer_of_sku",
    "offers",
    "open_pool",
    "pool",
    "pool_pay_back",
    "pools",
    "put_up",
    "set_offer_open",
    "set_pool_open",
]
