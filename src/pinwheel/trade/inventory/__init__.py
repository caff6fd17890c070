"""Inventory: what is where, and what may be promised of it.

Words: a *node* is a place that keeps stock; a *position* is one seller's stock of one variant
at one node; *ATP* (available to promise) is what is on hand, less what is reserved and the
safety stock, plus what may be back-ordered;
*sourcing* chooses the nodes that send an order; an *earmark* is pieces put aside for a document,
out of everybody's reach.

Promises: a quantity is a ledger balance and nothing else; ATP is never promised twice; the
warehouse walks, the inventory does not."""

from pinwheel.trade.inventory.actions import (
    adjust,
    came_back,
    move,
    open_positions,
    receive,
    save_nodes,
    set_limits,
    set_node_open,
)
from pinwheel.trade.inventory.counting import count
from pinwheel.trade.inventory.earmarks import (
    Earmark,
    account_of,
    earmarks,
    earmarks_of_holds,
    give_back,
    put_aside,
)
from pinwheel.trade.inventory.model import (
    AvailabilityChanged,
    Counted,
    Free,
    Node,
    NodeClosed,
    NodeOpened,
    OutOfStock,
    Part,
    Place,
    Position,
    StockCount,
    StockTaken,
    Terms,
    TooFewToPutAside,
    UnknownNode,
    Wanted,
    available,
    cost,
    damaged,
    nearest,
    sold,
    source,
    written_off,
)
from pinwheel.trade.inventory.queries import nodes, positions, stock_list

__all__ = [
    "AvailabilityChanged",
    "Counted",
    "Earmark",
    "Free",
    "Node",
    "NodeClosed",
    "NodeOpened",
    "OutOfStock",
    "Part",
    "Place",
    "Position",
    "StockCount",
    "StockTaken",
    "Terms",
    "TooFewToPutAside",
    "UnknownNode",
    "Wanted",
    "account_of",
    "adjust",
    "available",
    "came_back",
    "cost",
    "count",
    "damaged",
    "earmarks",
    "earmarks_of_holds",
    "give_back",
    "move",
    "nearest",
    "nodes",
    "open_positions",
    "positions",
    "put_aside",
    "receive",
    "save_nodes",
    "set_limits",
    "set_node_open",
    "sold",
    "source",
    "stock_list",
    "written_off",
]
