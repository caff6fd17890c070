"""Webhooks and API keys: who outside is told, and which programs may ask."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query
from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.platform import open as outside
from pinwheel.platform.open import Delivery, Endpoint, NewEndpoint

HOOKS, KEYS = "webhooks", "keys"
KEY_SCOPES = (
    *("orders:read", "orders:write", "catalogue:read", "catalogue:write", "stock"),
    *("fulfilment:write", "events:read", "webhooks", "experiments", "operate"),
)
STATES = ("waiting", "delivered", "failed")


class Outside(msgspec.Struct, frozen=True):
    """Every webhook, and one's own keys: a key is never shown again."""

    endpoints: list[Endpoint]
    keys: list[identity.KeyLine]


@get("/console/open", scope=HOOKS)
async def outside_page(call: Call, tx: Tx) -> Answer[Outside]:
    """Webhooks and keys."""
    return await _page(call, tx)


async def _page(call: Call, tx: Tx, **more: Any) -> Answer[Outside]:
    person_id = call.caller.person_id
    found = Outside(
        await outside.endpoints(tx), await identity.keys_of(tx, person_id) if person_id else []
    )
    title = call.say("Webhooks and keys")
    return await shown(
        call,
        tx,
        found,
        "open",
        title,
        "open",
        kinds=[k.kind for k in outside.schemas()],
        key_scopes=[s for s in KEY_SCOPES if call.caller.may(s)],
        **{"secret": None, "secret_of": "", **more},
    )


class HookForm(msgspec.Struct):
    url: Annotated[str, Meta(min_length=8, max_length=2000)]
    label: Annotated[str, Meta(max_length=200)] = ""
    kinds: Annotated[list[str], Meta(max_length=200)] = []


@post("/console/open/webhooks", scope=HOOKS)
async def add_hook(call: Call, db: Database, data: HookForm) -> Any:
    """Tell an address. The answer shows its secret, this once."""

    async def verb(tx: Tx) -> outside.Secret:
        new = NewEndpoint(url=data.url, label=data.label, kinds=[k for k in data.kinds if k])
        return await outside.add_endpoint(tx, new)

    return await _shown_once(call, db, verb, lambda made: made.secret, data.url)


async def _shown_once(call: Call, db: Database, verb: Any, secret: Any, of: str) -> Any:
    """A secret is in the answer to the form that made it, and nowhere after."""
    try:
        made = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    except Refusal as refusal:
        if not call.wants_page or refusal.status in (401, 403):
            raise
        async with db.reading(actor=call.caller.actor) as tx:
            error = refusal.sentence(call.language)
            return with_status(await _page(call, tx, error=error), refusal.status)
    if not call.wants_page:
        return Answer(made, status=201)
    async with db.reading(actor=call.caller.actor) as tx:
        return await _page(call, tx, secret=secret(made), secret_of=of)


def with_status(answer: Answer[Any], status: int) -> Answer[Any]:
    return Answer(
        answer.data, page=answer.page, part=answer.part, status=status, more=answer.more,
        cookies=answer.cookies,
    )  # fmt: skip


@post("/console/open/webhooks/{endpoint_id:uuid}/rotate", scope=HOOKS)
async def rotate(call: Call, db: Database, endpoint_id: UUID) -> Any:
    """A new secret; the old one signs beside it for a day."""

    async def verb(tx: Tx) -> outside.Secret:
        return await outside.rotate_secret(tx, endpoint_id)

    return await _shown_once(call, db, verb, lambda made: made.secret, str(endpoint_id))


class Press(msgspec.Struct):
    """``do``: enable, disable, test or remove."""

    do: str


@post("/console/open/webhooks/{endpoint_id:uuid}", scope=HOOKS)
async def press(call: Call, db: Database, endpoint_id: UUID, data: Press) -> See[Any]:
    """Switch a webhook on or off, try it, or take it away."""

    async def verb(tx: Tx) -> None:
        await outside.endpoint(tx, endpoint_id)
        if data.do == "enable":
            await outside.enable_endpoint(tx, endpoint_id)
        elif data.do == "disable":
            await outside.disable_endpoint(tx, endpoint_id, "console")
        elif data.do == "remove":
            await outside.remove_endpoint(tx, endpoint_id)
        else:
            await outside.try_endpoint(tx, endpoint_id)

    here = "/console/open" if data.do == "remove" else f"/console/open/webhooks/{endpoint_id}"
    return await attempt(call, db, verb, here, call.say("Done."))


class HookDesk(msgspec.Struct, frozen=True):
    endpoint: Endpoint
    deliveries: Page[Delivery]


@get("/console/open/webhooks/{endpoint_id:uuid}", scope=HOOKS)
async def hook_page(
    call: Call, tx: Tx, endpoint_id: UUID, state: str = "", after: str | None = None
) -> Answer[HookDesk]:
    """What was sent to one address, and what came back."""
    state = state if state in STATES else ""
    desk = HookDesk(
        await outside.endpoint(tx, endpoint_id),
        await outside.deliveries(tx, endpoint_id, state=state or None, cursor=after),
    )
    path = f"/console/open/webhooks/{endpoint_id}"
    return await shown(
        call,
        tx,
        desk,
        "webhook",
        desk.endpoint.label or desk.endpoint.url,
        "open",
        state=state,
        states=STATES,
        next_path=with_query(path, state=state, after=desk.deliveries.next)
        if desk.deliveries.next
        else None,
        first_path=with_query(path, state=state) if after else None,
    )


class RetryForm(msgspec.Struct):
    event: Annotated[list[UUID], Meta(min_length=1, max_length=1000)]


@post("/console/open/webhooks/{endpoint_id:uuid}/retry", scope=HOOKS)
async def retry(call: Call, db: Database, endpoint_id: UUID, data: RetryForm) -> See[Any]:
    """Send these events again now."""

    async def verb(tx: Tx) -> int:
        return await outside.retry(tx, endpoint_id, data.event)

    def message(n: int) -> str:
        return call.say("%(n)s are sent again.") % {"n": n}

    return await attempt(call, db, verb, f"/console/open/webhooks/{endpoint_id}", message)


class KeyForm(msgspec.Struct):
    label: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]


@post("/console/open/keys", scope=KEYS)
async def make_key(call: Call, db: Database, data: KeyForm) -> Any:
    """A key for a program. The answer shows it, this once."""

    async def verb(tx: Tx) -> Any:
        return await identity.make_key(tx, call.caller, data.label, data.scopes)

    return await _shown_once(call, db, verb, lambda made: made.key, data.label)


class GoneForm(msgspec.Struct):
    key_id: UUID


@post("/console/open/keys/revoke", scope=KEYS)
async def revoke_key(call: Call, db: Database, data: GoneForm) -> See[Any]:
    """The program that has it is shut out at once."""

    async def verb(tx: Tx) -> None:
        await identity.revoke_key(tx, call.caller.person(), data.key_id)

    return await attempt(call, db, verb, "/console/open", call.say("The key is revoked."))
