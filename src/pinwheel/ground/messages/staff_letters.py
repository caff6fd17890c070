"""Letters that the staff write: versions that are kept, a look before they are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground.messages.model import Template, UnknownTemplate
from pinwheel.ground.messages.wording import Words, checked, filled, one_line
from pinwheel.kernel.db import Tx


class Stored(msgspec.Struct, frozen=True):
    asked: str
    asked_version: int | None
    version: int
    subject: dict[str, str]
    body: dict[str, str]


async def save_template(
    tx: Tx, slug: str, name: str, subject: Mapping[str, str], body: Mapping[str, str]
) -> int:
    """Save as a new version, also when nothing was there; its number. ``Invalid`` without both
    languages. Letters that already wait keep their words."""
    checked(subject, body)
    await tx.run(
        "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"messages.template:{slug}"
    )
    version: int = await tx.value(
        """
        insert into messages.template (slug, version, name, subject, body, saved_at, saved_by)
        select $1, coalesce(max(t.version), 0) + 1, $2, $3, $4, $5, $6
          from messages.template t where t.slug = $1
        returning version
        """,
        slug,
        name,
        dict(subject),
        dict(body),
        tx.now,
        tx.actor,
    )
    return version


async def stored(
    tx: Tx, wanted: Sequence[tuple[str, int | None]]
) -> dict[tuple[str, int | None], Stored]:
    """The letters of the staff by (slug, version or None for the newest)."""
    if not wanted:
        return {}
    asked = list(dict.fromkeys(wanted))
    rows = await tx.rows(
        Stored,
        """
        select a.slug as asked, a.version as asked_version, t.version, t.subject, t.body
          from unnest($1::text[], $2::int[]) as a(slug, version)
          join lateral (select * from messages.template t
                         where t.slug = a.slug and (a.version is null or t.version = a.version)
                         order by t.version desc limit 1) t on true
        """,
        [a[0] for a in asked],
        [a[1] for a in asked],
    )
    return {(r.asked, r.asked_version): r for r in rows}


async def templates(tx: Tx) -> list[Template]:
    """The newest version of each, by name."""
    return await tx.rows(
        Template,
        """
        select slug, version, name, subject, body, saved_at, saved_by from (
          select distinct on (slug) * from messages.template order by slug, version desc) t
         order by name, slug limit 500
        """,
    )


async def template(tx: Tx, slug: str, version: int | None = None) -> Template:
    found = await tx.row(
        Template,
        """
        select slug, version, name, subject, body, saved_at, saved_by from messages.template
         where slug = $1 and ($2::int is null or version = $2) order by version desc limit 1
        """,
        slug,
        version,
    )
    if found is None:
        raise UnknownTemplate(template=slug)
    return found


def preview(
    subject: Mapping[str, str], body: Mapping[str, str], language: str, facts: Mapping[str, str]
) -> Words:
    """The letter as a reader of ``language`` would get it."""
    return Words(
        one_line(filled(subject.get(language, ""), facts)), filled(body.get(language, ""), facts)
    )
