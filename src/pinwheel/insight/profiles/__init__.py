"""Profiles: one customer as the whole house knows them.

Words: a *person* is an account; a *customer* is one or more accounts that staff found to be the
same human; a *trait* is something known of an account, with its source, its evidence and the day it
expires; a *merge* makes two customers one and is only a pointer; an *offer* is what another module
contributes (segments, predictions, moments on the timeline) without being known here.

Promises: a merge moves nothing, so undoing it restores both histories exactly; a trait without a
source, or past its time, is not shown; what was observed or guessed is kept only with consent and
goes with it; a sensitive trait is shown only with the right ``people``; every look is recorded;
whoever is erased leaves nothing here, and the books stay.
"""

from pinwheel.insight.profiles.actions import (
    erase_customer,
    export_customer,
    merge,
    take_back,
    tell,
    unmerge,
)
from pinwheel.insight.profiles.model import (
    AlreadyMerged,
    Known,
    Merge,
    Moment,
    NewTrait,
    Profile,
    ProfilesMerged,
    ProfilesUnmerged,
    Trait,
    TraitKind,
    UnknownTrait,
)
from pinwheel.insight.profiles.offers import Offer, Offers
from pinwheel.insight.profiles.queries import accounts_of, export, kinds, profile_of

__all__ = [
    "AlreadyMerged",
    "Known",
    "Merge",
    "Moment",
    "NewTrait",
    "Offer",
    "Offers",
    "Profile",
    "ProfilesMerged",
    "ProfilesUnmerged",
    "Trait",
    "TraitKind",
    "UnknownTrait",
    "accounts_of",
    "erase_customer",
    "export",
    "export_customer",
    "kinds",
    "merge",
    "profile_of",
    "take_back",
    "tell",
    "unmerge",
]
