-- Measurement: what growth costs and brings. Estimates are reckoned anew; what was spent is in the ledger.
create schema measurement;

-- What was spent on a channel and campaign on a day, as it stands; the ledger holds every step of it.
create table measurement.spend (
  cell smallint not null default 0,
  id uuid not null,
  channel text not null check (channel ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
  campaign text not null default '', -- as in utm_campaign; '' is the whole channel
  day date not null,
  currency text not null,
  amount_minor bigint not null default 0 check (amount_minor >= 0),
  version int not null default 0, -- each change is a journal of its own
  source text not null check (source in ('api', 'csv')),
  changed_at timestamptz not null,
  changed_by text not null,
  primary key (cell, id),
  unique (cell, channel, campaign, day)
);
create index spend_day on measurement.spend (cell, day, channel);

-- Everybody who bought, with their first order and who brought them. Reckoned from orders and shares: written anew
-- it is the same to the row.
create table measurement.buyer (
  cell smallint not null default 0,
  person_id uuid not null,
  first_order_id uuid not null,
  first_at timestamptz not null,
  market text not null,
  currency text not null,
  order_channel text not null,
  second_at timestamptz, -- the next order that stands
  orders int not null,
  net_minor bigint not null, -- paid, less what went back, in the currency of the first order
  parent_id uuid, -- a buyer already when they brought this one
  campaign_id uuid,
  via text,
  depth int not null, -- 0: came by nobody's link
  root_id uuid not null, -- at whom the branch begins
  primary key (cell, person_id)
) with (fillfactor = 85);
create unique index buyer_order on measurement.buyer (cell, first_order_id);
create index buyer_first on measurement.buyer (cell, first_at);
create index buyer_parent on measurement.buyer (cell, parent_id) where parent_id is not null;
comment on column measurement.buyer.person_id is 'pii: who was won, when and by whom; until erasure';
comment on column measurement.buyer.parent_id is 'pii: who brought them; until erasure';
comment on column measurement.buyer.root_id is 'pii: at whom the branch begins; until erasure';

-- Turning a channel off for some regions or some days, planned before, to find out what it brings.
create table measurement.trial (
  cell smallint not null default 0,
  id uuid not null,
  channel text not null check (channel ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
  kind text not null check (kind in ('days', 'regions')),
  starts_on date not null,
  ends_on date not null, -- the last day of it
  off_days date[] not null default '{}',
  off_regions text[] not null default '{}',
  planned_at timestamptz not null,
  planned_by text not null,
  primary key (cell, id),
  check (ends_on >= starts_on),
  check ((kind = 'days') = (off_days <> '{}') and (kind = 'regions') = (off_regions <> '{}'))
);

-- The rocket: how far a person has come, and by which rule. Versions of its rules are never changed.
create table measurement.rocket (
  cell smallint not null default 0,
  version int not null,
  plan jsonb not null,
  saved_at timestamptz not null,
  saved_by text not null,
  primary key (cell, version)
);
create table measurement.transition (
  cell smallint not null default 0,
  person_id uuid not null,
  number int not null,
  version int not null,
  at timestamptz not null,
  was text not null,
  now text not null,
  rule text not null,
  facts jsonb not null,
  primary key (cell, person_id, number)
);
create index transition_stage on measurement.transition (cell, now, at);
comment on column measurement.transition.person_id is 'pii: how far a person has come in the programme; until erasure';
comment on column measurement.transition.facts is 'pii: counts of orders and shares behind it; until erasure';
