"""What a journey can do: write a letter, tell an address, and whatever the house was given."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import messages
from pinwheel.ground.messages import NewMessage
from pinwheel.growth.journeys.model import Doing, HookAsked
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.vault import Vault

Action = Callable[[Tx, Sequence[Doing]], Awaitable[Sequence[Any]]]
"""Does it for many in the journey's transaction, once for each ``Doing.key``; a ``Refusal`` in the
answer is "not for this one"."""
Variations = Callable[[Tx, str, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, str | None]]]
"""Which variation of an experiment (by its key) each person has."""


class Powers(msgspec.Struct, frozen=True, kw_only=True):
    """What this house's journeys can do beyond letters and webhooks."""

    actions: Mapping[str, Action] = {}
    variations: Variations | None = None


def use(db: Database, powers: Powers) -> None:
    db.given[Powers] = powers


def powers_of(db: Database) -> Powers:
    given = db.given.get(Powers)
    return given if isinstance(given, Powers) else Powers()


def actions_of(db: Database) -> dict[str, Action]:
    return {"message": write_letters, "webhook": tell, **powers_of(db).actions}


async def write_letters(tx: Tx, doings: Sequence[Doing]) -> Sequence[Any]:
    """A marketing letter by the staff's template ``settings["template"]``."""
    return await messages.send(
        tx,
        [
            NewMessage(
                scope=f"journey:{one.journey_id}",
                key=one.key,
                purpose="marketing",
                template=one.settings.get("template", ""),
                person_id=one.person_id,
                facts=one.facts,
            )
            for one in doings
        ],
    )


async def tell(tx: Tx, doings: Sequence[Doing]) -> Sequence[Refusal | None]:
    """A signed call to ``settings["url"]``, made once this has committed."""
    tx.emit(
        *(
            HookAsked(
                journey_id=one.journey_id,
                enrolment_id=one.enrolment_id,
                person_id=one.person_id,
                key=one.key,
                url=one.settings.get("url", ""),
                facts=dict(one.facts),
            )
            for one in doings
        )
    )
    return [None] * len(doings)


def hook_secret(vault: Vault, journey_id: uuid.UUID) -> str:
    """What a journey's calls are signed with (Standard Webhooks)."""
    key = vault.blind(str(journey_id), "journeys.webhook")
    return f"whsec_{base64.b64encode(key).decode()}"
