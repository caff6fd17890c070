"""Nouns of trust: traits and what they weigh, clusters, uses, acts and verdicts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.trust import normal
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.kernel.vault import Vault

Kind = Literal["device", "payment", "phone", "email", "home", "building", "network"]
Decision = Literal["allow", "review", "deny"]

LINKED = 0.8
"""Two accounts are one person when the chance that their shared traits say so reaches this."""
DENY_FROM, REVIEW_FROM = 0.9, 0.6
KEPT_DAYS = 365
NETWORK_DAYS = 30
ACT_DAYS = 90
VERDICT_DAYS = 730
APPEAL_DAYS = 7
CLAIM_SECONDS = 1800
WORDS = 2000


class Weight(msgspec.Struct, frozen=True):
    """How much a shared trait says. ``alone`` as long as at most ``soft`` identities share it,
    then ``alone × soft / identities``; nothing once more than ``crowd`` accounts showed it."""

    alone: float
    soft: int
    crowd: int

    def of(self, identities: int, accounts: int) -> float:
        if accounts > self.crowd:
            return 0.0
        return self.alone * min(1.0, self.soft / max(identities, 1))


WEIGHTS: dict[str, Weight] = {
    # Strong: one of them makes two accounts one person, until a crowd shares it.
    "email": Weight(0.99, 200, 200),
    "phone": Weight(0.97, 60, 60),
    "payment": Weight(0.95, 60, 60),
    "device": Weight(0.9, 60, 60),
    # Weak: families, room-mates and colleagues share them honestly.
    "home": Weight(0.6, 3, 60),
    "building": Weight(0.2, 3, 60),
    "network": Weight(0.15, 4, 60),
}
KINDS = tuple(WEIGHTS)


class Seen(msgspec.Struct, frozen=True):
    """A person showed a trait. ``value`` is plain text, which is hashed here and not kept, or a
    hash that ``blinded`` made. ``at``: None is now."""

    person_id: uuid.UUID
    kind: str
    value: str | bytes
    at: dt.datetime | None = None


def blinded(vault: Vault, kind: str, value: str | bytes) -> bytes:
    """The keyed hash under which a trait is known (128 bits)."""
    if isinstance(value, bytes):
        return value
    return vault.blind(value, f"trust.{kind}")[:16]


def seen_email(person_id: uuid.UUID, text: str) -> list[Seen]:
    value = normal.email(text)
    return [Seen(person_id, "email", value)] if value else []


def seen_phone(person_id: uuid.UUID, text: str, country: str = "") -> list[Seen]:
    value = normal.phone(text, country)
    return [Seen(person_id, "phone", value)] if value else []


def seen_network(person_id: uuid.UUID, address: str) -> list[Seen]:
    value = normal.network(address)
    return [Seen(person_id, "network", value)] if value else []


def seen_device(person_id: uuid.UUID, mark: str) -> list[Seen]:
    """``mark`` is what this shop's own cookie or ``Draft.device`` says; "" is no device."""
    return [Seen(person_id, "device", mark)] if mark else []


def seen_payment(person_id: uuid.UUID, provider: str, fingerprint: str) -> list[Seen]:
    return [Seen(person_id, "payment", f"{provider}:{fingerprint}")] if fingerprint else []


def seen_address(
    person_id: uuid.UUID, country: str, postal_code: str, line1: str, line2: str = ""
) -> list[Seen]:
    """The home and, where a flat or room is named, the building around it."""
    building, unit = normal.address(country, postal_code, line1, line2)
    if not building:
        return []
    found = [Seen(person_id, "home", f"{building}|{unit}")]
    return [*found, Seen(person_id, "building", building)] if unit else found


class Shared(msgspec.Struct, frozen=True):
    """A trait that two accounts share: by how many identities and accounts in all."""

    kind: str
    identities: int
    accounts: int

    @property
    def weight(self) -> float:
        return WEIGHTS[self.kind].of(self.identities, self.accounts)


class Because(msgspec.Struct, frozen=True):
    """One reason why two accounts are one: a trait's kind, its weight, who else shows it."""

    kind: str
    weight: float
    accounts: int


class Link(msgspec.Struct, frozen=True):
    """How near two accounts are. ``is_one``: they count as one person."""

    low_id: uuid.UUID
    high_id: uuid.UUID
    score: float
    is_one: bool
    reasons: list[Because]


def weighed(shared: Iterable[Shared]) -> tuple[float, list[Because]]:
    """The chance that two accounts are one: one minus the product of what each kind leaves open
    (noisy or). Of a kind only the best counts, two shared networks being no second witness."""
    best: dict[str, Because] = {}
    for one in shared:
        weight = round(one.weight, 4)
        if weight > 0 and (one.kind not in best or best[one.kind].weight < weight):
            best[one.kind] = Because(one.kind, weight, one.accounts)
    reasons = sorted(best.values(), key=lambda b: (-b.weight, b.kind))
    return noisy_or(b.weight for b in reasons), reasons


def noisy_or(weights: Iterable[float]) -> float:
    left = 1.0
    for weight in weights:
        left *= 1.0 - weight
    return round(1.0 - left, 4)


