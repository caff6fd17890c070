-- Price guards, rules and competitors' prices: how low a price may go, and who moved it why.

-- What an offer costs and the lowest price it may have, from an instant on; history is the table. A floor is in
-- the terms of the price: with tax where the market's prices have it. The cost is without tax.
create table pricing.guard (
  offer_id uuid not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  starts_at timestamptz not null,
  variant_id uuid not null,
  cost_minor bigint check (cost_minor >= 0),
  margin_basis_points int check (margin_basis_points between -10000 and 100000), -- on the cost: makes the floor
  floor_minor bigint check (floor_minor >= 0), -- null: no floor, the cost is only watched
  loss_budget_id uuid, -- what pays for the gap below the floor; null: nothing does
  reason text not null check (reason <> ''),
  set_by text not null,
  recorded_at timestamptz not null,
  primary key (offer_id, currency, starts_at)
);

-- A rule as it stands, and every version it ever had.
create table pricing.rule (
  id uuid primary key,
  name text not null check (name <> ''),
  state text not null default 'draft' check (state in ('draft', 'active', 'stopped')),
  version int not null default 1,
  priority int not null default 0,
  terms jsonb not null, -- see rules.Terms
  starts_at timestamptz,
  ends_at timestamptz,
  changed_at timestamptz not null,
  changed_by text not null,
  check (ends_at > starts_at)
);
create index rule_active on pricing.rule (id) where state = 'active';

create table pricing.rule_version (
  rule_id uuid not null references pricing.rule (id),
  version int not null,
  name text not null,
  state text not null,
  priority int not null,
  terms jsonb not null,
  starts_at timestamptz,
  ends_at timestamptz,
  changed_at timestamptz not null,
  changed_by text not null,
  reason text not null check (reason <> ''),
  primary key (rule_id, version)
);

-- What others ask for the same thing, as it was seen: where, when, by whom.
create table pricing.competitor_price (
  offer_id uuid not null,
  competitor text not null check (competitor <> ''),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  seen_at timestamptz not null,
  price_minor bigint not null check (price_minor > 0), -- with delivery
  url text not null default '',
  source text not null check (source in ('api', 'csv', 'manual')),
  imported_by text not null,
  imported_at timestamptz not null,
  primary key (offer_id, currency, competitor, seen_at)
);

-- How prices follow competitors: within the floor, and by so much at once.
create table pricing.repricing (
  id uuid primary key,
  name text not null check (name <> ''),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  offers uuid[] not null default '{}', -- none: every offer with a competitor's price
  kind text not null check (kind in ('match', 'undercut')),
  by_minor bigint not null default 0 check (by_minor >= 0), -- undercut by so much
  max_age_hours int not null check (max_age_hours between 1 and 8760),
  publish_within_basis_points int not null default 0 check (publish_within_basis_points between 0 and 10000),
  most_change_basis_points int not null default 3000 check (most_change_basis_points between 1 and 10000),
  is_active boolean not null default false,
  changed_at timestamptz not null,
  changed_by text not null
);

create table pricing.proposal (
  id uuid primary key,
  repricing_id uuid not null references pricing.repricing (id),
  offer_id uuid not null,
  currency text not null,
  old_minor bigint not null,
  new_minor bigint not null,
  competitor text not null,
  competitor_minor bigint not null,
  seen_at timestamptz not null,
  held_by text not null default '', -- what kept it from going further: 'floor', 'step'
  state text not null default 'asked' check (state in ('asked', 'published', 'refused', 'overtaken')),
  asked_at timestamptz not null,
  decided_at timestamptz,
  decided_by text,
  decision_reason text,
  check ((state = 'asked') = (decided_at is null))
);
create unique index proposal_open on pricing.proposal (offer_id, currency) where state = 'asked';
create index proposal_recent on pricing.proposal (offer_id, currency, asked_at);

create view pricing.v_guard as
  select offer_id, currency, starts_at, variant_id, cost_minor, floor_minor, loss_budget_id from pricing.guard;

-- What a loss budget pays below a floor is no discount to anybody: it stands apart.
create or replace view orders.v_discount as
  select d.cell, d.order_id, d.offer_id, d.source, d.source_id, d.budget_id, d.amount_minor, o.person_id,
         o.currency, o.state, o.placed_at
    from orders.discount d join orders."order" o on o.cell = d.cell and o.id = d.order_id
   where d.source <> 'below_floor';
create view orders.v_below_floor as
  select d.cell, d.order_id, d.offer_id, d.budget_id, d.amount_minor, o.currency, o.state, o.placed_at
    from orders.discount d join orders."order" o on o.cell = d.cell and o.id = d.order_id
   where d.source = 'below_floor';
