"""The rules: from the figures around an act to reasons. Pure; what a rule weighs, which acts it
looks at and where its limits lie is data (``trust.rule``), what it looks for is here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground.trust.model import Decision, Rule, Why, decided, noisy_or


class Around(msgspec.Struct, frozen=True):
    """What surrounds an act, as of its time. Counts are of 30 days where nothing else is said, and
    of identities (clusters) where nothing else is said."""

    id: uuid.UUID
    kind: str
    same_person: bool
    shared: list[str]  # kinds of traits that both accounts show though they are not one
    accounts: int  # of the one who acts
    today: int  # acts of this kind by this identity in 24 hours, this one counted
    back: int  # acts of this kind the other way round
    forth: int  # acts of this kind this way
    circle: bool  # the other's acts lead back here over one third identity
    helpers: int  # accounts that did this for the other
    helper_devices: int  # devices of those accounts
    helper_identities: int
    helper_ties: int  # pairs of those identities that did this for each other
    fresh_near: int  # accounts a day old or less, of this network, that did this (for the other)
    near: int  # all accounts of this network that did this (for the other) in 24 hours
    crowded: list[str]  # kinds of this account's traits that a crowd shows
    denials: int  # refusals that stand against this identity, in 180 days
    pardoned: list[str]  # rules a person has set aside for this account, in 180 days


Finding = dict[str, Any] | None


def _same_person(a: Around, limits: Mapping[str, float]) -> Finding:
    return {"accounts": a.accounts} if a.same_person else None


def _same_home(a: Around, limits: Mapping[str, float]) -> Finding:
    return {"shared": a.shared} if "home" in a.shared and not a.same_person else None


def _cycle(a: Around, limits: Mapping[str, float]) -> Finding:
    if a.same_person or not (a.back or a.circle):
        return None
    return {"length": 2 if a.back else 3}


def _mutual(a: Around, limits: Mapping[str, float]) -> Finding:
    both = min(a.back, a.forth)
    return {"times": both} if both >= limits.get("times", 3) else None


def _few_devices(a: Around, limits: Mapping[str, float]) -> Finding:
    if a.helpers < limits.get("least", 5):
        return None
    share = a.helper_devices / a.helpers
    if share > limits.get("share", 0.6):
        return None
    return {"accounts": a.helpers, "devices": a.helper_devices}


def _dense_group(a: Around, limits: Mapping[str, float]) -> Finding:
    n = a.helper_identities
    if n < limits.get("least", 5):
        return None
    share = a.helper_ties / (n * (n - 1) / 2)
    if share < limits.get("share", 0.6):
        return None
    return {"identities": n, "share_of_pairs": round(share, 2)}


def _velocity(a: Around, limits: Mapping[str, float]) -> Finding:
    return {"in_24_hours": a.today} if a.today > limits.get("most", 20) else None


def _new_burst(a: Around, limits: Mapping[str, float]) -> Finding:
    if a.fresh_near < limits.get("least", 6):
        return None
    share = a.fresh_near / max(a.near, 1)
    if share < limits.get("share", 0.8):
        return None
    return {"new_accounts": a.fresh_near, "accounts": a.near}


def _crowded_device(a: Around, limits: Mapping[str, float]) -> Finding:
    found = sorted({"device", "payment", "phone"} & set(a.crowded))
    return {"traits": found} if found else None


def _known_abuse(a: Around, limits: Mapping[str, float]) -> Finding:
    return {"refusals": a.denials} if a.denials >= limits.get("denials", 3) else None


LOOK: dict[str, Callable[[Around, Mapping[str, float]], Finding]] = {
    "same_person": _same_person,
    "same_home": _same_home,
    "cycle": _cycle,
    "mutual": _mutual,
    "few_devices": _few_devices,
    "dense_group": _dense_group,
    "velocity": _velocity,
    "new_burst": _new_burst,
    "crowded_device": _crowded_device,
    "known_abuse": _known_abuse,
}
"""What each rule looks for, by the code under which its figures are kept."""


def judged(around: Around, rules: Sequence[Rule]) -> tuple[Decision, float, list[Why]]:
    """The decision on one act, its score and every rule that spoke, the heaviest first. A rule that
    a person set aside for this account is silent."""
    reasons = []
    for rule in rules:
        applies = rule.is_on and (not rule.kinds or around.kind in rule.kinds)
        if not applies or rule.code in around.pardoned or rule.code not in LOOK:
            continue
        finding = LOOK[rule.code](around, rule.limits)
        if finding is not None:
            reasons.append(Why(rule.code, round(rule.weight, 4), rule.en, rule.zh, finding))
    reasons.sort(key=lambda why: (-why.weight, why.rule))
    score = noisy_or(why.weight for why in reasons)
    return decided(score), score, reasons
