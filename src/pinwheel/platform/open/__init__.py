"""Open: how programs outside follow what happens here, by standards they know.

Words: an *endpoint* is an address that is told; a *kind* is a sort of fact that is public; a
*delivery* is one fact on its way to one endpoint; the *feed* is all public facts in order.

Promises: a message is a CloudEvents 1.0 envelope signed by Standard Webhooks; it arrives at least
once, always under the same ``webhook-id``; nobody is called but public addresses; the feed never
skips a fact.
"""

from pinwheel.platform.open.actions import (
    add_endpoint,
    change_endpoint,
    disable_endpoint,
    enable_endpoint,
    remove_endpoint,
    replay,
    retry,
    rotate_secret,
    try_endpoint,
)
from pinwheel.platform.open.model import (
    CloudEvent,
    Delivery,
    Endpoint,
    EndpointDisabled,
    Feed,
    KindSchema,
    NewEndpoint,
    Secret,
    UnknownKind,
)
from pinwheel.platform.open.public import PUBLIC, schemas
from pinwheel.platform.open.queries import behind, deliveries, endpoint, endpoints, events

__all__ = [
    "PUBLIC",
    "CloudEvent",
    "Delivery",
    "Endpoint",
    "EndpointDisabled",
    "Feed",
    "KindSchema",
    "NewEndpoint",
    "Secret",
    "UnknownKind",
    "add_endpoint",
    "behind",
    "change_endpoint",
    "deliveries",
    "disable_endpoint",
    "enable_endpoint",
    "endpoint",
    "endpoints",
    "events",
    "remove_endpoint",
    "replay",
    "retry",
    "rotate_secret",
    "schemas",
    "try_endpoint",
]
