"""Amounts as people write them, and back."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from babel.numbers import get_currency_precision

from pinwheel.kernel.errors import Invalid

MOST = Decimal(10) ** 12


def minor_of(text: str, currency: str, where: str = "amount") -> int:
    """``12.50`` or ``12,50`` in minor units of ``currency``; refuses what is finer or no number."""
    plain = text.strip().replace(" ", "").replace("\u00a0", "")
    if plain.count(",") == 1 and "." not in plain and len(plain.split(",")[1]) != 3:
        plain = plain.replace(",", ".")
    try:
        amount = Decimal(plain)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) >= MOST:
        raise Invalid(where, "this is not an amount; write 12.50", "金额格式不正确，请写作 12.50")
    minor = amount.scaleb(get_currency_precision(currency))
    if minor != minor.to_integral_value():
        raise Invalid(
            where,
            f"{currency} has no coin that small",
            f"{currency} 没有这么小的货币单位",
        )
    return int(minor)


def plain_of(minor: int | None, currency: str) -> str:
    """The text for an input field: 1250 GBP is ``12.50``."""
    if minor is None:
        return ""
    return str(Decimal(minor).scaleb(-get_currency_precision(currency)))
