"""The statement that writes which orders use which promotions."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx


class NewUse(msgspec.Struct, frozen=True, kw_only=True):
    order_id: uuid.UUID
    promotion_id: uuid.UUID
    person_id: uuid.UUID | None
    coupon_id: uuid.UUID | None
    digest: bytes | None
    pieces: int
    off_minor: int
    currency: str


async def write_uses(tx: Tx, uses: Sequence[NewUse]) -> None:
    """One statement."""
    if not uses:
        return
    await tx.run(
        """
        insert into promotions.use (cell, order_id, promotion_id, person_id, coupon_id, digest,
                                    pieces, off_minor, currency, used_at)
        select $1, u.order_id, u.promotion_id, u.person_id, u.coupon_id, u.digest, u.pieces,
               u.off_minor, u.currency, $2
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::bytea[], $8::bigint[],
                      $9::bigint[], $10::text[])
               as u(order_id, promotion_id, person_id, coupon_id, digest, pieces, off_minor,
                    currency)
        """,
        tx.cell,
        tx.now,
        [u.order_id for u in uses],
        [u.promotion_id for u in uses],
        [u.person_id for u in uses],
        [u.coupon_id for u in uses],
        [u.digest for u in uses],
        [u.pieces for u in uses],
        [u.off_minor for u in uses],
        [u.currency for u in uses],
    )
