"""The lab: a simulated city that lives by the shop's own rules.

Words: a *scenario* is what is played (seed, days, people); a *truth* is what is planted in it; an
*estimate* is what the shop makes of its own records, held against the truth; an *incident* is what
goes wrong on purpose.

Promises: the city acts through the verbs that production calls, under its own clock; the same
scenario ends in the same books (``hash``); everything it says is labelled as simulated; every
estimate has an interval, and None where there is too little to say.
"""

from pinwheel.strategy.lab.model import BEGINS, NAMES, Estimate, Report, Scenario, Truth, truth_of
from pinwheel.strategy.lab.running import simulate

__all__ = ["BEGINS", "NAMES", "Estimate", "Report", "Scenario", "Truth", "simulate", "truth_of"]
