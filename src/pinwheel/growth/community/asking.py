"""Questions about a product, and answers by those who have it and by the shop."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from pinwheel.growth.community.doubting import is_doubted, keep_signals
from pinwheel.growth.community.model import (
    NothingDelivered,
    QuestionAnswered,
    QuestionAsked,
    Written,
)
from pinwheel.growth.community.reviews import bought
from pinwheel.growth.community.wording import one_line, plain, wording_signals
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound


class Asked(msgspec.Struct, frozen=True):
    product_id: uuid.UUID
    person_id: uuid.UUID | None


async def ask(
    tx: Tx, person_id: uuid.UUID, product_id: uuid.UUID, words: str, *, author: str = ""
) -> Written:
    """Ask about a published product; anybody with an account may."""
    body = _said(words)
    if not await tx.value(
        "select published from catalogue.v_product where product_id = $1", product_id
    ):
        raise NotFound(what="product")
    signals = wording_signals(body)
    written = Written(tx.new_id(), "pending" if is_doubted(signals) else "published")
    await tx.run(
        """
        insert into community.question
               (cell, id, product_id, person_id, author, body, state, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        tx.cell,
        written.id,
        product_id,
        person_id,
        one_line(author),
        body,
        written.state,
        tx.now,
    )
    await keep_signals(tx, [(written.id, signal) for signal in signals])
    if written.state == "published":
        tx.emit(QuestionAsked(question_id=written.id, product_id=product_id))
    return written


async def answer(
    tx: Tx,
    person_id: uuid.UUID,
    question_id: uuid.UUID,
    words: str,
    *,
    author: str = "",
    standing: Literal["buyer", "shop"] = "buyer",
) -> Written:
    """Answer a published question: as somebody who has received the product (else
    ``NothingDelivered``), or for the shop (whoever calls has checked that right)."""
    body = _said(words)
    asked = await tx.the(
        "question",
        Asked,
        """
        select product_id, person_id from community.question
         where cell = $1 and id = $2 and state = 'published'
        """,
        tx.cell,
        question_id,
    )
    if standing == "buyer" and await bought(tx, person_id, asked.product_id) is None:
        raise NothingDelivered()
    signals = wording_signals(body) if standing == "buyer" else []
    written = Written(tx.new_id(), "pending" if is_doubted(signals) else "published")
    await tx.run(
        """
        insert into community.answer (cell, id, question_id, product_id, person_id, author,
               standing, body, state, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.cell,
        written.id,
        question_id,
        asked.product_id,
        person_id,
        one_line(author),
        standing,
        body,
        written.state,
        tx.now,
    )
    await keep_signals(tx, [(written.id, signal) for signal in signals])
    if written.state == "published":
        tx.emit(
            QuestionAnswered(
                question_id=question_id,
                answer_id=written.id,
                product_id=asked.product_id,
                asker_id=asked.person_id,
            )
        )
    return written


async def withdraw_words(tx: Tx, person_id: uuid.UUID, subject_id: uuid.UUID) -> None:
    """Take one's question or answer away. Safe to repeat."""
    found = await tx.value(
        """
        with q as (
          update community.question set state = 'withdrawn'
           where cell = $1 and id = $2 and person_id = $3 returning 1
        ), a as (
          update community.answer set state = 'withdrawn'
           where cell = $1 and id = $2 and person_id = $3 returning 1
        )
        select count(*) from (select from q union all select from a) done
        """,
        tx.cell,
        subject_id,
        person_id,
    )
    if not found:
        raise NotFound(what="question or answer")


def _said(words: str) -> str:
    body = plain(words)
    if not body:
        raise Invalid("words", "say something", "请填写内容")
    return body
