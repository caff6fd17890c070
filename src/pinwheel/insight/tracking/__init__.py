"""Tracking: what happens in the shop, first-party, each event once, the money as the ledger has it.

Words: an *event* has a name, a version of a *schema*, an id and properties; a *visitor* is a
browser or app that consented to be counted, a *person* somebody with an account; a *link* says
which person a visitor was, and when; *quarantine* keeps what did not fit, with why; the *inbox*
holds what was taken in until it is unpacked, seconds later.

Promises: an accepted event is durable before the sender is answered and is shown once, however
often and in whichever batch it is sent (within eight days; what occurred more than seven days ago
is refused as late, so no copy can come too late to be seen); a bad event never fails its
neighbours; without consent nothing is kept that tells who, and after a withdrawal nothing more
comes in; the feed gives positions in the order of finished transactions, so a reader misses none;
money is told by the server alone, from the ledger's postings, to the cent.

Other modules read ``tracking.v_event``, ``v_visitor``, ``v_link``, ``v_revenue``, ``v_volume`` and
``v_schema``, and record facts in their own transaction with ``record``.
"""

from pinwheel.insight.tracking.actions import Fault, Receipt, record, take
from pinwheel.insight.tracking.linking import link, links_of, relink, say, unlink
from pinwheel.insight.tracking.mending import (
    Quarantined,
    ReasonCount,
    Replayed,
    Which,
    quarantined,
    reasons,
    replay,
)
from pinwheel.insight.tracking.model import (
    Link,
    NewSchema,
    Property,
    Schema,
    SchemaIncompatible,
    ServerEvent,
)
from pinwheel.insight.tracking.queries import (
    State,
    Tracked,
    TrackedFeed,
    Volume,
    behind,
    events_of,
    export,
    feed,
    state,
    stream,
    volumes,
)
from pinwheel.insight.tracking.registry import add_schema, schemas
from pinwheel.insight.tracking.revenue import book as book_revenue
from pinwheel.insight.tracking.unpacking import unpack

__all__ = [
    "Fault",
    "Link",
    "NewSchema",
    "Property",
    "Quarantined",
    "ReasonCount",
    "Receipt",
    "Replayed",
    "Schema",
    "SchemaIncompatible",
    "ServerEvent",
    "State",
    "Tracked",
    "TrackedFeed",
    "Volume",
    "Which",
    "add_schema",
    "behind",
    "book_revenue",
    "events_of",
    "export",
    "feed",
    "link",
    "links_of",
    "quarantined",
    "reasons",
    "record",
    "relink",
    "replay",
    "say",
    "schemas",
    "state",
    "stream",
    "take",
    "unlink",
    "unpack",
    "volumes",
]
