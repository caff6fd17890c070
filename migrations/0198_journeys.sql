-- Journeys: what happens to one person after another by itself, step by step; and campaigns, one letter to many.
create schema journeys;

-- Published by orders for letters about them: who is told, and of what. The contact stays sealed.
create view orders.v_contact as
  select cell, id as order_id, number, state, person_id, contact, market, currency, goods_minor, discount_minor,
         delivery_minor, total_minor, placed_at, cancelled_at
    from orders."order";
create view orders.v_shipment as
  select cell, id as shipment_id, order_id, state, carrier, tracking, shipped_at, delivered_at from orders.shipment;

create table journeys.journey (
  id uuid primary key,
  name text not null,
  state text not null check (state in ('draft', 'live', 'paused', 'closed')),
  version int not null,
  created_at timestamptz not null,
  changed_at timestamptz not null,
  changed_by text not null
);

-- Never changed: an enrolment goes on with the version it began with.
create table journeys.version (
  journey_id uuid not null references journeys.journey,
  version int not null,
  plan jsonb not null,
  saved_at timestamptz not null,
  saved_by text not null,
  primary key (journey_id, version)
);

create table journeys.enrolment (
  cell smallint not null default 0,
  id uuid not null,
  journey_id uuid not null,
  version int not null,
  person_id uuid not null,
  trigger_key text not null,
  facts jsonb not null,
  is_held boolean not null, -- the holdout: measured, nothing is done
  state text not null check (state in ('active', 'done', 'goal', 'stopped', 'failed')),
  step int not null default 0, -- to be taken next
  due_at timestamptz,
  waits_for text, -- a kind of event
  came boolean not null default false, -- and it happened
  tries int not null default 0,
  note text not null default '',
  goal text,
  goal_until timestamptz not null,
  goal_at timestamptz,
  entered_at timestamptz not null,
  ended_at timestamptz,
  primary key (cell, id),
  unique (cell, journey_id, person_id, trigger_key),
  check ((ended_at is null) = (state = 'active'))
) with (fillfactor = 80);
create index enrolment_due on journeys.enrolment (cell, due_at, id)
  where state = 'active' and not is_held and due_at is not null;
create index enrolment_held on journeys.enrolment (cell, goal_until) where state = 'active' and is_held;
create index enrolment_person on journeys.enrolment (cell, person_id, journey_id);
create index enrolment_journey on journeys.enrolment (cell, journey_id, entered_at);
comment on column journeys.enrolment.person_id is 'pii: whose journey it is; until erasure';
comment on column journeys.enrolment.facts is 'pii: what set the journey off; until erasure';

-- How far the members of a segment have entered a journey whose date has come.
create table journeys.dated (
  cell smallint not null default 0,
  journey_id uuid not null,
  at timestamptz not null,
  reached uuid, -- everybody up to here
  is_done boolean not null default false,
  primary key (cell, journey_id, at)
);

-- Each step of an enrolment once: steps only lead forward.
create table journeys.step (
  cell smallint not null default 0,
  enrolment_id uuid not null,
  step int not null,
  journey_id uuid not null,
  kind text not null,
  outcome text not null,
  at timestamptz not null,
  primary key (cell, enrolment_id, step)
);
create index step_acted on journeys.step (cell, journey_id) where kind = 'act' and outcome = 'acted';

create table journeys.campaign (
  id uuid primary key,
  name text not null,
  state text not null check (state in ('draft', 'scheduled', 'gathering', 'sending', 'sent', 'stopped')),
  template text not null,
  template_version int not null,
  segment_id uuid,
  people uuid[] not null default '{}',
  holdout_basis_points int not null check (holdout_basis_points between 0 and 9000),
  window_days int not null check (window_days between 1 and 90),
  most_letters int not null check (most_letters > 0),
  budget_id uuid,
  letter_minor bigint not null default 0 check (letter_minor >= 0),
  scheduled_at timestamptz,
  gathered_to uuid, -- everybody up to here is a member
  began_at timestamptz,
  ended_at timestamptz,
  why text not null default '',
  created_at timestamptz not null,
  created_by text not null
);
comment on column journeys.campaign.people is 'pii: who is written to when there is no segment; until the campaign is begun';

create table journeys.member (
  cell smallint not null default 0,
  campaign_id uuid not null,
  person_id uuid not null,
  state text not null check (state in ('waiting', 'held', 'written', 'refused', 'left')),
  why text not null default '',
  at timestamptz not null,
  primary key (cell, campaign_id, person_id)
) with (fillfactor = 85);
create index member_waiting on journeys.member (cell, campaign_id, person_id) where state = 'waiting';
create index member_person on journeys.member (cell, person_id);
comment on column journeys.member.person_id is 'pii: who was written to; until erasure';
