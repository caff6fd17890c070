"""Share links: a short address for a product, team, bargain, invitation or newcomer offer that
carries who shared it. Where it leads is made from a kind and a key, never from an address."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from pinwheel.growth.social.invite import SESSION_SECONDS
from pinwheel.growth.social.model import OwnInvite
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid

Target = Literal["product", "team", "bargain", "invite", "newcomers"]
PATHS = {
    "product": "/p/{key}",
    "team": "/team/{key}",
    "bargain": "/bargain/{key}",
    "invite": "/invite/{token}",
    "newcomers": "/newcomers",
}
CHANNELS = ("link", "qr", "wecom", "telegram", "whatsapp", "email")
KEY = re.compile(r"[A-Za-z0-9_-]{0,120}")
KEPT_SECONDS = 180 * 86_400


class ShareLink(msgspec.Struct, frozen=True):
    id: uuid.UUID
    token: str
    target: str
    target_key: str
    person_id: uuid.UUID | None
    campaign_id: uuid.UUID | None

    @property
    def path(self) -> str:
        """Where it leads: always a page of this shop."""
        return PATHS[self.target].format(key=self.target_key, token=self.token)


def channel_of(text: str) -> str:
    """One of ours; anything else is a plain link."""
    return text if text in CHANNELS else "link"


async def link_of(
    tx: Tx,
    person_id: uuid.UUID,
    target: Target,
    key: str = "",
    *,
    campaign_id: uuid.UUID | None = None,
) -> ShareLink:
    """This person's link to it, made when there is none. ``Invalid`` for a key that is no slug,
    token or id."""
    if target not in PATHS or not KEY.fullmatch(key) or (not key and "{key}" in PATHS[target]):
        raise Invalid("target", "share something of this shop", "请选择本店内容分享")
    await tx.run(
        """
        insert into social.share_link
               (cell, id, token, target, target_key, person_id, campaign_id, made_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing
        """,
        tx.cell,
        tx.new_id(),
        secrets.token_urlsafe(8),
        target,
        key,
        person_id,
        campaign_id,
        tx.now,
    )
    return await tx.the(
        "share link",
        ShareLink,
        """
        select id, token, target, target_key, person_id, campaign_id from social.share_link
         where cell = $1 and person_id = $2 and target = $3 and target_key = $4
           and campaign_id is not distinct from $5
        """,
        tx.cell,
        person_id,
        target,
        key,
        campaign_id,
    )


async def link(tx: Tx, token: str) -> ShareLink:
    """By its token; ``NotFound``. 1 statement."""
    return await tx.the(
        "share link",
        ShareLink,
        """
        select id, token, target, target_key, person_id, campaign_id from social.share_link
         where cell = $1 and token = $2
        """,
        tx.cell,
        token,
    )


async def count_click(tx: Tx, link_id: uuid.UUID, channel: str, *, is_bot: bool) -> None:
    """One more, people and programs apart."""
    await tx.run(
        """
        insert into social.share_clicks as c (cell, link_id, on_date, channel, people, bots)
        values ($1, $2, $3, $4, $5::bigint, 1 - $5::bigint)
        on conflict (cell, link_id, on_date, channel) do update
           set people = c.people + excluded.people, bots = c.bots + excluded.bots
        """,
        tx.cell,
        link_id,
        tx.now.date(),
        channel,
        0 if is_bot else 1,
    )


async def touch(
    tx: Tx, one: ShareLink, visitor_id: uuid.UUID, channel: str, *, accepts: bool = False
) -> None:
    """A visitor came by this link: it counts for a day, and for the campaign's window once they
    ``accept`` the invitation, which asks for the reward. ``OwnInvite`` for accepting one's own;
    another's own click is nothing."""
    if one.person_id == visitor_id:
        if accepts:
            raise OwnInvite()
        return
    if one.person_id is None or one.campaign_id is None:
        return
    await tx.run(
        """
        insert into social.share_touch as t
               (cell, person_id, link_id, channel, at, last_at, accepted_at)
        values ($1, $2, $3, $4, $5, $5, case when $6 then $5::timestamptz end)
        on conflict (cell, person_id, link_id) do update
           set last_at = excluded.last_at, channel = excluded.channel,
               accepted_at = coalesce(excluded.accepted_at, t.accepted_at)
        """,
        tx.cell,
        visitor_id,
        one.id,
        channel,
        tx.now,
        accepts,
    )


async def forget_touches(tx: Tx) -> int:
    """What counts no more; how many."""
    return await tx.run(
        """
        delete from social.share_touch
         where cell = $1 and last_at < $2 and (accepted_at is null or accepted_at < $3)
        """,
        tx.cell,
        tx.later_than(-SESSION_SECONDS),
        tx.later_than(-KEPT_SECONDS),
    )


class LinkClicks(msgspec.Struct, frozen=True):
    token: str
    channel: str
    people: int
    bots: int


async def clicks_of(
    tx: Tx, person_id: uuid.UUID, link_ids: Sequence[uuid.UUID]
) -> list[LinkClicks]:
    """How often one's own links were followed, by channel."""
    return await tx.rows(
        LinkClicks,
        """
        select l.token, c.channel, sum(c.people)::bigint as people, sum(c.bots)::bigint as bots
          from social.share_link l
          join social.share_clicks c on c.cell = l.cell and c.link_id = l.id
         where l.cell = $1 and l.person_id = $2 and l.id = any($3::uuid[])
         group by l.token, c.channel order by people desc
        """,
        tx.cell,
        person_id,
        list(link_ids),
    )
