"""What goes wrong in the simulated city: a price mistake, a payment outage, killed workers."""

from __future__ import annotations

import uuid
from random import Random

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Reaction
from pinwheel.trade import payments, pricing

KILLED = 0.004


class WorkerKilled(BaseException):
    """The worker is gone between an effect and its commit: no handler of errors sees it."""


def let_workers_die(db: Database, seed: int) -> None:
    """Every few hundredth run of a reaction ends with the worker's death before it commits."""
    chance = Random(f"{seed}:kills")
    for name, reaction in sorted(db.reactions.by_name.items()):
        if reaction.when != "during":
            db.reactions.by_name[name] = _mortal(reaction, chance)


def _mortal(reaction: Reaction, chance: Random) -> Reaction:
    call = reaction.call

    async def mortal(*args: object) -> object:
        answer = await call(*args)
        if chance.random() < KILLED:
            raise WorkerKilled
        return answer

    made = Reaction(
        name=reaction.name,
        when=reaction.when,
        events=reaction.events,
        call=mortal,
        seconds=reaction.seconds,
        concurrency=reaction.concurrency,
        lease_seconds=reaction.lease_seconds,
        attempts=10_000,
    )
    mortal.__dict__["pinwheel_reaction"] = made  # it may be asked for again by what it is
    return made


async def set_price(
    db: Database, offer_id: uuid.UUID, currency: str, price_minor: int, *, confirmed: bool
) -> str:
    """Publish a price; "done", or the name of the refusal that stopped it."""
    new = pricing.NewPrice(
        offer_id=offer_id,
        currency=currency,
        price_minor=price_minor,
        reason="simulated",
        confirmed=confirmed,
    )
    try:
        async with db.transaction(actor="simulation") as tx:
            [answer] = await pricing.set_prices(tx, [new])
    except Refusal as refusal:
        return type(refusal).__name__
    return type(answer).__name__ if isinstance(answer, Refusal) else "done"


async def payments_are_down(db: Database, is_down: bool) -> None:
    """The provider answers nothing, or answers again."""
    await payments.sandbox.set_faults(db.pool, payments.sandbox.Faults(is_down=is_down))
