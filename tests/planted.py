"""Plant known bugs one by one in a copy of the tree and show that the suites catch each.

``python tests/planted.py`` runs all of them, two at a time (``-j N``: N at a time);
``python tests/planted.py NAME …`` runs some; ``--places`` only looks whether each can still be
planted. A line a bug: ``caught`` and by which test, ``SURVIVED`` when no test noticed, ``MOVED``
when the place it is planted in has changed, ``BROKEN`` when the tests could not be run. At the end
the tests that caught something run once more without any bug, where they must pass. The script ends
with 1 unless every bug was caught."""

from __future__ import annotations

import argparse
import asyncio
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import world
from pinwheel.kernel.migrate import migrate

ROOT = Path(__file__).parents[1]
TEMPLATE = "pinwheel_planted"
LEDGER, ORDERS, TOWN = (
    "tests/ground/ledger",
    "tests/trade/orders/test_orders.py",
    "tests/simulation",
)
TEAMS = "tests/growth/social/test_teams.py"
PAYMENTS = "tests/trade/payments"


class Bug(NamedTuple):
    """``old`` in ``file`` (below src/pinwheel) becomes ``new``; ``suites`` must notice."""

    name: str
    file: str
    old: str
    new: str
    suites: tuple[str, ...]


BUGS = (
    Bug(
        "two who open one account at the same moment break on its second key",
        "ground/ledger/locking.py",
        "          on conflict do nothing\n          returning id, floor\n",
        "          on conflict (cell, id) do nothing\n          returning id, floor\n",
        (LEDGER,),
    ),
    Bug(
        "a document counts again what was sold since",
        "trade/inventory/counting.py",
        "before.get(one.place) or Counted(",
        "Counted(",
        (
            "tests/trade/orders/test_stock_web.py::test_a_document_counts_once_whatever_was_sold_since",
        ),
    ),
    Bug(
        "a place that stands twice in a delivery loses its second line unsaid",
        "trade/orders/stock_desk.py",
        "            seen.add(place)\n",
        "",
        ("tests/trade/orders/test_stock_web.py::test_one_bad_line_costs_itself_alone",),
    ),
    Bug(
        "a key without the right reads the customers",
        "trade/orders/customers_web.py",
        '@get("/api/v1/customers", scope=READ, tags=TAGS)',
        '@get("/api/v1/customers", tags=TAGS)',
        ("tests/trade/test_program.py::test_every_route_asks_for_its_right",),
    ),
    Bug(
        "a group whose people are all erased cuts no ties any more",
        "insight/experiments/spilling.py",
        "        select cluster_id from experiments.tie where cell = $1 and experiment_id = $2\n",
        "        select cluster_id from experiments.member where cell = $1 and experiment_id = $2\n",
        (
            "tests/insight/experiments/test_experiments.py::test_who_stands_between_the_ways_is_not_counted",
        ),
    ),
    Bug(
        "who stops a trial early gets the interval of who does not",
        "growth/measurement/holdouts.py",
        "        found = always_valid(*samples, relative=False, horizon=units)\n",
        "        found = fixed(*samples, relative=False)\n",
        ("tests/growth/measurement/test_trials.py::test_who_stops_early_gets_the_wider_interval",),
    ),
    Bug(
        "a region without a buyer is no region",
        "growth/measurement/holdouts.py",
        "during.keys() | set(off))",
        "during.keys())",
        (
            "tests/growth/measurement/test_trials.py::test_switched_regions_hold_the_planted_effect_and_a_region_without_buyers_counts",
        ),
    ),
    Bug(
        "a region's tier wins over its city's",
        "insight/audience/knowing.py",
        "order by t.city <> '' desc, t.region <> '' desc",
        "order by t.region <> '' desc, t.city <> '' desc",
        ("tests/insight/audience/test_segments.py::test_a_city_s_tier_wins_over_its_region_s",),
    ),
    Bug(
        "a return's code is scanned without its lock",
        "trade/returns/sending.py",
        "select id from returns.rma where cell = $1 and id = $2 for update",
        "select id from returns.rma where cell = $1 and id = $2",
        ("tests/trade/returns/test_ways.py::test_a_code_is_scanned_once",),
    ),
    Bug(
        "a difference that is paid places the order a second time",
        "trade/orders/actions.py",
        "        r for r in rows if not secured[r.id] or r.secured_minor - secured[r.id] < r.total_minor\n",
        "        r for r in rows\n",
        (
            "tests/trade/returns/test_exchanges.py::test_a_second_payment_places_the_order_no_second_time",
        ),
    ),
    Bug(
        "all of the replacement is let go for a part of the old pieces",
        "trade/returns/exchanging.py",
        "found.orders[one.order_id], came)",
        "found.orders[one.order_id], one.quantity)",
        (
            "tests/trade/returns/test_exchanges.py::test_half_of_what_was_announced_brings_half_of_the_replacement",
        ),
    ),
    Bug(
        "what is only tried is charged when it is sent",
        "trade/orders/fulfil.py",
        "        if part <= 0 or payment.order_id in later:\n",
        "        if part <= 0:\n",
        (
            "tests/trade/returns/test_trials.py::test_nothing_is_taken_while_it_is_tried_and_the_kept_piece_at_the_end",
        ),
    ),
    Bug(
        "pieces that others wait for are sent to who ordered later",
        "trade/orders/here.py",
        "line.open - waits.get((order.id, line.line), 0)",
        "line.open",
        (
            "tests/trade/orders/test_backorders.py::test_the_newest_wait_and_nobody_is_sent_what_is_not_there",
        ),
    ),
    Bug(
        "a help is counted without the bargain's lock",
        "growth/social/bargain_running.py",
        "select from social.bargain where cell = $1 and id = any($2::uuid[]) order by id for update",
        "select from social.bargain where cell = $1 and id = any($2::uuid[]) order by id",
        (
            "tests/growth/social/test_bargains.py::test_a_hundred_at_once_and_exactly_the_promised_count",
        ),
    ),
    Bug(
        "what a plan's rounding leaves is lost",
        "growth/social/bargain.py",
        "    for number in order[:rest]:\n",
        "    for number in order[: rest - 1]:\n",
        ("tests/growth/social/test_bargains.py::test_every_plan_ends_exactly_at_its_floor",),
    ),
    Bug(
        "a cancelled order's cuts are not kept for its bargain",
        "growth/social/bargain_settling.py",
        "    if missing > 0:\n",
        "    if missing > 10**12:\n",
        ("tests/growth/social/test_bargains.py::test_a_cancelled_order_gives_the_bargain_back",),
    ),
    Bug(
        "a reward is released before its return window is over",
        "growth/social/invite_settling.py",
        "set due_at = $3::timestamptz + c.return_days * interval '1 day'",
        "set due_at = $3::timestamptz",
        (
            "tests/growth/social/test_invites.py::test_a_reward_waits_for_the_return_window_and_comes_once",
        ),
    ),
    Bug(
        "a reward that was taken back is taken back again",
        "growth/social/invite_settling.py",
        "    if not reward.is_alive:\n        return reward\n    due = (",
        "    due = (",
        ("tests/growth/social/test_invites.py::test_a_refund_after_the_reward_takes_it_back_once",),
    ),
    Bug(
        "a robot's pages count for the person it names",
        "insight/audience/counting.py",
        "           and not is_bot\n",
        "",
        ("tests/insight/audience/test_counting.py",),
    ),
    Bug(
        "a journey's plan takes any promotion for a coupon",
        "growth/journeys/benefits.py",
        "if found is None or not found.terms.conditions.coupon:",
        "if found is None:",
        ("tests/growth/journeys/test_benefits.py",),
    ),
    Bug(
        "a release unpacked beside a process makes it unready",
        "kernel/web/own.py",
        "    if WANTED - set(applied):",
        "    if {name for name, _ in sequence()} - set(applied):",
        ("tests/kernel/test_web.py::test_a_release_unpacked_beside_it_leaves_it_ready",),
    ),
    Bug(
        "an admission is good for any number of orders",
        "growth/bigdays/stage.py",
        "            draft.refusal = NotAdmitted(place.event_id)\n    asking",
        "            pass\n    asking",
        ("tests/growth/bigdays/test_queue.py",),
    ),
    Bug(
        "a queue ticket isn't bound to its person",
        "growth/bigdays/queueing.py",
        'f"{body.hex()}:{person_id}", PURPOSE',
        "body.hex(), PURPOSE",
        ("tests/growth/bigdays/test_queue.py",),
    ),
    Bug(
        "the balance may be paid in the second after its end",
        "growth/bigdays/stage.py",
        "<= state.now < deposit.balance_until",
        "<= state.now <= deposit.balance_until",
        ("tests/growth/bigdays/test_presale.py",),
    ),
    Bug(
        "an order that fell keeps the deposit it was lent",
        "growth/bigdays/balance.py",
        "    if fallen:\n",
        "    if False and fallen:\n",
        ("tests/growth/bigdays/test_presale.py",),
    ),
    Bug(
        "what the rate of a queue left unused is made up for without end",
        "growth/bigdays/queueing.py",
        "allowed - (tokens - len(admitted))",
        "pace.admitted_since + len(admitted)",
        ("tests/growth/bigdays/test_queue.py",),
    ),
    Bug(
        "whoever is erased is counted again by a late fact",
        "insight/audience/facts.py",
        "and o.person_id = any($2::uuid[]) and e.person_id is null\n",
        "and o.person_id = any($2::uuid[])\n",
        ("tests/insight/audience/test_segments.py",),
    ),
    Bug(
        "an edited rule does not stop the old walk",
        "insight/audience/walking.py",
        "    if segment is None or segment.version != version:\n",
        "    if segment is None:\n",
        ("tests/insight/audience/test_segments.py",),
    ),
    Bug(
        "time is looked at a day late",
        "insight/audience/language.py",
        "dt.timedelta(days=n) + second for b in known.buys",
        "dt.timedelta(days=n + 1) + second for b in known.buys",
        ("tests/insight/audience/test_segments.py",),
    ),
    Bug(
        "missing lock on balances",
        "ground/ledger/locking.py",
        "           order by account_id for update\n",
        "           order by account_id\n",
        (LEDGER, ORDERS),
    ),
    Bug(
        "a hold takes no room",
        "ground/ledger/model.py",
        "        standing.held += hold.amount\n        plan.move(standing.id, 0, hold.amount)\n",
        "        pass\n",
        (LEDGER,),
    ),
    Bug(
        "release forgets the balance",
        "ground/ledger/model.py",
        "            standing.held -= hold.remaining\n            plan.move(account, 0, -hold.remaining)\n",
        "            pass\n",
        (LEDGER,),
    ),
    Bug(
        "a journal is posted twice",
        "ground/ledger/actions.py",
        "        if before is not None:\n            answers.append(Posted(before, fresh=False))\n            continue\n        if closed",
        "        if closed",
        (LEDGER,),
    ),
    Bug(
        "postings into a closed period",
        "ground/ledger/actions.py",
        "if closed_until and journal.posted_at and journal.posted_at <= closed_until:",
        "if False and closed_until and journal.posted_at:",
        (LEDGER,),
    ),
    Bug(
        "expiry is not told",
        "ground/ledger/holding.py",
        "            for row in due\n        )\n    )\n    return len(due)",
        "            for row in due[:0]\n        )\n    )\n    return len(due)",
        (LEDGER,),
    ),
    Bug(
        "lost release when a payment is declined",
        "trade/orders/actions.py",
        "    await ledger.release_for(tx, [e.id for e in ended])\n",
        "",
        (ORDERS,),
    ),
    Bug(
        "the late payer is kept waiting",
        "trade/orders/actions.py",
        "    if late:\n        await revive(",
        "    if False:\n        await revive(",
        (ORDERS, TOWN),
    ),
    Bug(
        "a stale quote is charged silently",
        "trade/orders/stages.py",
        "        if not agrees(draft):",
        "        if False:",
        (ORDERS,),
    ),
    Bug(
        "repeats are not recognised",
        "trade/orders/placing.py",
        "            known = {(r.scope, r.key): r for r in rows}\n",
        "            known = {}\n",
        (ORDERS,),
    ),
    Bug(
        "another input under the same key",
        "trade/orders/placing.py",
        "elif before.input_hash != draft.asked:",
        "elif False:",
        (ORDERS,),
    ),
    Bug(
        "shares forget what was cancelled",
        "trade/orders/model.py",
        "return amount * (before + part) // whole - amount * before // whole",
        "return amount * part // whole",
        (ORDERS,),
    ),
    Bug(
        "a cancelled part stays reserved",
        "trade/orders/fulfil.py",
        "    await ledger.reduce(tx, [(hold_id, q) for hold_id, q in holds if hold_id is not None])\n",
        "",
        (ORDERS, TOWN),
    ),
    Bug(
        "cancelling keeps the money",
        "trade/orders/actions.py",
        "    if whole:\n        await payments.refund_all(tx, order.id, reason)\n",
        "    if whole:\n        pass\n",
        (ORDERS, TOWN),
    ),
    Bug(
        "stock is promised twice in a batch and the loser is told it was sold",
        "trade/orders/stock_stage.py",
        "            if isinstance(answer, ledger.Held):\n                line.hold_id = answer.hold_id\n",
        "            if True:\n                line.hold_id = getattr(answer, 'hold_id', None)\n",
        (ORDERS, TOWN),
    ),
    Bug(
        "the undo window is not waited for",
        "trade/orders/fulfil.py",
        "order.held_until > tx.now",
        "False",
        (ORDERS,),
    ),
    Bug(
        "secured is told twice",
        "trade/payments/fold.py",
        "if payment.is_secured or payment.is_unwanted",
        "if payment.is_unwanted",
        (f"{PAYMENTS}/test_record.py", f"{PAYMENTS}/test_instructing.py", TOWN),
    ),
    Bug(
        "a job's effect outlives its failure",
        "kernel/jobs.py",
        "                if not await _delete(tx, job):\n                    return  # another worker finished it\n",
        "",
        ("tests/kernel/test_jobs.py", TOWN),
    ),
    Bug(
        "a job that waited for its turn longer than its lease is done twice",
        "kernel/jobs.py",
        "                    if not await _begin(tx, reaction, job):\n",
        "                    if not await _begin(tx, reaction, job) and False:\n",
        ("tests/kernel/test_jobs.py",),
    ),
    Bug(
        "one long reaction makes everybody's jobs wait after a crash",
        "kernel/jobs.py",
        "                [tx.later_than(lease_seconds(r)) for r in self.db.reactions.by_name.values()],\n",
        "                [tx.later_than(9_999)] * len(self.db.reactions.by_name),\n",
        ("tests/kernel/test_jobs.py",),
    ),
    Bug(
        "one poisonous command fails its neighbours",
        "kernel/together.py",
        "        if len(commands) == 1:\n            return [error]\n",
        "        return [error] * len(commands)\n",
        ("tests/kernel/test_together.py",),
    ),
    Bug(
        "a late payer is revived into a team that is gone",
        "trade/orders/actions.py",
        '    if not paid or order.cancel_reason != "unpaid" or order.waits_for is not None:\n        return False\n',
        '    if not paid or order.cancel_reason != "unpaid":\n        return False\n    if order.waits_for is not None:\n        return True\n',
        (TEAMS,),
    ),
    Bug(
        "a late payer is sent the deal's piece that is somebody else's by now",
        "trade/orders/actions.py",
        "    return not had\n",
        "    return True\n",
        ("tests/growth/bigdays/test_stock.py::test_a_late_payer_of_a_deal",),
    ),
    Bug(
        "a team is joined while it is being closed",
        "growth/social/team_stage.py",
        "state = 'open' and closes_at > $3",
        "$3::timestamptz is not null",
        (TEAMS,),
    ),
    Bug(
        "a seat is not held",
        "growth/social/team_stage.py",
        '        (1, TeamFull(link=link), "seat", TAKEN, seats_of(seat.team_id), 1),\n',
        "",
        (TEAMS,),
    ),
    Bug(
        "a team forms with seats that are only claimed",
        "growth/social/team_settling.py",
        '    paid = [m for m in members if found[m.order_id][0].state == "placed"]\n    terms = ',
        "    paid = list(members)\n    terms = ",
        (TEAMS,),
    ),
    Bug(
        "the leader takes the team along",
        "growth/social/team_seats.py",
        "    await _hand_over(tx, [o.team_id for o in left])\n",
        "",
        (TEAMS,),
    ),
    Bug(
        "a closed node keeps its promises",
        "trade/orders/jobs.py",
        "        await source_again(tx, event.node)\n",
        "        pass\n",
        (ORDERS,),
    ),
    Bug(
        "a copy of an event in an older week is not looked for",
        "insight/tracking/unpacking.py",
        "and p.received_at >= r.received_at - $6::interval",
        "and p.received_at >= r.received_at + $6::interval",
        ("tests/insight/tracking/test_taking.py",),
    ),
    Bug(
        "an event at the very bound is late",
        "insight/tracking/taking.py",
        "        if not early <= at_time <= late:",
        "        if not early < at_time <= late:",
        ("tests/insight/tracking/test_taking.py",),
    ),
    Bug(
        "a withdrawal is not kept to",
        "insight/tracking/unpacking.py",
        "coalesce(r.received_at >= v.withdrawn_at, false)",
        "coalesce(r.received_at >= v.withdrawn_at and false, false)",
        ("tests/insight/tracking/test_taking.py",),
    ),
    Bug(
        "a client may say money",
        "insight/tracking/taking.py",
        '        if found.is_server and sender.source != "server":',
        "        if found.is_server and sender.now is None:",
        ("tests/insight/tracking/test_taking.py",),
    ),
    Bug(
        "two merges at once",
        "insight/profiles/actions.py",
        "    await tx.run(\"select pg_advisory_xact_lock(hashtext('profiles.merge'))\")",
        "    await tx.run(\"select hashtext('profiles.merge')\")",
        ("tests/insight/profiles",),
    ),
    Bug(
        "a promotion's stop is not looked at again",
        "trade/promotions/stage.py",
        "if await orders.held_revision(tx) != state.book.version:",
        "if False and await orders.held_revision(tx) != state.book.version:",
        ("tests/trade/promotions/test_stage.py",),
    ),
    Bug(
        "who waits is looked for before the deal is locked",
        "trade/promotions/dealing.py",
        "         where id = any($1::uuid[]) and is_deal and state = 'active' and ends_at > $2\n         order by id for update\n",
        "         where id = any($1::uuid[]) and is_deal and state = 'active' and ends_at > $2\n         order by id\n",
        ("tests/trade/promotions/test_deals.py",),
    ),
    Bug(
        "a group of n for m is one piece too long",
        "trade/promotions/kinds.py",
        "    return groups * (take - pay) + max(0, rest - pay)",
        "    return groups * (take - pay) + max(0, rest - pay - 1)",
        ("tests/trade/promotions/test_policy.py",),
    ),
    Bug(
        "a deal is open for a second too long",
        "trade/promotions/book.py",
        "if self.ends_at is not None and now >= self.ends_at:",
        "if self.ends_at is not None and now > self.ends_at:",
        ("tests/trade/promotions/test_deals.py", "tests/trade/promotions/test_coupons.py"),
    ),
    Bug(
        "a deal that caught up is put aside again and again",
        "trade/promotions/stocking.py",
        "                            where e.document_id = p.id and e.cell = $1)",
        "                            where e.document_id = p.id and e.cell = $1 and e.pieces < 0)",
        ("tests/trade/promotions/test_deals.py",),
    ),
    Bug(
        "a deal of more than there is catches up with nothing",
        "trade/promotions/stocking.py",
        'await _more(tx, deal, few.facts["free"])',
        'await _more(tx, deal, min(0, few.facts["free"]))',
        ("tests/trade/promotions/test_deals.py",),
    ),
    Bug(
        "a use has a deadline of its own beside its order's",
        "trade/promotions/stage.py",
        "                    amount=amount,\n",
        "                    amount=amount,\n                    expires_at=tx.later_than(orders.HOLD_SECONDS),\n",
        ("tests/trade/promotions/test_stage.py",),
    ),
    Bug(
        "a unit is placed by a hash of its process",
        "insight/experiments/assigning.py",
        'blake2b(f"{salt}:{unit_id.hex}".encode(), digest_size=8).digest()',
        'hash((salt, unit_id)).to_bytes(9, "big", signed=True)[1:]',
        ("tests/insight/experiments/test_experiments.py",),
    ),
    Bug(
        "exposures are kept after the stop",
        "insight/experiments/exposing.py",
        "           and p.number = x.phase and p.ended_at is null\n",
        "           and p.number = x.phase\n",
        ("tests/insight/experiments/test_experiments.py",),
    ),
    Bug(
        "a layer is given away twice",
        "insight/experiments/actions.py",
        "    slots = room([s for one in taken for s in one.slots], plan.layer_share)",
        "    slots = room([s for one in taken[:0] for s in one.slots], plan.layer_share)",
        ("tests/insight/experiments/test_experiments.py",),
    ),
    Bug(
        "peeking is not paid for",
        "insight/experiments/statistics.py",
        "2 * room * math.log(math.sqrt(room) / alpha) / (n * rho) ** 2",
        "3.8415 / n",
        ("tests/insight/experiments/test_statistics.py",),
    ),
    Bug(
        "a mismatch decides",
        "insight/experiments/actions.py",
        "    if winner is not None and figures.is_mismatched:",
        "    if winner is not None and figures.is_mismatched and not figures.lines:",
        ("tests/insight/experiments/test_experiments.py",),
    ),
    Bug(
        "an absorbed identity forgets what it used",
        "ground/trust/noting.py",
        "        await _carry_uses(tx, absorbed)\n",
        "        pass\n",
        ("tests/ground/trust/test_clusters.py",),
    ),
    Bug(
        "accounts that meet at the same moment don't wait for each other",
        "ground/trust/noting.py",
        '    await tx.run("select pg_advisory_xact_lock($1)", LINKING + tx.cell)\n    people',
        "    people",
        ("tests/ground/trust/test_clusters.py",),
    ),
    Bug(
        "what an operator parted is one again",
        "ground/trust/clusters.py",
        "    await _silence_between(tx, cluster_id, new_id, reason)\n",
        "",
        ("tests/ground/trust/test_clusters.py",),
    ),
    Bug(
        "asking for letters is taken for a yes",
        "ground/messages/actions.py",
        "    return None if standing.subscribed_at is not None else NotSubscribed()\n",
        "    return None\n",
        ("tests/ground/messages/test_consent.py",),
    ),
    Bug(
        "the first quiet hour is not quiet",
        "ground/messages/model.py",
        "local.hour >= rules.quiet_from,",
        "local.hour > rules.quiet_from,",
        ("tests/ground/messages/test_delivering.py",),
    ),
    Bug(
        "a silent carrier's marketing letter is sent again",
        "ground/messages/delivering.py",
        "set state = case purpose when 'marketing' then 'unsure' else 'waiting' end,",
        "set state = 'waiting',",
        ("tests/ground/messages/test_delivering.py",),
    ),
    Bug(
        "acts of one round are not counted against the week",
        "growth/journeys/guarding.py",
        "of_person = {p: before.get(p, 0) + acts.get(p, 0) for p in people}",
        "of_person = {p: before.get(p, 0) for p in people}",
        ("tests/growth/journeys/test_steps.py",),
    ),
    Bug(
        "a journey's letters carry no step in their key",
        "growth/journeys/model.py",
        'return f"{self.enrolment_id}:{self.step}"',
        'return f"{self.enrolment_id}"',
        ("tests/growth/journeys/test_restart.py",),
    ),
    Bug(
        "budget-gives-back-twice",
        "trade/orders/budget_settling.py",
        "amount_minor=one.spent_minor - due,",
        "amount_minor=one.spent_minor,",
        ("tests/trade/budgets/test_order_budgets.py",),
    ),
    Bug(
        "budget-open-at-its-deadline",
        "trade/budgets/actions.py",
        "(ends_at is null or ends_at > $3) as is_open",
        "(ends_at is null or ends_at >= $3) as is_open",
        ("tests/trade/budgets/test_budgets.py",),
    ),
    Bug(
        "approves-oneself",
        "trade/budgets/funding.py",
        'if own and state == "done":',
        'if own and state == "refused":',
        ("tests/trade/budgets/test_budgets.py",),
    ),
    Bug(
        "floor-forgotten-at-the-till",
        "trade/orders/price_stages.py",
        "guard.loss_budget_id is None or guard.loss_available_minor < gap",
        "guard.loss_budget_id is None and guard.loss_available_minor > gap",
        ("tests/trade/pricing/test_rules.py",),
    ),
    Bug(
        "subsidy-beyond-the-reference",
        "growth/subsidy/model.py",
        "min(price_minor, goods.reference_minor) - goods.target_minor",
        "max(price_minor, goods.reference_minor) - goods.target_minor",
        ("tests/growth/subsidy/test_subsidy.py",),
    ),
    Bug(
        "a corrected day of spend is posted whole a second time",
        "growth/measurement/spending.py",
        "more = row.amount_minor - before.amount_minor\n",
        "more = row.amount_minor\n",
        ("tests/growth/measurement/test_spend.py",),
    ),
    Bug(
        "a buyer of before is counted as brought",
        "growth/measurement/tree.py",
        "and (p.placed_at, p.person_id) < (c.placed_at, c.person_id)\n",
        "and p.person_id <> c.person_id\n",
        ("tests/growth/measurement/test_town.py",),
    ),
    Bug(
        "what is given with a repeat order counts as winning a buyer",
        "growth/measurement/acquiring.py",
        'WINNING = ("marketing", "first_order", "programme")',
        'WINNING = ("marketing", "first_order", "programme", "repeat")',
        ("tests/growth/measurement/test_town.py",),
    ),
    Bug(
        "the marginal cost is the average",
        "growth/measurement/viral.py",
        "each_minor=cost / buyers if buyers else None,",
        "each_minor=cost_so_far / buyers_so_far if buyers_so_far else None,",
        ("tests/growth/measurement/test_viral.py",),
    ),
    Bug(
        "a visitor without a name is shown another price than the guest they become",
        "trade/orders/shown.py",
        "person_id=viewer.person_id or STRANGER,",
        "person_id=viewer.person_id,",
        ("tests/growth/test_shown_prices.py",),
    ),
    Bug(
        "a lower price from some quantity on is not told",
        "trade/orders/shown.py",
        "if step.total_minor * before.quantity < before.total_minor * step.quantity:",
        "if step.total_minor < before.total_minor:",
        ("tests/growth/test_shown_prices.py",),
    ),
    Bug(
        "a title becomes part of the drawing",
        "faces/storefront/card_drawing.py",
        'fill="{INK}"{direction}>{escape(line)}</text>',
        'fill="{INK}"{direction}>{line}</text>',
        ("tests/faces/storefront/test_share_cards.py",),
    ),
    Bug(
        "a gift card's account has no floor",
        "trade/payments/model.py",
        '"credit", floor=0)\n\n\ndef cash_owed',
        '"credit")\n\n\ndef cash_owed',
        ("tests/trade/giftcards/test_gift_cards.py::test_fifty_checkouts_never_overdraw_one_card",),
    ),
    Bug(
        "a gift card ends on its last day",
        "trade/payments/gift_ending.py",
        "and state = 'open' and expires_on < $2",
        "and state = 'open' and expires_on <= $2",
        (
            "tests/trade/giftcards/test_gift_cards.py::test_expiry_is_a_policy_and_its_rest_is_booked",
        ),
    ),
    Bug(
        "a part refund fills the gift card first",
        "trade/payments/instructing.py",
        "return payment.provider in CREDIT, ",
        "return payment.provider not in CREDIT, ",
        (
            "tests/trade/giftcards/test_gift_cards.py::test_a_part_refund_is_money_first_and_the_card_gets_its_own_back",
        ),
    ),
    Bug(
        "late cash is kept though the goods are gone",
        "trade/orders/jobs.py",
        '        if order.state == "cancelled":\n            raise CashOrderEnded',
        '        if order.state == "ended":\n            raise CashOrderEnded',
        (
            "tests/trade/tills/test_cash.py::test_late_cash_takes_the_goods_again_or_is_refused_at_the_counter",
        ),
    ),
    Bug(
        "an order that waits for cash ends like one that waits for a card",
        "trade/orders/actions.py",
        "and d.order_id = o.id and d.ended_at is null)",
        "and d.order_id = o.id and d.ended_at is not null)",
        (
            "tests/trade/tills/test_cash.py::test_an_order_waits_with_its_stock_and_is_placed_by_the_cash",
        ),
    ),
    Bug(
        "more is paid out than somebody agreed to",
        "growth/social/invite_payouts.py",
        "if agreed_minor is not None and agreed_minor != amount:",
        "if agreed_minor is not None and agreed_minor > amount:",
        ("tests/faces/console/test_promoters_desk.py",),
    ),
    Bug(
        "who bought and left a segment by it does not count",
        "growth/journeys/measuring.py",
        "from audience.v_entry e where",
        "from audience.v_membership e where",
        ("tests/growth/measurement/test_anyway.py",),
    ),
    Bug(
        "a page of tiers undoes what others changed since",
        "faces/console/audience_tiers_web.py",
        "if stands.get((p.country, p.region, p.city)) != p.tier]",
        "if stands]",
        ("tests/insight/audience/test_tiers_desk.py",),
    ),
    Bug(
        "what waits for exactly its limit wakes nobody",
        "faces/console/watch_web.py",
        "age >= limit.bad_seconds:",
        "age > limit.bad_seconds:",
        ("tests/faces/console/test_watch_desk.py",),
    ),
    Bug(
        "holds that keep stock past their deadline are not seen",
        "ground/ledger/queries.py",
        "where state = 'open' and expires_at <= $2 and cell = $1",
        "where state <> 'open' and expires_at <= $2 and cell = $1",
        ("tests/faces/console/test_watch_desk.py",),
    ),
    Bug(
        "the freight of a return may be below zero",
        "faces/console/return_rules_web.py",
        "if minor < 0:",
        "if minor < -100_000:",
        ("tests/faces/console/test_return_rules_desk.py",),
    ),
    Bug(
        "a code that has run out can be paid as before",
        "trade/payments/sandbox/provider.py",
        '            _end(charge, "declined" if manner.scans else manner.state, memory.now)\n',
        "            _end(charge, manner.state, memory.now)\n",
        ("tests/trade/payments/test_scan.py::test_a_code_that_nobody_used_runs_out_and_stays_so",),
    ),
    Bug(
        "whoever has the address of a code sees whose payment it is",
        "trade/payments/queries.py",
        "         where p.cell = $1 and p.id = $2 and p.person_id = $3\n",
        "         where p.cell = $1 and p.id = $2 and ($3::uuid is not null)\n",
        (
            "tests/trade/payments/test_scan.py"
            "::test_the_code_is_its_buyers_and_good_for_five_minutes",
        ),
    ),
    Bug(
        "each gift card of an order has a letter of its own",
        "growth/journeys/jobs.py",
        '                key="gift_cards",\n',
        '                key=f"gift_cards:{event.card_ids[0]}",\n',
        (
            "tests/growth/journeys/test_order_letters.py"
            "::test_gift_cards_are_told_of_once_and_without_their_codes",
        ),
    ),
    Bug(
        "a friend takes a second seat in the same team of the demonstration",
        "seeding/season.py",
        "            taken.add(friend)\n",
        "",
        ("tests/seeding/test_season.py",),
    ),
    Bug(
        "the demonstration sends a team's orders before the team has formed",
        "seeding/history.py",
        'waits = TEAM_HOURS if wish is not None and wish.kind in ("lead", "join") else 0',
        "waits = 0",
        ("tests/seeding/test_season.py",),
    ),
)


