"""What providers tell by themselves: verified, taken in once, recorded."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade.payments.actions import record
from pinwheel.trade.payments.model import Delivery, Notice
from pinwheel.trade.payments.port import providers_of


async def receive(tx: Tx, provider: str, deliveries: Sequence[Delivery]) -> list[int | Refusal]:
    """Take in webhooks of ``provider``: how many notices of each were new, or
    ``WebhookRefused`` for one that was not signed, is too old, or was changed on its way.

    One statement for the copies, then what ``record`` needs. The body is not kept."""
    asked = providers_of(tx.db).get(provider)
    if asked is None:
        return [NotFound(what="payment provider") for _ in deliveries]
    answers: list[int | Refusal] = []
    notices: dict[str, Notice] = {}
    for delivery in deliveries:
        try:
            told = await asked.parse_webhook(delivery, tx.now)
        except Refusal as refusal:
            answers.append(refusal)
            continue
        new = [n for n in told if n.id not in notices]
        notices.update((n.id, n) for n in new)
        answers.append(len(new))
    if notices:
        fresh = await _fresh(tx, provider, list(notices.values()))
        told_now = [n.outcome for key, n in notices.items() if key in fresh]
        await record(tx, [o for o in told_now if o is not None])
    return answers


async def _fresh(tx: Tx, provider: str, notices: Sequence[Notice]) -> set[str]:
    """The ids that never came before. Another transaction with the same one is waited for."""
    ordered = sorted(notices, key=lambda n: n.id)
    return set(
        await tx.values(
            """
            insert into payments.notice (cell, provider, id, kind, payment_id, received_at)
            select $1, $2, n.id, n.kind, n.payment_id, $3
              from unnest($4::text[], $5::text[], $6::uuid[]) as n(id, kind, payment_id)
            on conflict (cell, provider, id) do nothing
            returning id
            """,
            tx.cell,
            provider,
            tx.now,
            [n.id for n in ordered],
            [n.kind for n in ordered],
            [n.outcome.payment_id if n.outcome else None for n in ordered],
        )
    )
