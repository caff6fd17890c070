"""Article numbers with correct check digits that can't be taken for somebody's goods.

Books carry ISBN-13s under 979-7, things carry GTIN-13s under 20–29, which GS1 keeps for use
inside one company ("restricted circulation"). Both are for demonstration: they identify nothing
outside it.
"""

BOOK_PREFIX = "9797"
THING_PREFIX = "299"


def check_digit(twelve: str) -> int:
    """The thirteenth digit of a GTIN-13 or ISBN-13: weights 1 and 3 by turns, summing to a
    multiple of ten."""
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(twelve))
    return -total % 10


def demo_isbn(number: int) -> str:
    """The ISBN-13 of the demonstration book edition `number`, below 10**8."""
    twelve = f"{BOOK_PREFIX}{number:08d}"
    return f"{twelve}{check_digit(twelve)}"


def demo_gtin(number: int) -> str:
    """The GTIN-13 of the demonstration thing `number`, below 10**9."""
    twelve = f"{THING_PREFIX}{number:09d}"
    return f"{twelve}{check_digit(twelve)}"