class Verdict(NamedTuple):
    word: str
    detail: str
    tests: tuple[str, ...] = ()
    seconds: float = 0.0


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME")
    asked.add_argument("-j", "--jobs", type=int, default=2)
    asked.add_argument("--places", action="store_true")
    options = asked.parse_args()
    unknown = set(options.names) - {b.name for b in BUGS}
    if unknown:
        raise SystemExit(f"no such bug: {', '.join(sorted(unknown))}")
    bugs = [b for b in BUGS if not options.names or b.name in options.names]
    if options.places:
        moved = [b for b in bugs if not is_there(ROOT, b)]
        for bug in moved:
            print(f"{'MOVED':>8}  {bug.name}: {bug.file}")
        print(f"{len(bugs)} bugs, {len(moved)} can't be planted any more")
        return 1 if moved else 0
    server = world.Server()
    # No bug is planted in a migration: one migrated database serves all runs.
    asyncio.run(migrate(asyncio.run(world.create_database(server.url, TEMPLATE))))
    try:
        with tempfile.TemporaryDirectory(prefix="pinwheel-planted-") as folder:
            return prove(bugs, Path(folder), server.url, options.jobs)
    finally:
        server.stop()


def prove(bugs: list[Bug], folder: Path, server_url: str, jobs: int) -> int:
    """Plant each, in ``jobs`` copies of the tree at once, and say what came of it."""
    began = time.monotonic()
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
    left_out = shutil.ignore_patterns(".git", ".venv*", "var", "node_modules", "__pycache__")
    for number in range(jobs):
        copies.put(Path(shutil.copytree(ROOT, folder / f"tree-{number}", ignore=left_out)))

    def one(bug: Bug) -> Verdict:
        copy = copies.get()
        try:
            verdict = plant(copy, bug, server_url)
        finally:
            copies.put(copy)
        word, detail, _, seconds = verdict
        print(f"{word:>8}  {bug.name}: {detail}  ({seconds:.0f} s)", flush=True)
        return verdict

    with ThreadPoolExecutor(jobs) as pool:
        verdicts = list(pool.map(one, bugs))
    words = [v.word for v in verdicts]
    catchers = sorted({test for v in verdicts for test in v.tests})
    unsound = []
    if catchers:
        _, output = run(copies.get(), catchers, server_url, ())
        unsound = list(failed(output))
        for test in unsound:
            print(f"  UNSOUND {test} fails without a bug too")
        if not unsound and not re.search(rf"\b{len(catchers)} passed", output):
            unsound = ["(the tests that caught did not all run)"]
            print(output[-2000:])
    print(
        f"{len(bugs)} bugs: {words.count('caught')} caught by {len(catchers)} tests"
        f" ({len(unsound)} of them unsound), {words.count('SURVIVED')} survived,"
        f" {words.count('MOVED')} moved, {words.count('BROKEN')} broken,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if unsound or words.count("caught") < len(bugs) else 0


def is_there(tree: Path, bug: Bug) -> bool:
    file = tree / "src" / "pinwheel" / bug.file
    return file.is_file() and file.read_text(encoding="utf-8").count(bug.old) == 1


def plant(copy: Path, bug: Bug, server_url: str) -> Verdict:
    """Does a suite fail with the bug in?"""
    if not is_there(copy, bug):
        return Verdict("MOVED", f"the place it is planted in has changed ({bug.file})")
    began = time.monotonic()
    file = copy / "src" / "pinwheel" / bug.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(sound.replace(bug.old, bug.new), encoding="utf-8")
    try:
        for suite in bug.suites:
            code, output = run(copy, [suite], server_url, ("-x",))
            tests = failed(output)
            if code == 1 and tests:
                [(test, why), *_] = tests.items()
                said = f"{test}: {why[:100]}" if why else test
                return Verdict("caught", said, tuple(tests), time.monotonic() - began)
            if code != 0:
                return Verdict("BROKEN", output[-2000:], (), time.monotonic() - began)
        return Verdict("SURVIVED", ", ".join(bug.suites), (), time.monotonic() - began)
    finally:
        file.write_text(sound, encoding="utf-8")


def run(copy: Path, tests: list[str], server_url: str, options: tuple[str, ...]) -> tuple[int, str]:
    """pytest's exit code and all it said."""
    command = [sys.executable, "-m", "pytest", *tests, *options, "-q", "-p", "no:cacheprovider"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "",  # most of the tree is the same for every bug
        "PINWHEEL_DATABASE_URL": server_url,
        "PINWHEEL_TEMPLATE": TEMPLATE,
        "COLUMNS": "240",
    }
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=3600,
            check=False,
        )
    except subprocess.TimeoutExpired as stuck:
        return -1, f"stuck in {' '.join(tests)}\n{stuck.output}"
    return done.returncode, done.stdout


def failed(output: str) -> dict[str, str]:
    """The tests that ran and failed, and why; one whose fixtures failed proves nothing."""
    lines = re.findall(r"^FAILED (\S+?::.+?)(?: - (.*))?$", output, re.MULTILINE)
    return dict(lines)


if __name__ == "__main__":
    raise SystemExit(main())
