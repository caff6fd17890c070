"""A simulated crowd for measuring trust: honest households, offices and halls of residence, and
planted fraud, all drawn from one seed. Nobody in it exists.

Honest people: households of one to five (a tablet shared by some, a card by couples), offices where
everybody shares a network and half have parcels sent to the desk, halls with rooms of three behind
one network. Fraud: one person with fifty accounts who rotates six devices, five drop addresses,
five cards, twelve telephones and one mailbox under other spellings, and for each account takes a
fresh one of each with the chances of ``FRESH``; about one account in twenty shares nothing strong.
Of the honest accounts seven in ten are older than a day, of the planted ones none.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid

import msgspec

from pinwheel.ground import trust
from pinwheel.ground.trust import Act, Seen
from world import MONDAY

FRESH = {"device": 0.25, "card": 0.4, "phone": 0.6, "mailbox": 0.75, "address": 0.2}


class Account(msgspec.Struct):
    """``owner`` is the household or the person behind it; ``farm``: it is planted."""

    id: uuid.UUID
    owner: str
    farm: bool
    device: str
    seen: list[Seen]


class Crowd:
    def __init__(self, seed: int, *, households: int = 120, farms: int = 4, size: int = 50) -> None:
        self.rng = random.Random(seed)
        self.accounts: list[Account] = []
        self.numbers = iter(range(10**9))
        for number in range(households):
            self._household(f"h{number}")
        for number in range(2):
            self._office(f"o{number}")
        for number in range(2):
            self._hall(f"r{number}")
        for number in range(farms):
            self._farm(f"f{number}", size)
        self.rng.shuffle(self.accounts)

    def _id(self) -> uuid.UUID:
        return uuid.UUID(int=self.rng.getrandbits(128))

    def _fresh(self, what: str) -> str:
        return f"{what}-{next(self.numbers)}-{self.rng.getrandbits(64):x}"

    def _phone(self) -> str:
        return f"+44{self.rng.randrange(10**9, 10**10)}"

    def _street(self) -> str:
        return f"{self.rng.randrange(1, 200)} {self._fresh('Street')}"

    def _add(
        self,
        owner: str,
        *,
        farm: bool = False,
        device: str,
        card: str,
        phone: str,
        mailbox: str,
        street: str,
        unit: str = "",
        network: str,
    ) -> Account:
        who = self._id()
        old = not farm and self.rng.random() < 0.7
        at = MONDAY - dt.timedelta(days=60) if old else None
        account = Account(
            who,
            owner,
            farm,
            device,
            [
                msgspec.structs.replace(seen, at=at)
                for seen in (
                    *trust.seen_device(who, device),
                    *trust.seen_payment(who, "cards", card),
                    *trust.seen_phone(who, phone),
                    *trust.seen_email(who, mailbox),
                    *trust.seen_address(who, "GB", "AB1 2CD", street, unit),
                    *trust.seen_network(who, network),
                )
            ],
        )
        self.accounts.append(account)
        return account

    def _network(self) -> str:
        return ".".join(str(self.rng.randrange(1, 250)) for _ in range(4))

    def _household(self, owner: str) -> None:
        rng, street, network = self.rng, self._street(), self._network()
        unit = f"Flat {rng.randrange(1, 60)}" if rng.random() < 0.5 else ""
        tablet, joint = self._fresh("tablet"), self._fresh("card")
        shares_tablet, shares_card = rng.random() < 0.4, rng.random() < 0.3
        for member in range(rng.choice((1, 1, 2, 2, 3, 4, 5))):
            self._add(
                owner,
                device=tablet if shares_tablet and member < 2 else self._fresh("phone"),
                card=joint if shares_card and member < 2 else self._fresh("card"),
                phone=self._phone(),
                mailbox=f"{self._fresh('reader')}@example.org",
                street=street,
                unit=unit,
                network=network,
            )

    def _office(self, name: str) -> None:
        desk, network = self._street(), self._network()
        for member in range(40):
            self._add(
                f"{name}-{member}",
                device=self._fresh("laptop"),
                card=self._fresh("card"),
                phone=self._phone(),
                mailbox=f"{self._fresh('clerk')}@example.com",
                street=desk if self.rng.random() < 0.2 else self._street(),
                network=network,
            )

    def _hall(self, name: str) -> None:
        street, network = self._street(), self._network()
        for member in range(60):
            self._add(
                f"{name}-{member}",
                device=self._fresh("phone"),
                card=self._fresh("card"),
                phone=self._phone(),
                mailbox=f"{self._fresh('student')}@example.edu",
                street=street,
                unit=f"Room {member // 3}",
                network=network,
            )

    def _farm(self, owner: str, size: int) -> None:
        rng = self.rng
        devices = [self._fresh("device") for _ in range(6)]
        streets = [self._street() for _ in range(5)]
        cards = [self._fresh("card") for _ in range(5)]
        phones = [self._phone() for _ in range(12)]
        networks = [self._network() for _ in range(4)]
        name = "".join(rng.choices("abcdefghij", k=12))
        for number in range(size):
            fresh = {what: rng.random() < chance for what, chance in FRESH.items()}
            self._add(
                owner,
                farm=True,
                device=self._fresh("device") if fresh["device"] else rng.choice(devices),
                card=self._fresh("card") if fresh["card"] else rng.choice(cards),
                phone=self._phone() if fresh["phone"] else rng.choice(phones),
                mailbox=f"{self._fresh('mail')}@example.net"
                if fresh["mailbox"]
                else f"{name[:4]}.{name[4:]}+{number}@gmail.com",
                street=self._street() if fresh["address"] else rng.choice(streets),
                unit=f"Apt {number}" if rng.random() < 0.5 else "",
                network=rng.choice(networks),
            )

    def invitations(self) -> list[tuple[Act, bool]]:
        """(act, planted): honest people invite others once; farms invite their own accounts, and
        rings of four strangers invite each other round in a circle."""
        rng = self.rng
        honest = [a for a in self.accounts if not a.farm]
        found = []
        rng.shuffle(honest)
        ring_members = honest[:24]
        for place, guest in enumerate(honest[24:], 24):
            if place > 40 and rng.random() < 0.5:
                host = honest[rng.randrange(24, place)]
                found.append((_act("invite_reward", guest, host), False))
        for start in range(0, 24, 4):
            ring = ring_members[start : start + 4]
            for place, host in enumerate(ring[:3]):
                found.append((_act("invite_reward", ring[(place + 1) % 3], host), True))
        for owner in sorted({a.owner for a in self.accounts if a.farm}):
            farm = [a for a in self.accounts if a.owner == owner]
            found += [(_act("invite_reward", guest, farm[0]), True) for guest in farm[1:30]]
        return found

    def helps(self) -> list[tuple[Act, bool]]:
        """(act, planted): friends and colleagues help with bargains, some of them each other; and
        for three owners twelve accounts help from three devices that are not the owner's."""
        rng = self.rng
        honest = [a for a in self.accounts if not a.farm]
        found = []
        for _ in range(40):
            owner, *friends = rng.sample(honest, rng.randrange(4, 10))
            found += [(_act("bargain_help", friend, owner), False) for friend in friends]
        for name in ("o0", "o1"):
            desk = [a for a in honest if a.owner.startswith(f"{name}-")]
            found += [(_act("bargain_help", friend, desk[0]), False) for friend in desk[1:12]]
        for number in range(3):
            owner = rng.choice(honest)
            devices = [self._fresh("sybil") for _ in range(3)]
            for helper in range(12):
                account = self._add(
                    f"s{number}",
                    farm=True,
                    device=devices[helper % 3],
                    card=self._fresh("card"),
                    phone=self._phone(),
                    mailbox=f"{self._fresh('mail')}@example.net",
                    street=self._street(),
                    network=self._network(),
                )
                found.append((_act("bargain_help", account, owner), True))
        return found


def _act(kind: str, who: Account, whom: Account) -> Act:
    return Act(kind=kind, person_id=who.id, other_id=whom.id)