def merged(pairs: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> dict[uuid.UUID, uuid.UUID]:
    """Union-find over cluster ids: each absorbed cluster and the one it goes to, which is the
    smallest (the oldest) of all that hang together. The order of ``pairs`` does not matter."""
    parent: dict[uuid.UUID, uuid.UUID] = {}

    def root(one: uuid.UUID) -> uuid.UUID:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return {one: root(one) for one in parent if root(one) != one}


# --- uses: what one person may have so often


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """``person_id`` wants what one identity may have ``most`` times, and one home ``home_most``
    times (0: homes are not counted). The limits of a purpose never change."""

    person_id: uuid.UUID
    purpose: str
    document_kind: str
    document_id: uuid.UUID
    most: int = 1
    home_most: int = 0


class AlreadyUsed(Refusal):
    """No accusation: what happened may have been done by somebody of the same household."""

    en = (
        "This is available once to each person, and it was used already with this account, "
        "device, card or address. If that wasn't you, ask us to look at it: {appeal}"
    )
    zh = (
        "此优惠每人限用一次，该账号、设备、支付方式或地址已使用过。"
        "如非本人使用，请申请复核：{appeal}"
    )

    def __init__(self, appeal: str = "/account/appeals") -> None:
        super().__init__(appeal=appeal)


USE = ledger.Unit("identity-use", "use")


def identity_account(cluster_id: uuid.UUID, purpose: str, most: int = 1) -> ledger.Account:
    """What is left to one identity of ``purpose``: begins at nothing and may go ``most`` below.
    Take from it by ``take``, which knows what happens when two clusters turn out to be one."""
    return ledger.Account(f"identity:{purpose}:{cluster_id}", USE, "debit", floor=-most)


def home_account(home: bytes, purpose: str, most: int) -> ledger.Account:
    return ledger.Account(f"identity:{purpose}:home:{home.hex()}", USE, "debit", floor=-most)


def used(purpose: str) -> ledger.Account:
    """Where uses go: no floor, so that nobody waits for it."""
    return ledger.Account(f"identity:{purpose}:used", USE, "debit")


# --- acts and verdicts


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """``person_id`` does something (for ``other_id``): an invited buyer for who invited, a helper
    for who bargains, a buyer of a newcomer offer for nobody. ``document_id`` names the invitation,
    bargain or order for whoever hears the verdict."""

    kind: str
    person_id: uuid.UUID
    other_id: uuid.UUID | None = None
    document_id: uuid.UUID | None = None
    facts: dict[str, Any] = {}
    at: dt.datetime | None = None


class Why(msgspec.Struct, frozen=True):
    """A rule that spoke, in both languages, with the figures it saw."""

    rule: str
    weight: float
    en: str
    zh: str
    evidence: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True):
    """``decision`` as the rules have it. A review is somebody's work: what is asked for waits."""

    id: uuid.UUID
    decision: Decision
    score: float
    reasons: list[Why]


class Rule(msgspec.Struct, frozen=True):
    """A rule as data. ``kinds`` empty: it looks at every act."""

    code: str
    kinds: list[str]
    weight: float
    limits: dict[str, float]
    is_on: bool
    en: str
    zh: str


class NotUnderReview(Refusal):
    en = "This was decided in the meantime, or {who} is looking at it. Load the page again."
    zh = "该事项已有决定，或正由 {who} 处理。请刷新页面。"


class AppealExists(Refusal):
    en = "You have asked us to look at this already. We answer by {due}."
    zh = "您已就此提出申诉，我们将在 {due} 前答复。"


class NothingToAppeal(Refusal):
    en = "Nothing was refused here: there is nothing to appeal against."
    zh = "此处没有被拒绝的事项，无需申诉。"


class SameCluster(Refusal):
    status = 422
    en = "These accounts are one already, or all of them were named. Name some to part from others."
    zh = "所选账号已属同一人，或选中了全部账号。请只选择需要分出的部分。"


# --- facts


class ClustersMerged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "cluster_id"
    cluster_id: uuid.UUID
    absorbed_ids: list[uuid.UUID]


class UseExceeded(Event, frozen=True, kw_only=True):
    """Two identities that both used something turned out to be one: this use is one too many."""

    subject: ClassVar[str] = "document_id"
    document_id: uuid.UUID
    document_kind: str
    purpose: str
    person_id: uuid.UUID


class VerdictDecided(Event, frozen=True, kw_only=True):
    """A person decided what the rules had left open, or otherwise than they: pay out or take
    back."""

    subject: ClassVar[str] = "verdict_id"
    verdict_id: uuid.UUID
    act_kind: str
    person_id: uuid.UUID
    other_id: uuid.UUID | None
    document_id: uuid.UUID | None
    decision: Literal["allow", "deny"]


class AppealAnswered(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "person_id"
    person_id: uuid.UUID
    appeal_id: uuid.UUID
    verdict_id: uuid.UUID
    is_granted: bool


class AppealOverdue(Event, frozen=True, kw_only=True):
    """Nobody answered by the promised day: it is first in the queue from now on."""

    subject: ClassVar[str] = "appeal_id"
    appeal_id: uuid.UUID


def decided(score: float) -> Decision:
    return "deny" if score >= DENY_FROM else "review" if score >= REVIEW_FROM else "allow"


def ordered_pair(a: uuid.UUID, b: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    return (a, b) if a < b else (b, a)


Pairs = Sequence[tuple[uuid.UUID, uuid.UUID]]
