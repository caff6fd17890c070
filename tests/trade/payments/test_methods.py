"""Stored methods: tokens of one person, and nobody else's."""

from __future__ import annotations

import pytest

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.trade import payments
from trade.payments.till import Till


async def test_methods_belong_to_their_person(till: Till, db: Database) -> None:
    mine, other = till.id(), till.id()
    async with db.transaction() as tx:
        first = await payments.save_method(
            tx, mine, provider="sandbox", token="tok_ok", brand="Visa", last4="4242"
        )
        again = await payments.save_method(
            tx, mine, provider="sandbox", token="tok_ok", brand="VISA", last4="4242"
        )
        second = await payments.save_method(
            tx, mine, provider="sandbox", token="tok_2", brand="Alipay", is_default=True
        )
        assert first == again
        assert [m.id for m in await payments.methods_of(tx, mine)] == [second, first]
        assert await payments.methods_of(tx, other) == []
        assert not await payments.remove_method(tx, other, first)  # type: ignore[arg-type]
        assert not await payments.set_default_method(tx, other, first)  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            await payments.method_of(tx, other, first)  # type: ignore[arg-type]
        assert await payments.remove_method(tx, mine, second)  # type: ignore[arg-type]
        (left,) = await payments.methods_of(tx, mine)
        assert left.is_default and left.brand == "VISA" and "tok" not in repr(left)
        assert await payments.forget_methods(tx, mine) == 1


@pytest.mark.parametrize("field", ["token", "brand", "last4"])
async def test_a_card_number_is_refused_in_each_field(till: Till, db: Database, field: str) -> None:
    fields = {"token": "tok_ok", "brand": "Visa", "last4": "4242"}
    fields[field] = "3782 822463 10005"
    async with db.transaction() as tx:
        answer = await payments.save_method(tx, till.id(), provider="sandbox", **fields)
    assert isinstance(answer, payments.CardNumberRefused)
    assert await db.pool.fetchval("select count(*) from payments.method") == 0
