"""Measurement: what growth brings and what it really costs.

Words: *K* is how many new buyers a buyer brings, the mean offspring of a branching process; a
buyer's *parent* is the buyer by whose link they came; *CAC* is what it costs to win a buyer,
marketing, rewards and subsidies together; *attribution* shares a new buyer out among channels by a
rule; a *holdout* or a *trial* measures what would not have come without a channel; *marginal* is
what one more costs, not what one costs on average; the *rocket* is a programme of stages that
people move through by rules.

Promises: every figure has its interval and what it rests on, an estimate is called one, and what
nobody measured is "not measured"; the classes of cost add up to the ledger to the cent; a day's
spend is there once, however often it is reported; a stage is a function of what happened, and each
move names the rule that fired."""

from pinwheel.growth.measurement.acquiring import (
    Acquisition,
    ChannelLine,
    Cohort,
    CostLine,
    Worth,
    acquisition,
    cac_of,
    channels_of,
    payback,
)
from pinwheel.growth.measurement.attribution import (
    MODELS,
    Model,
    Touch,
    channel_of,
    credits,
    removal_effects,
    shapley_values,
    weighted,
    whole_cents,
)
from pinwheel.growth.measurement.costing import Campaign, Stretch, campaign, campaigns
from pinwheel.growth.measurement.holdouts import Lift, Side, by_days, by_people, by_regions
from pinwheel.growth.measurement.incrementality import (
    NewTrial,
    Trial,
    lifts,
    plan_trial,
    trials,
)
from pinwheel.growth.measurement.model import (
    BENCHMARK_CENTS,
    Interval,
    NewSpend,
    Recorded,
    RocketSaved,
    RocketUnclear,
    Spend,
    SpendRecorded,
    SpendUnclear,
    TrialUnclear,
    Warned,
    spent_on,
)
from pinwheel.growth.measurement.overview import Board, Line, board
from pinwheel.growth.measurement.queries import export, spend, stretch_of
from pinwheel.growth.measurement.spending import read_csv, record_spend
from pinwheel.growth.measurement.spreading import CohortK, Depth, Sharing, sharing
from pinwheel.growth.measurement.stages import (
    PLAN,
    Happened,
    Move,
    NextOffer,
    Plan,
    Rule,
    moves_of,
)
from pinwheel.growth.measurement.stepping import (
    CategoryValue,
    Moved,
    Rocket,
    Standing,
    Step,
    funnel,
    gradient,
    move,
    moves,
    next_offers,
    rocket,
    save_rocket,
    standing,
)
from pinwheel.growth.measurement.tree import recount
from pinwheel.growth.measurement.viral import (
    Curve,
    Increment,
    Pace,
    Point,
    Spread,
    decay,
    increments,
    k_of,
    pace,
)

__all__ = [
    "BENCHMARK_CENTS",
    "MODELS",
    "PLAN",
    "Acquisition",
    "Board",
    "Campaign",
    "CategoryValue",
    "ChannelLine",
    "Cohort",
    "CohortK",
    "CostLine",
    "Curve",
    "Depth",
    "Happened",
    "Increment",
    "Interval",
    "Lift",
    "Line",
    "Model",
    "Move",
    "Moved",
    "NewSpend",
    "NewTrial",
    "NextOffer",
    "Pace",
    "Plan",
    "Point",
    "Recorded",
    "Rocket",
    "RocketSaved",
    "RocketUnclear",
    "Rule",
    "Sharing",
    "Side",
    "Spend",
    "SpendRecorded",
    "SpendUnclear",
    "Spread",
    "Standing",
    "Step",
    "Stretch",
    "Touch",
    "Trial",
    "TrialUnclear",
    "Warned",
    "Worth",
    "acquisition",
    "board",
    "by_days",
    "by_people",
    "by_regions",
    "cac_of",
    "campaign",
    "campaigns",
    "channel_of",
    "channels_of",
    "credits",
    "decay",
    "export",
    "funnel",
    "gradient",
    "increments",
    "k_of",
    "lifts",
    "move",
    "moves",
    "moves_of",
    "next_offers",
    "pace",
    "payback",
    "plan_trial",
    "read_csv",
    "record_spend",
    "recount",
    "removal_effects",
    "rocket",
    "save_rocket",
    "shapley_values",
    "sharing",
    "spend",
    "spent_on",
    "standing",
    "stretch_of",
    "trials",
    "weighted",
    "whole_cents",
]
