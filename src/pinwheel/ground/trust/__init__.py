"""Trust: which accounts are one person, and what one person may have only so often.

Words: a *trait* is a keyed hash of what somebody showed (a device, a payment method, a telephone,
a mailbox, a home, a network); a *cluster* is the accounts that count as one person; a *use* is
something one identity may have so often; an *act* is judged by *rules* into a *verdict* (allow,
review, deny), every one with its reasons; an *appeal* asks a person to look again.

Promises: no plain value is kept; every noted account is in exactly one cluster, whoever notes at
the same moment; what a crowd shares makes nobody one; what an operator parted is never made one
again by the same trait; one use for each identity holds at commit, and still when two clusters
turn out to be one; every refusal has a reason; erasing an account frees no use.
"""

from pinwheel.ground.trust.clusters import hear, join, separate, silence
from pinwheel.ground.trust.judging import Trial, dry_run, judge, rules_of
from pinwheel.ground.trust.model import (
    APPEAL_DAYS,
    KINDS,
    Act,
    AlreadyUsed,
    AppealAnswered,
    AppealExists,
    AppealOverdue,
    Because,
    ClustersMerged,
    Decision,
    Link,
    NothingToAppeal,
    NotUnderReview,
    Rule,
    SameCluster,
    Seen,
    Use,
    Verdict,
    VerdictDecided,
    Why,
    identity_account,
    seen_address,
    seen_device,
    seen_email,
    seen_network,
    seen_payment,
    seen_phone,
)
from pinwheel.ground.trust.noting import note
from pinwheel.ground.trust.privacy import export
from pinwheel.ground.trust.queries import (
    ClusterSight,
    KeptLink,
    cluster,
    cluster_of,
    path,
    same_identity,
)
from pinwheel.ground.trust.reviewing import (
    Appeal,
    Judged,
    answer,
    appeal,
    appeals_of,
    claim,
    decide,
    open_appeals,
    verdict,
    verdicts,
)
from pinwheel.ground.trust.using import Kin, kin_of, mark, marked, take

__all__ = [
    "APPEAL_DAYS",
    "KINDS",
    "Act",
    "AlreadyUsed",
    "Appeal",
    "AppealAnswered",
    "AppealExists",
    "AppealOverdue",
    "Because",
    "ClusterSight",
    "ClustersMerged",
    "Decision",
    "Judged",
    "KeptLink",
    "Kin",
    "Link",
    "NotUnderReview",
    "NothingToAppeal",
    "Rule",
    "SameCluster",
    "Seen",
    "Trial",
    "Use",
    "Verdict",
    "VerdictDecided",
    "Why",
    "answer",
    "appeal",
    "appeals_of",
    "claim",
    "cluster",
    "cluster_of",
    "decide",
    "dry_run",
    "export",
    "hear",
    "identity_account",
    "join",
    "judge",
    "kin_of",
    "mark",
    "marked",
    "note",
    "open_appeals",
    "path",
    "rules_of",
    "same_identity",
    "seen_address",
    "seen_device",
    "seen_email",
    "seen_network",
    "seen_payment",
    "seen_phone",
    "separate",
    "silence",
    "take",
    "verdict",
    "verdicts",
]
