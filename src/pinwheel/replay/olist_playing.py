"""Plays the plan of Olist through the verbs."""

from __future__ import annotations

from pathlib import Path

from pinwheel.kernel.db import Database
from pinwheel.replay.retail_playing import Played, Say

CURRENCY = "BRL"


async def play(
    whole: Database, path: Path, say: Say, *, minutes: int, most: int, first_lines: int = 0
) -> Played:
    raise NotImplementedError
