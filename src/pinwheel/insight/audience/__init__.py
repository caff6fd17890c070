"""Audience: who the buyers are by what they did, in segments that everything else may use.

Words: a *fact* is something known of a person, counted from their orders net of all that was given
back; a *segment* is a rule over facts, in a declarative language; a *membership* is a person in a
segment from an entry to an exit; the *holdout* is the share of a segment's members, chosen by hash,
to whom nothing is done, so that an effect can be measured; *RFM* are fifths of a market's buyers by
recency, frequency and money; *LTV* is the contribution margin a buyer is expected to bring.

Promises: counted anew from the orders, facts and memberships are the same to the row, whatever came
twice, late or out of order; somebody who is erased leaves nothing here and nothing comes back; the
statement a rule is compiled to and the decision for one person agree; a protected attribute is no
condition. The checkout pays nothing: the log of facts is followed.
"""

from pinwheel.insight.audience.actions import (
    archive_segment,
    save_segment,
    sensitive_categories,
    set_sensitive_categories,
    set_tiers,
)
from pinwheel.insight.audience.bgnbd import Fit
from pinwheel.insight.audience.bgnbd import fit as fit_bgnbd
from pinwheel.insight.audience.explaining import (
    Explanation,
    Words,
    asks,
    explain,
    export,
    fairness,
    outline,
)
from pinwheel.insight.audience.facts import note_activity
from pinwheel.insight.audience.language import read as read_rule
from pinwheel.insight.audience.model import (
    NewSegment,
    NotForPrices,
    Place,
    ProtectedAttribute,
    Purpose,
    RuleUnclear,
    Segment,
    SegmentCounted,
    SegmentCycle,
    SegmentEntered,
    SegmentLeft,
    SegmentSaved,
    SegmentUsed,
    TooManySegments,
    ValueDue,
    bucket_of,
)
from pinwheel.insight.audience.queries import (
    Day,
    Member,
    Overlap,
    Preview,
    SegmentLine,
    history,
    members,
    memberships,
    overlap,
    places,
    preview,
    segment,
    segments,
)
from pinwheel.insight.audience.rfm import (
    Cell,
    Migration,
    Named,
    migration,
    recompute,
    rfm_grid,
    rfm_markets,
    rfm_names,
)
from pinwheel.insight.audience.tiers import PlaceLine, TierEffect, place_lines, tier_effects
from pinwheel.insight.audience.values import (
    Assumptions,
    By,
    Group,
    Model,
    Value,
    assume,
    assumptions,
    models,
    reckon_soon,
    reward_cap_minor,
    value_groups,
    values_of,
)
from pinwheel.insight.audience.walking import rebuild

__all__ = [
    "Assumptions",
    "By",
    "Cell",
    "Day",
    "Explanation",
    "Fit",
    "Group",
    "Member",
    "Migration",
    "Model",
    "Named",
    "NewSegment",
    "NotForPrices",
    "Overlap",
    "Place",
    "PlaceLine",
    "Preview",
    "ProtectedAttribute",
    "Purpose",
    "RuleUnclear",
    "Segment",
    "SegmentCounted",
    "SegmentCycle",
    "SegmentEntered",
    "SegmentLeft",
    "SegmentLine",
    "SegmentSaved",
    "SegmentUsed",
    "TierEffect",
    "TooManySegments",
    "Value",
    "ValueDue",
    "Words",
    "archive_segment",
    "asks",
    "assume",
    "assumptions",
    "bucket_of",
    "explain",
    "export",
    "fairness",
    "fit_bgnbd",
    "history",
    "members",
    "memberships",
    "migration",
    "models",
    "note_activity",
    "outline",
    "overlap",
    "place_lines",
    "places",
    "preview",
    "read_rule",
    "rebuild",
    "reckon_soon",
    "recompute",
    "reward_cap_minor",
    "rfm_grid",
    "rfm_markets",
    "rfm_names",
    "save_segment",
    "segment",
    "segments",
    "sensitive_categories",
    "set_sensitive_categories",
    "set_tiers",
    "tier_effects",
    "value_groups",
    "values_of",
]
