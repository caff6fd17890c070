-- Subsidy programmes: the gap between a reference price and a target price, paid by budgets.
create schema subsidy;

create table subsidy.programme (
  id uuid primary key,
  name jsonb not null, -- {"en": …, "zh-CN": …}: what the buyer reads
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  state text not null default 'draft' check (state in ('draft', 'active', 'stopped')),
  platform_budget_id uuid not null,
  brand_budget_id uuid,
  brand_basis_points int not null default 0 check (brand_basis_points between 0 and 10000), -- the brand's part of the gap
  identity_pieces int not null check (identity_pieces >= 1), -- of all goods, each identity, each period
  home_orders int not null default 0 check (home_orders >= 0), -- each address, each period; 0: not counted
  period_days int not null check (period_days between 1 and 366),
  reference_days int not null check (reference_days between 1 and 90), -- older sources do not count
  match_days int not null default 0 check (match_days between 0 and 90), -- after an order; 0: no price match
  region_caps jsonb not null default '{}', -- {"GB": minor units, "CN-31": …}: what may be spent there in all
  experiment_key text, -- who gets it is a matter of this experiment
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  created_by text not null,
  changed_at timestamptz not null,
  changed_by text not null,
  check (ends_at > starts_at),
  check ((brand_basis_points = 0) or brand_budget_id is not null)
);

create table subsidy.goods (
  programme_id uuid not null references subsidy.programme (id),
  offer_id uuid not null,
  target_minor bigint not null check (target_minor > 0),
  primary key (programme_id, offer_id)
);
create index goods_offer on subsidy.goods (offer_id);

-- What the same thing costs elsewhere: the lowest that is not too old is the reference price.
create table subsidy.reference (
  programme_id uuid not null,
  offer_id uuid not null,
  source text not null check (source <> ''),
  seen_at timestamptz not null,
  price_minor bigint not null check (price_minor > 0),
  url text not null default '',
  added_by text not null,
  added_at timestamptz not null,
  primary key (programme_id, offer_id, source, seen_at),
  foreign key (programme_id, offer_id) references subsidy.goods (programme_id, offer_id) on delete cascade
);

-- Somebody found it cheaper within some days of buying: with the evidence, and what was decided why.
create table subsidy.match (
  cell smallint not null default 0,
  id uuid not null,
  programme_id uuid not null,
  order_id uuid not null,
  line int not null,
  person_id uuid not null,
  source text not null check (source <> ''),
  link text not null default '',
  picture_id uuid,
  found_minor bigint not null check (found_minor > 0), -- a piece, elsewhere
  most_minor bigint not null check (most_minor > 0), -- what could be paid for the line when it was claimed
  state text not null default 'asked' check (state in ('asked', 'paid', 'refused')),
  paid_minor bigint not null default 0 check (paid_minor >= 0),
  asked_at timestamptz not null,
  decided_at timestamptz,
  decided_by text,
  reason text,
  primary key (cell, id),
  unique (cell, order_id, line),
  check ((state = 'asked') = (decided_at is null)),
  check (link <> '' or picture_id is not null)
);
create index match_waiting on subsidy.match (cell, id) where state = 'asked';
create index match_person on subsidy.match (cell, person_id, id);
comment on column subsidy.match.person_id is 'pii: who asked for the price match';
comment on column subsidy.match.link is 'pii: the link a buyer sent as evidence; erased with them';
comment on column subsidy.match.picture_id is 'pii: the picture a buyer sent as evidence; it goes with them';

create view subsidy.v_goods as
  select g.programme_id, g.offer_id, g.target_minor, p.currency, p.starts_at, p.ends_at, p.state
    from subsidy.goods g join subsidy.programme p on p.id = g.programme_id;
