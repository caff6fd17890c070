"""Gift cards in orders: sold like goods, and paid with up to what is on them.

Words: a *gift product* is a variant whose pieces are cards worth their price; a *share* is what a
card pays of one order. The cards themselves, and what is on them, belong to payments.

Promises: what a sold card is worth is never income before it is spent: in the transaction that
sends it the shop's sales become the card's balance; a card pays at most what is on it and at most
the order; a returned card comes back whole or not at all.
"""

from pinwheel.trade.giftcards.stage import GiftCardStage

__all__ = ["GiftCardStage"]
"""``app.py`` puts the stage after the tax, where an order's total is known."""
