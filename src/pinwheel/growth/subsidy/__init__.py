"""Subsidies: the gap between what a thing costs elsewhere and a target price, paid by budgets.

Words: a *programme* subsidises *goods*; the *reference* price is the lowest of the prices seen
elsewhere that are not too old, with where and when; the *gap* is paid for each piece by the
platform and the brand in their shares; an *identity* is the cluster of accounts that is one
person; a *price match* is a buyer's claim, with evidence, that it was cheaper elsewhere.

Promises: a programme never pays a cent more than its budgets hold; an identity, a home and a
region get no more than their share, however many buy at once; without a reference from elsewhere
nothing is called a subsidy; what it brought is measured by an experiment or said not to be.
"""

from pinwheel.growth.subsidy.actions import (
    claim_match,
    decide_match,
    put_goods,
    save_programme,
    start,
    stop,
)
from pinwheel.growth.subsidy.measuring import Efficiency, Measured, efficiency, seen, withheld
from pinwheel.growth.subsidy.model import (
    Goods,
    Match,
    MatchAnswered,
    MatchDecided,
    MatchNotPossible,
    NewGoods,
    NewProgramme,
    NoReference,
    Programme,
    ProgrammeFixed,
    Reference,
    ShareTaken,
    WrongBudget,
    gap_of,
    pieces_paid,
)
from pinwheel.growth.subsidy.queries import (
    Spent,
    Subsidised,
    export,
    goods,
    matches,
    prices,
    programmes,
    spent,
)
from pinwheel.growth.subsidy.stage import SubsidyStage

__all__ = [
    "Efficiency",
    "Goods",
    "Match",
    "MatchAnswered",
    "MatchDecided",
    "MatchNotPossible",
    "Measured",
    "NewGoods",
    "NewProgramme",
    "NoReference",
    "Programme",
    "ProgrammeFixed",
    "Reference",
    "ShareTaken",
    "Spent",
    "Subsidised",
    "SubsidyStage",
    "WrongBudget",
    "claim_match",
    "decide_match",
    "efficiency",
    "export",
    "gap_of",
    "goods",
    "matches",
    "pieces_paid",
    "prices",
    "programmes",
    "put_goods",
    "save_programme",
    "seen",
    "spent",
    "start",
    "stop",
    "withheld",
]
