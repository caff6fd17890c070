-- Big days: an event with slots of timed deals, deposits ahead of it, a queue when too many come, and what it brought.
create schema bigdays;

create table bigdays.event (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null, -- {"en": …, "zh-CN": …}
  market text not null,
  currency text not null,
  segment text not null default '', -- only for people in it (its id); '': for everybody
  state text not null default 'draft' check (state in ('draft', 'active', 'stopped')),
  preheat_at timestamptz not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  expected_per_hour int not null default 0 check (expected_per_hour >= 0), -- orders, as the operator expects
  pick_per_hour int not null default 0 check (pick_per_hour >= 0), -- orders, as the floor states; 0: not stated
  budget_ids uuid[] not null default '{}',
  queue_on boolean not null default false,
  admit_per_minute int not null default 60 check (admit_per_minute between 1 and 100000),
  admit_seconds int not null default 600 check (admit_seconds between 30 and 7200), -- how long an admission lives
  holdout_percent smallint not null default 0 check (holdout_percent between 0 and 50),
  drawn bigint not null default 0, -- places that have a number
  head bigint not null default 0, -- the number that was admitted last
  admitting_from timestamptz, -- the rate counts from here
  admitted_since bigint not null default 0,
  told text not null default '' check (told in ('', 'preheat', 'begun', 'over')),
  changed_at timestamptz not null,
  changed_by text not null,
  primary key (cell, id),
  check (preheat_at <= starts_at and starts_at < ends_at)
);
create index event_open on bigdays.event (cell, ends_at) where state = 'active';

create table bigdays.slot (
  cell smallint not null default 0,
  id uuid not null,
  event_id uuid not null,
  name jsonb not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  primary key (cell, id),
  check (starts_at < ends_at)
);
create index slot_event on bigdays.slot (cell, event_id, starts_at);

-- A timed deal of an event: price, pieces and minutes are the promotion's; a deposit is ours.
create table bigdays.deal (
  cell smallint not null default 0,
  promotion_id uuid not null,
  event_id uuid not null,
  slot_id uuid not null,
  offer_id uuid not null,
  price_minor bigint not null check (price_minor >= 0),
  pieces int not null check (pieces > 0),
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  deposit_minor bigint check (deposit_minor > 0),
  balance_from timestamptz,
  balance_until timestamptz,
  deposit_policy text check (deposit_policy in ('until_balance', 'refundable')),
  primary key (cell, promotion_id),
  check ((deposit_minor is null) = (balance_from is null) and (deposit_minor is null) = (balance_until is null)),
  check (balance_from < balance_until),
  check (deposit_minor <= price_minor)
);
create index deal_event on bigdays.deal (cell, event_id);

create table bigdays.change (
  cell smallint not null default 0,
  id uuid not null,
  event_id uuid not null,
  at timestamptz not null,
  by text not null,
  what text not null,
  why text not null default '',
  primary key (cell, id)
);
create index change_event on bigdays.change (cell, event_id, id);

-- A place in the queue. Numbers are drawn once an instant is over: first the instant, then the lot.
create table bigdays.place (
  cell smallint not null default 0,
  id uuid not null,
  event_id uuid not null,
  person_id uuid not null,
  instant timestamptz not null,
  lot bigint not null,
  number bigint,
  state text not null default 'waiting' check (state in ('waiting', 'admitted', 'used', 'expired', 'left')),
  joined_at timestamptz not null,
  admitted_at timestamptz,
  until timestamptz,
  primary key (cell, id)
);
create unique index place_once on bigdays.place (cell, event_id, person_id) where state in ('waiting', 'admitted');
create unique index place_number on bigdays.place (cell, event_id, number) where number is not null;
create index place_undrawn on bigdays.place (cell, event_id, instant, lot) where number is null and state = 'waiting';
create index place_waiting on bigdays.place (cell, event_id, number) where state = 'waiting' and number is not null;
create index place_ending on bigdays.place (cell, until) where state = 'admitted';
create index place_person on bigdays.place (cell, person_id);
comment on column bigdays.place.person_id is 'pii: who stood in the queue of a big day; until erasure';

-- A deposit for one piece of a deal. What of it is with us stands in the ledger.
create table bigdays.deposit (
  cell smallint not null default 0,
  id uuid not null, -- the payments' order_id, and the ledger's document
  event_id uuid not null,
  promotion_id uuid not null,
  offer_id uuid not null,
  person_id uuid,
  market text not null,
  currency text not null,
  deposit_minor bigint not null check (deposit_minor > 0),
  price_minor bigint not null,
  policy text not null,
  balance_from timestamptz not null,
  balance_until timestamptz not null,
  state text not null default 'pending'
    check (state in ('pending', 'held', 'paid', 'unpaid', 'returned', 'forfeited')),
  why text not null default '',
  order_id uuid, -- the order that the balance is paid with
  lent_minor bigint not null default 0, -- what of the deposit that order was given
  told boolean not null default false, -- that the balance is due
  placed_at timestamptz not null,
  ended_at timestamptz,
  primary key (cell, id)
);
create unique index deposit_once on bigdays.deposit (cell, promotion_id, person_id) where state in ('pending', 'held', 'paid');
create index deposit_due on bigdays.deposit (cell, balance_until) where state = 'held';
create index deposit_order on bigdays.deposit (cell, order_id) where order_id is not null;
create index deposit_person on bigdays.deposit (cell, person_id, id desc);
comment on column bigdays.deposit.person_id is 'pii: who paid a deposit; until erasure';

create table bigdays.reminder (
  cell smallint not null default 0,
  event_id uuid not null,
  person_id uuid not null,
  asked_at timestamptz not null,
  sent boolean not null default false,
  primary key (cell, event_id, person_id)
);
create index reminder_person on bigdays.reminder (cell, person_id);
comment on column bigdays.reminder.person_id is 'pii: who wants to be reminded of a big day; until erasure';

create view bigdays.v_event as
  select cell, id as event_id, name, market, state, preheat_at, starts_at, ends_at from bigdays.event;
