"""Composition: the one file that knows every module. A new module is added to the tuples here."""

from __future__ import annotations

from types import ModuleType

from pinwheel.ground.ledger import jobs as ledger_jobs
from pinwheel.kernel.events import Reactions

JOBS: tuple[ModuleType, ...] = (ledger_jobs,)
"""The ``jobs`` module of every module that has one, from the ground up."""


def reactions() -> Reactions:
    """What follows from what, over the whole house."""
    return Reactions(JOBS)
