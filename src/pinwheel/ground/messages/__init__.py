"""Messages: what the shop says to somebody, once, in their language, and to nobody who said no.

Words: a *message* is one letter to one address, written in the transaction of the fact it tells and
handed over afterwards; its *purpose* is ``transactional`` (one's own order or account) or
``marketing``; an address is *subscribed* when whoever reads it confirmed by a link (double opt-in);
a *suppression* is a no (unsubscribed, complaint) or a nobody-there (bounce); a *carrier* is how
letters leave: SMTP, or the local mailbox of a shop without a mail server.

Promises: one message for each scope and key; a marketing letter is handed over only under a lock
that a suppression takes too, so whoever said no before that moment gets nothing; consent is a
ledger that is only added to; quiet hours and a full measure put off, they don't drop; a process
that dies doubles no marketing letter and loses no other."""

from pinwheel.ground.messages.actions import hash_of, send
from pinwheel.ground.messages.bounces import Notice, take_notices
from pinwheel.ground.messages.composing import with_way_out
from pinwheel.ground.messages.consent import (
    confirm,
    lift,
    subscribe,
    suppress,
    unsubscribe,
    withdraw,
)
from pinwheel.ground.messages.delivering import deliver_due
from pinwheel.ground.messages.following import note_click, note_seen
from pinwheel.ground.messages.holding import rules, set_rules
from pinwheel.ground.messages.model import (
    BadLink,
    NewMessage,
    NoAddress,
    NotSubscribed,
    Queued,
    Rules,
    Standing,
    Subscribed,
    Suppressed,
    Template,
    UnknownTemplate,
    Unsubscribed,
    address_in,
    after_quiet,
    confirm_token,
    confirmed_address,
)
from pinwheel.ground.messages.opening import use
from pinwheel.ground.messages.post import Carrier, Mailbox, Outcome, Outgoing, Post, of
from pinwheel.ground.messages.queries import (
    ConsentLine,
    Count,
    LetterLine,
    LetterSight,
    behind,
    consent_ledger,
    counts,
    export,
    letter,
    letters,
    open_to_marketing,
    standing_of,
)
from pinwheel.ground.messages.smtp import Smtp, server_of
from pinwheel.ground.messages.staff_letters import preview, save_template, template, templates
from pinwheel.ground.messages.wording import Letters, Words, as_html, facts_in, plain

__all__ = [
    "BadLink",
    "Carrier",
    "ConsentLine",
    "Count",
    "LetterLine",
    "LetterSight",
    "Letters",
    "Mailbox",
    "NewMessage",
    "NoAddress",
    "NotSubscribed",
    "Notice",
    "Outcome",
    "Outgoing",
    "Post",
    "Queued",
    "Rules",
    "Smtp",
    "Standing",
    "Subscribed",
    "Suppressed",
    "Template",
    "UnknownTemplate",
    "Unsubscribed",
    "Words",
    "address_in",
    "after_quiet",
    "as_html",
    "behind",
    "confirm",
    "confirm_token",
    "confirmed_address",
    "consent_ledger",
    "counts",
    "deliver_due",
    "export",
    "facts_in",
    "hash_of",
    "letter",
    "letters",
    "lift",
    "note_click",
    "note_seen",
    "of",
    "open_to_marketing",
    "plain",
    "preview",
    "rules",
    "save_template",
    "send",
    "server_of",
    "set_rules",
    "standing_of",
    "subscribe",
    "suppress",
    "take_notices",
    "template",
    "templates",
    "unsubscribe",
    "use",
    "with_way_out",
    "withdraw",
]
