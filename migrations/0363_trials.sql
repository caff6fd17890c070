-- Try before you buy: the money is authorised, and taken for what is kept when the days are over.
create table orders.captured_later (
  cell smallint not null default 0,
  order_id uuid not null,
  primary key (order_id, cell)
);

create table returns.trial_rule (
  market text not null,
  category_id uuid not null default '00000000-0000-0000-0000-000000000000', -- none: every category
  days int not null check (days between 1 and 60),
  most_minor bigint not null check (most_minor >= 0), -- an order's value
  is_open boolean not null default true,
  primary key (market, category_id)
);

create table returns.trial (
  cell smallint not null default 0,
  order_id uuid not null,
  person_id uuid not null,
  days int not null,
  currency text not null,
  lent_minor bigint not null default 0 check (lent_minor >= 0), -- sent, neither paid nor back
  covered_minor bigint not null default 0 check (covered_minor between 0 and lent_minor), -- came back
  kept_minor bigint not null default 0 check (kept_minor >= 0), -- asked of the provider at the end
  state text not null check (state in ('placed', 'trying', 'charged', 'failed', 'ended')),
  placed_at timestamptz not null,
  authorised_until timestamptz not null,
  until_at timestamptz, -- the last moment to send something back
  ended_at timestamptz,
  primary key (order_id, cell),
  check ((state = 'trying') <= (until_at is not null))
) with (fillfactor = 85);
create index trial_due on returns.trial (until_at, cell) where state = 'trying';
create index trial_person on returns.trial (person_id, cell);
comment on column returns.trial.person_id is 'pii: who tries before paying; as long as the order';
