"""Journeys: what happens to one person after another by itself, and whether it changed anything.

Words: a *journey* is a plan of steps (wait, branch, act) that a *trigger* sets off for a person,
who is then *enrolled*; its *goal* ends it well; the *holdout* is the share of people to whom
nothing is done and who are measured all the same; a *campaign* is one letter to many, with a
holdout of its own; a *letter of an order* tells a buyer what became of it.

Promises: one enrolment for a trigger; a step is taken once, with what it does in the same
transaction, so a crash loses and doubles nothing; timers are rows; who is on the way goes on by the
version they began with; nobody of a holdout is acted on; quiet hours, caps and budgets stop an act
before it happens; effects are differences to the holdout, with intervals.

Higher floors and neighbours add what a journey can do with ``use(db, Powers(actions={…}))``; the
house gives it coupons (``grant_coupons``) and the ways of experiments (``variations_of``)."""

from pinwheel.growth.journeys.acting import Action, Powers, actions_of, hook_secret, use
from pinwheel.growth.journeys.advancing import advance
from pinwheel.growth.journeys.benefits import BENEFIT, grant_coupons, variations_of
from pinwheel.growth.journeys.campaigning import (
    Campaign,
    Letters,
    Members,
    NewCampaign,
    campaign,
    campaigns,
    letters_of,
    members_of,
    save_campaign,
    schedule,
    stop_campaign,
)
from pinwheel.growth.journeys.enrolling import enrol
from pinwheel.growth.journeys.measuring import (
    ENTRY_DAYS,
    Funnel,
    Group,
    Measured,
    Standing,
    campaign_effect,
    campaign_effects,
    funnel,
    journey_effect,
    journey_effects,
    segment_effects,
    standing,
)
from pinwheel.growth.journeys.model import (
    MOST_STEPS,
    Act,
    Await,
    Branch,
    CampaignIs,
    Doing,
    Entry,
    JourneyIs,
    Plan,
    PlanUnclear,
    Step,
    Stop,
    Trigger,
    Until,
    Wait,
)
from pinwheel.growth.journeys.planning import (
    Journey,
    journey,
    journeys,
    plan_of,
    save_journey,
    set_state,
)
from pinwheel.growth.journeys.privacy import export
from pinwheel.growth.journeys.triggers import KINDS

__all__ = [
    "BENEFIT",
    "ENTRY_DAYS",
    "KINDS",
    "MOST_STEPS",
    "Act",
    "Action",
    "Await",
    "Branch",
    "Campaign",
    "CampaignIs",
    "Doing",
    "Entry",
    "Funnel",
    "Group",
    "Journey",
    "JourneyIs",
    "Letters",
    "Measured",
    "Members",
    "NewCampaign",
    "Plan",
    "PlanUnclear",
    "Powers",
    "Standing",
    "Step",
    "Stop",
    "Trigger",
    "Until",
    "Wait",
    "actions_of",
    "advance",
    "campaign",
    "campaign_effect",
    "campaign_effects",
    "campaigns",
    "enrol",
    "export",
    "funnel",
    "grant_coupons",
    "hook_secret",
    "journey",
    "journey_effect",
    "journey_effects",
    "journeys",
    "letters_of",
    "members_of",
    "plan_of",
    "save_campaign",
    "save_journey",
    "schedule",
    "segment_effects",
    "set_state",
    "standing",
    "stop_campaign",
    "use",
    "variations_of",
]
