"""Experiments: finding out whether something works, and what it costs, before everybody gets it.

Words: a *unit* is what is randomised (a person, a visitor, or a cluster of people who talk to each
other); a *variation* is what it gets, the first is the *control*; a *phase* is a stretch with one
salt and one plan; an *exposure* is the first time that a unit saw the difference; a *layer* is a
namespace whose experiments share nobody; a *guard-rail* must not get worse; *SRM* (sample ratio
mismatch) is that units came in other shares than planned.

Promises: the same unit gets the same variation in every process and for good; what has begun is not
edited; intervals may be looked at all the time (always-valid) and are shown instead of stars; too
little data is said; a mismatch blocks the decision; what rewards cost is part of the figures; each
decision keeps who, why and on which figures.

Use: ``found = await assigned(tx, "share-copy", [person_id])``, act by
``found[person_id].variation`` (None: as the shop is), and where the difference is
first seen ``await expose(tx, list(found.values()))``.
"""

from pinwheel.insight.experiments.actions import (
    ask,
    decide,
    hold_out,
    new_phase,
    ramp,
    reweigh,
    save_experiment,
    save_metrics,
    start,
    stop,
)
from pinwheel.insight.experiments.assigning import Definition, assign, place
from pinwheel.insight.experiments.bandit import best_odds, weights
from pinwheel.insight.experiments.clusters import clusters
from pinwheel.insight.experiments.exposing import (
    assigned,
    expose,
    force,
    reward,
    save_clusters,
)
from pinwheel.insight.experiments.judging import Arm, Figures, Leak, Line, RailState
from pinwheel.insight.experiments.measuring import forget_people, refresh
from pinwheel.insight.experiments.model import (
    METRICS,
    Assignment,
    Batch,
    Blocked,
    Experiment,
    ExperimentDecided,
    ExperimentRunning,
    ExperimentStarted,
    ExperimentStopped,
    Guardrail,
    KeyTaken,
    LayerFull,
    LayerUnit,
    Metric,
    Phase,
    Plan,
    RampDown,
    Reward,
    State,
    Step,
    Subject,
    Variation,
    WrongState,
    check,
    check_metric,
)
from pinwheel.insight.experiments.power import (
    design_effect,
    smallest_lift,
    units_needed,
    units_needed_always_valid,
)
from pinwheel.insight.experiments.queries import (
    Results,
    Snapshot,
    batches,
    experiment,
    experiments,
    export,
    global_holdout,
    metrics,
    phase,
    phases,
    results,
    snapshots,
    steps,
)
from pinwheel.insight.experiments.statistics import (
    Effect,
    Moments,
    Sample,
    always_valid,
    fixed,
    mismatch,
    mismatch_anytime,
)
from pinwheel.insight.experiments.summing import moments

__all__ = [
    "METRICS",
    "Arm",
    "Assignment",
    "Batch",
    "Blocked",
    "Definition",
    "Effect",
    "Experiment",
    "ExperimentDecided",
    "ExperimentRunning",
    "ExperimentStarted",
    "ExperimentStopped",
    "Figures",
    "Guardrail",
    "KeyTaken",
    "LayerFull",
    "LayerUnit",
    "Leak",
    "Line",
    "Metric",
    "Moments",
    "Phase",
    "Plan",
    "RailState",
    "RampDown",
    "Results",
    "Reward",
    "Sample",
    "Snapshot",
    "State",
    "Step",
    "Subject",
    "Variation",
    "WrongState",
    "always_valid",
    "ask",
    "assign",
    "assigned",
    "batches",
    "best_odds",
    "check",
    "check_metric",
    "clusters",
    "decide",
    "design_effect",
    "experiment",
    "experiments",
    "export",
    "expose",
    "fixed",
    "force",
    "forget_people",
    "global_holdout",
    "hold_out",
    "metrics",
    "mismatch",
    "mismatch_anytime",
    "moments",
    "new_phase",
    "phase",
    "phases",
    "place",
    "ramp",
    "refresh",
    "results",
    "reward",
    "reweigh",
    "save_clusters",
    "save_experiment",
    "save_metrics",
    "smallest_lift",
    "snapshots",
    "start",
    "steps",
    "stop",
    "units_needed",
    "units_needed_always_valid",
    "weights",
]
