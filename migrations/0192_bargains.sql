-- Bargains: friends cut a price down; every cut is drawn and committed before the first one helps.
create schema if not exists social;

create table social.bargain_campaign (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null,
  market text not null,
  currency text not null,
  offer_id uuid not null, -- the marketplace's
  list_minor bigint not null check (list_minor > 0),
  floor_minor bigint not null check (floor_minor >= 0 and floor_minor < list_minor),
  helps smallint not null check (helps between 1 and 500), -- so many valid helps reach the floor
  least_cut_minor bigint not null default 1 check (least_cut_minor >= 1),
  window_seconds int not null check (window_seconds between 600 and 2592000),
  budget_id uuid not null, -- pays for the gap; the whole of it is put aside when a bargain starts
  pieces_total bigint check (pieces_total >= 1), -- how many the campaign sells at most; the shop's stock is while it lasts
  per_identity smallint not null default 1 check (per_identity between 1 and 100), -- bargains one identity may start
  helps_per_identity smallint not null default 5 check (helps_per_identity between 1 and 1000), -- helps one identity gives in the campaign
  state text not null default 'draft' check (state in ('draft', 'running', 'stopped')),
  starts_at timestamptz not null,
  ends_at timestamptz, -- no bargain is started from then on
  created_at timestamptz not null,
  primary key (cell, id),
  check (list_minor - floor_minor >= helps * least_cut_minor)
);
create index bargain_campaign_offer on social.bargain_campaign (cell, offer_id) where state = 'running';

create table social.bargain (
  cell smallint not null default 0,
  id uuid not null,
  campaign_id uuid not null,
  token text not null, -- nobody finds a bargain who was not given its address
  person_id uuid,
  initials text,
  state text not null default 'running' check (state in ('running', 'reached', 'bought', 'expired')),
  currency text not null,
  list_minor bigint not null,
  floor_minor bigint not null,
  commitment text not null, -- sha256 of the id, the nonce and the cuts; shown from the start
  nonce bytea not null, -- kept back until the end, with the cuts
  cuts bigint[] not null,
  helped smallint not null default 0,
  cut_minor bigint not null default 0,
  order_id uuid, -- who buys at this price, while that order stands
  order_cut_minor bigint,
  started_at timestamptz not null,
  ends_at timestamptz not null,
  ended_at timestamptz,
  why text, -- of an end: 'bought', 'deadline', 'stopped', 'budget'
  primary key (cell, id),
  unique (cell, token),
  check (cut_minor between 0 and list_minor - floor_minor),
  check (helped between 0 and cardinality(cuts)),
  check ((state in ('bought', 'expired')) = (ended_at is not null))
) with (fillfactor = 85);
create index bargain_due on social.bargain (cell, ends_at) where state in ('running', 'reached');
create index bargain_person on social.bargain (cell, person_id, id desc) where person_id is not null;
create index bargain_of_campaign on social.bargain (cell, campaign_id, state, id desc);
create index bargain_order on social.bargain (cell, order_id) where order_id is not null;

create table social.bargain_help (
  cell smallint not null default 0,
  bargain_id uuid not null,
  id uuid not null,
  person_id uuid,
  initials text, -- shown on the bargain's page with the helper's consent, else null
  state text not null check (state in ('counted', 'review', 'denied')),
  number smallint, -- the how many-th valid help
  cut_minor bigint check (cut_minor > 0),
  verdict_id uuid,
  at timestamptz not null,
  primary key (cell, bargain_id, id),
  check ((state = 'counted') = (number is not null)),
  check ((number is null) = (cut_minor is null))
);
create unique index bargain_help_once on social.bargain_help (cell, bargain_id, person_id) where person_id is not null;
create unique index bargain_help_number on social.bargain_help (cell, bargain_id, number) where number is not null;
create index bargain_help_person on social.bargain_help (cell, person_id, id desc) where person_id is not null;

comment on column social.bargain.person_id is 'pii: whose bargain it is; until erasure';
comment on column social.bargain.initials is 'pii: shown to who has the link; until erasure';
comment on column social.bargain_help.person_id is 'pii: who helped; until erasure';
comment on column social.bargain_help.initials is 'pii: shown to who has the link, with consent; until erasure';

-- Published: what became of every bargain.
create view social.v_bargain as
  select cell, id as bargain_id, campaign_id, state, currency, list_minor, floor_minor, helped, cut_minor, order_id,
         order_cut_minor, started_at, ends_at, ended_at, why, person_id
    from social.bargain;
create view social.v_bargain_help as
  select cell, bargain_id, id as help_id, person_id, state, number, cut_minor, at from social.bargain_help;
