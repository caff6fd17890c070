"""Social: buying together.

Words: a *campaign* is an operator's offer to buy in teams; a *team* has seats and a deadline; a
*seat* is a ledger account's unit, held for an order before its payment is asked for and kept when
it is paid; the *leader* opened the team; a *fill* is a seat that nobody took and a budget paid for.

Promises: a seat is sold once; nobody pays into a team that is full or has ended without getting
everything back by itself; a team forms once, when its seats are paid; members are people, never
invented ones; what one member does after a team has formed leaves the others alone.
"""

from pinwheel.growth.social.model import (
    AlreadyInTeam,
    CampaignNotDraft,
    NewBuyersOnly,
    NotTrusted,
    TeamBuysOneThing,
    TeamCampaignStarted,
    TeamCampaignStopped,
    TeamClosed,
    TeamFailed,
    TeamFormed,
    TeamFull,
    TeamJoined,
    TeamLeft,
    TeamNeedsPerson,
    TeamNotOffered,
    TeamOpened,
    TeamPriceOver,
    TeamSoldOut,
    TooManyOpenTeams,
    TooManyTeams,
)
from pinwheel.growth.social.team import (
    Member,
    Policy,
    Team,
    TeamCampaign,
    TeamOffer,
    TeamTerms,
    Verdict,
)
from pinwheel.growth.social.team import unit_price as team_price
from pinwheel.growth.social.team_people import export_teams
from pinwheel.growth.social.team_planning import (
    open_team_campaign,
    save_team_campaign,
    start_team_campaign,
    stop_team_campaign,
)
from pinwheel.growth.social.team_queries import (
    CampaignLine,
    MoneyStep,
    OfferedTeam,
    OwnTeam,
    SeatSight,
    TeamLine,
    TeamPlan,
    TeamSight,
    money_trail,
    open_teams,
    running_plans,
    team_campaign,
    team_campaigns,
    team_line,
    team_of_order,
    team_seen,
    teams,
    teams_of_person,
)
from pinwheel.growth.social.team_rewards import LeaderRewards, grant_coupon
from pinwheel.growth.social.team_seats import come_to_team
from pinwheel.growth.social.team_stage import TeamStage

__all__ = [
    "AlreadyInTeam",
    "CampaignLine",
    "CampaignNotDraft",
    "LeaderRewards",
    "Member",
    "MoneyStep",
    "NewBuyersOnly",
    "NotTrusted",
    "OfferedTeam",
    "OwnTeam",
    "Policy",
    "SeatSight",
    "Team",
    "TeamBuysOneThing",
    "TeamCampaign",
    "TeamCampaignStarted",
    "TeamCampaignStopped",
    "TeamClosed",
    "TeamFailed",
    "TeamFormed",
    "TeamFull",
    "TeamJoined",
    "TeamLeft",
    "TeamLine",
    "TeamNeedsPerson",
    "TeamNotOffered",
    "TeamOffer",
    "TeamOpened",
    "TeamPlan",
    "TeamPriceOver",
    "TeamSight",
    "TeamSoldOut",
    "TeamStage",
    "TeamTerms",
    "TooManyOpenTeams",
    "TooManyTeams",
    "Verdict",
    "come_to_team",
    "grant_coupon",
    "export_teams",
    "money_trail",
    "open_team_campaign",
    "open_teams",
    "running_plans",
    "save_team_campaign",
    "start_team_campaign",
    "stop_team_campaign",
    "team_campaign",
    "team_campaigns",
    "team_line",
    "team_of_order",
    "team_price",
    "team_seen",
    "teams",
    "teams_of_person",
]
