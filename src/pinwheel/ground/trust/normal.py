"""The form in which a trait is compared: written differently, still the same mailbox, telephone or
door. Pure; what comes out of here is hashed at once and never kept."""

from __future__ import annotations

import ipaddress
import re
import unicodedata

DOTS_DO_NOT_COUNT = {"gmail.com"}
SAME_PROVIDER = {"googlemail.com": "gmail.com", "hotmail.com": "outlook.com"}
CALLING_CODES = {
    "CN": "86",
    "GB": "44",
    "US": "1",
    "CA": "1",
    "DE": "49",
    "FR": "33",
    "BR": "55",
    "ES": "34",
    "IT": "39",
    "NL": "31",
    "AT": "43",
    "CH": "41",
    "HK": "852",
    "TW": "886",
    "SG": "65",
    "JP": "81",
    "AU": "61",
    "IE": "353",
    "PT": "351",
    "PL": "48",
    "BE": "32",
}
SHORT_FORMS = {
    "street": "st",
    "str": "st",
    "strasse": "st",
    "straße": "st",
    "road": "rd",
    "lane": "ln",
    "avenue": "ave",
    "av": "ave",
    "boulevard": "blvd",
    "drive": "dr",
    "court": "ct",
    "place": "pl",
    "square": "sq",
    "saint": "st",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "house": "hse",
    "building": "bldg",
    "apartment": "apt",
    "rua": "r",
}
UNIT = re.compile(
    r"(?:\b(?:apt|apartment|flat|unit|room|rm|suite|ste|no\.? ?unit|wohnung|whg|apto)\b\.? *"
    r"|# *)([0-9a-z]+(?:-[0-9a-z]+)*)"
)
UNIT_ZH = re.compile(
    r"([0-9a-z]+ *(?:单元|單元))?[ ,，]*([0-9a-z]+(?:-[0-9a-z]+)*) *(?:室|房|户|戶)"
)
DIGITS_ZH = str.maketrans("零一二三四五六七八九", "0123456789")


def email(text: str) -> str:
    """The mailbox behind an address: a tag after ``+`` and, where the provider ignores them, dots
    lead to the same one. "" for what is no address."""
    local, at, domain = unicodedata.normalize("NFKC", text).strip().casefold().rpartition("@")
    if not at or not local:
        return ""
    domain = SAME_PROVIDER.get(domain, domain)
    local = local.partition("+")[0] or local
    if domain in DOTS_DO_NOT_COUNT:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def phone(text: str, country: str = "") -> str:
    """A number in international form as far as its country is known; "" below seven digits."""
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = re.sub(r"\D", "", plain)
    if len(digits) < 7:
        return ""
    if plain.startswith("+"):
        return digits
    if digits.startswith("00"):
        return digits[2:]
    code = CALLING_CODES.get(country, country)
    return code + digits.lstrip("0")


def address(country: str, postal_code: str, line1: str, line2: str = "") -> tuple[str, str]:
    """(building, unit): street and number with the post code, and the flat or room apart; unit ""
    where none is named."""
    text = unicodedata.normalize("NFKC", f"{line1} {line2}").casefold()
    if re.search(r"[\u4e00-\u9fff]", text):
        text, unit = _apart_zh(text)
    else:
        text, unit = _apart(text)
    words = re.findall(r"\w+", text)
    street = "".join(sorted(SHORT_FORMS.get(word, word) + " " for word in words)).strip()
    code = re.sub(r"\W", "", unicodedata.normalize("NFKC", postal_code)).casefold()
    return (f"{country.upper()}|{code}|{street}", unit) if street else ("", "")


def _apart(text: str) -> tuple[str, str]:
    found = UNIT.search(text)
    if found is None:
        return text, ""
    return text[: found.start()] + " " + text[found.end() :], found[1]


def _apart_zh(text: str) -> tuple[str, str]:
    text = re.sub(r"\s+", "", text.translate(DIGITS_ZH))
    found = UNIT_ZH.search(text)
    if found is None:
        return text, ""
    part = re.sub(r"\D", "", found[1] or "")
    return text[: found.start()] + text[found.end() :], f"{part}/{found[2]}"


def network(address_text: str) -> str:
    """The network around an address: /24 of IPv4, /48 of IPv6; "" for what is neither."""
    try:
        parsed = ipaddress.ip_address(address_text)
    except ValueError:
        return ""
    near = ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False)
    return str(near)
