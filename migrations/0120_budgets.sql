-- Budgets: what may be spent on discounts, rewards and marketing. The amounts are ledger accounts; here is whose they are.
create schema budgets;

create table budgets.budget (
  cell smallint not null default 0,
  id uuid not null,
  parent_id uuid, -- funded out of that budget; null: out of an authorisation
  name text not null check (name <> ''),
  purpose text not null check (purpose in ('general', 'subsidy', 'reward', 'coupon', 'marketing', 'loss')),
  currency text not null,
  funder text not null check (funder in ('platform', 'seller', 'brand')),
  funder_id uuid, -- the seller or the brand; null: the platform
  owner_id uuid, -- who answers for it
  policy text not null check (policy in ('hard_stop', 'soft_alarm')), -- soft: draws from its parent when it runs low
  alarm_percent smallint not null default 20 check (alarm_percent between 0 and 100), -- told when so little is left
  draw_minor bigint not null default 0 check (draw_minor >= 0), -- soft_alarm: how much is drawn at a time
  approval_above_minor bigint check (approval_above_minor >= 0), -- more than this takes a second person; null: never
  starts_at timestamptz not null,
  ends_at timestamptz, -- after it nothing is reserved, and what is left goes back
  state text not null default 'open' check (state in ('open', 'closed')),
  left_account bigint not null,
  spent_account bigint not null,
  alarmed_at timestamptz,
  opened_at timestamptz not null,
  opened_by text not null,
  closed_at timestamptz,
  primary key (cell, id),
  check (ends_at is null or ends_at > starts_at),
  check ((state = 'closed') = (closed_at is not null)),
  check ((funder = 'platform') = (funder_id is null))
);
create index budget_parent on budgets.budget (cell, parent_id, id);
create index budget_deadline on budgets.budget (ends_at) where state = 'open' and ends_at is not null;
comment on column budgets.budget.owner_id is 'pii: who answers for the budget';

-- Money that was given to a budget or taken back from it: who asked, who agreed, why.
create table budgets.funding (
  cell smallint not null default 0,
  id uuid not null,
  budget_id uuid not null,
  amount_minor bigint not null check (amount_minor <> 0), -- below zero: back to where it came from
  reason text not null check (reason <> ''),
  state text not null check (state in ('asked', 'done', 'refused')),
  asked_by text not null,
  asked_at timestamptz not null,
  decided_by text,
  decided_at timestamptz,
  decision_reason text,
  needs_second boolean not null,
  primary key (cell, id),
  foreign key (cell, budget_id) references budgets.budget (cell, id),
  check ((state = 'asked') = (decided_at is null)),
  constraint four_eyes check (not needs_second or decided_by is null or decided_by <> asked_by)
);
create index funding_budget on budgets.funding (cell, budget_id, id);
create index funding_waiting on budgets.funding (cell, id) where state = 'asked';

-- Published: each budget with what is left, reserved and spent, in minor units.
create view budgets.v_budget as
  select b.cell, b.id as budget_id, b.parent_id, b.name, b.purpose, b.currency, b.funder, b.funder_id, b.state,
         b.starts_at, b.ends_at, coalesce(l.available, 0) as available_minor, coalesce(l.held, 0) as reserved_minor,
         coalesce(s.posted, 0) as spent_minor
    from budgets.budget b
    left join ledger.v_balance l on l.cell = b.cell and l.account_id = b.left_account
    left join ledger.v_balance s on s.cell = b.cell and s.account_id = b.spent_account;
