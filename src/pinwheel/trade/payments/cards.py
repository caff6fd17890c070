"""Card numbers are not taken, in no field and under no name: only a provider's tokens are."""

from __future__ import annotations

import re

UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b")
RUN = re.compile(r"\d(?:[ .\-]?\d){12,}")
SHORTEST, LONGEST = 13, 19


def holds_card_number(*texts: str) -> bool:
    """Are there groups of digits in a row, 13 to 19 digits long together, that pass the Luhn
    check (ISO/IEC 7812-1, annex B), anywhere in ``texts``? Ids are not looked into."""
    return any(
        passes_luhn(digits)
        for text in texts
        if len(text) >= SHORTEST
        for run in RUN.findall(UUID.sub("|", text))
        for digits in _joined(re.findall(r"\d+", run))
    )


def _joined(groups: list[str]) -> list[list[int]]:
    """Each way to read neighbouring groups as one number of a card's length."""
    found = []
    for start in range(len(groups)):
        together = ""
        for group in groups[start:]:
            together += group
            if SHORTEST <= len(together) <= LONGEST:
                found.append([int(c) for c in together])
    return found


def passes_luhn(digits: list[int]) -> bool:
    total = sum(digits[-1::-2])
    for digit in digits[-2::-2]:
        total += digit * 2 - 9 * (digit > 4)
    return total % 10 == 0
