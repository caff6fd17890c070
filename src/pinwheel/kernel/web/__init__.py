"""The edge: from a request to one struct and back. Only this module knows the web framework.

A module writes its routes as plain functions and lists them; ``app.py`` composes them::

    @get("/orders/{order_id:uuid}", "/api/v1/orders/{order_id:uuid}")
    async def order(call: Call, tx: Tx, order_id: UUID) -> Answer[OrderDetail]:
        found = await orders.order_of(tx, order_id, buyer_id=call.caller.person())
        return Answer(found, page="storefront/order.html")

What a function may ask for, by the name of its parameter: ``call`` (the request and its caller),
``tx`` (a transaction: read-only for GET, otherwise committed before the answer's first byte),
``db`` (to open one itself, or for group commit), ``data`` (the body: JSON or form, as its struct),
the path's parameters, and anything else is a query parameter. It answers with ``Answer`` (a browser
gets the page, a program the JSON), ``See`` (go there) or ``File``; it refuses by raising a
``Refusal``. A verb over a list answers ``each`` item for itself.

Pages live below a language (``/en/…``, ``/zh-CN/…``); routes are written without it. The open API
lives below ``/api/v1/…``.
"""

from pinwheel.kernel.caller import Caller
from pinwheel.kernel.rate import Limit
from pinwheel.kernel.web.call import Answer, Call, Cookie, File, See
from pinwheel.kernel.web.edge import Edge, Recogniser
from pinwheel.kernel.web.itemwise import Each, Refused, each, refused
from pinwheel.kernel.web.live import Live
from pinwheel.kernel.web.routes import Route, delete, get, post, put, routes_of

__all__ = [
    "Answer",
    "Call",
    "Caller",
    "Cookie",
    "Each",
    "Edge",
    "File",
    "Limit",
    "Live",
    "Recogniser",
    "Refused",
    "Route",
    "See",
    "delete",
    "each",
    "get",
    "post",
    "put",
    "refused",
    "routes_of",
]
