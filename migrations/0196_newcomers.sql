-- Newcomer offers: a first-order price for whoever never bought here, one to a person.
create schema newcomers;

create table newcomers.pool (
  cell smallint not null default 0,
  id uuid not null,
  name jsonb not null,
  budget_id uuid, -- the budget that pays for the difference; null: the seller's own price cut
  per_identity int not null default 1 check (per_identity between 1 and 20), -- never changed: it is a floor in the ledger
  per_home int not null default 3 check (per_home between 0 and 100), -- 0: homes are not counted
  cost_percent smallint check (cost_percent between 0 and 100), -- of the full price, as the operator states it; null: not known
  is_open boolean not null default true,
  starts_at timestamptz not null,
  ends_at timestamptz,
  made_at timestamptz not null,
  made_by text not null,
  primary key (cell, id),
  check (ends_at is null or ends_at > starts_at)
);

create table newcomers.offer (
  cell smallint not null default 0,
  id uuid not null,
  pool_id uuid not null,
  offer_id uuid not null, -- the marketplace's
  market text not null,
  currency text not null,
  price_minor bigint not null check (price_minor >= 0),
  free_delivery boolean not null,
  quantity bigint not null check (quantity >= 0), -- how many were put up; what is left stands in the ledger
  left_account bigint not null,
  place int not null default 0,
  is_open boolean not null default true,
  primary key (cell, id),
  unique (cell, pool_id, offer_id, market)
);

-- An order at a newcomer price.
create table newcomers.win (
  cell smallint not null default 0,
  order_id uuid not null,
  id uuid not null,
  pool_id uuid not null,
  newcomer_offer_id uuid not null,
  offer_id uuid not null,
  person_id uuid,
  state text not null default 'held' check (state in ('held', 'won', 'given_back', 'called_back')),
  currency text not null,
  price_minor bigint not null,
  subsidy_minor bigint not null check (subsidy_minor >= 0),
  held_at timestamptz not null,
  won_at timestamptz,
  ended_at timestamptz,
  primary key (cell, order_id)
);
create index win_pool on newcomers.win (cell, pool_id, state, won_at);
create index win_person on newcomers.win (cell, person_id) where person_id is not null;
comment on column newcomers.win.person_id is 'pii: who had a newcomer offer; until erasure';

-- Published by orders and payments for whoever may look at what an order gives away about who buys. Contact and
-- address are sealed.
create view orders.v_addressed as
  select cell, id as order_id, person_id, contact, ship_to, country, state, placed_at from orders."order";
create view payments.v_paid_with as
  select cell, order_id, provider, method from payments.payment;
