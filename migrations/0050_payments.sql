-- Payments: what was asked of a provider, what it said, and what its settlement file says.
create schema payments;

create table payments.payment (
  cell smallint not null default 0,
  id uuid not null, -- also the key that makes a repeat harmless at the provider
  order_id uuid not null,
  person_id uuid,
  provider text not null,
  method text not null, -- the provider's token, never a card number
  currency text not null,
  amount_minor bigint not null check (amount_minor > 0),
  captures_at_once boolean not null,
  tender_order smallint not null,
  return_url text not null,
  state text not null check (state in
    ('processing', 'unknown', 'needs_action', 'failed', 'authorised', 'voided', 'captured')),
  authorised_minor bigint not null default 0 check (authorised_minor >= captured_minor),
  captured_minor bigint not null default 0 check (captured_minor >= refunded_minor),
  refunded_minor bigint not null default 0 check (refunded_minor >= 0),
  kept_minor bigint not null default 0 check (kept_minor >= 0), -- refunded there, its capture not yet known here
  disputed_minor bigint not null default 0 check (disputed_minor >= won_minor),
  won_minor bigint not null default 0 check (won_minor >= 0),
  is_voided boolean not null default false, -- what was not captured was given back
  is_secured boolean not null default false, -- PaymentSecured was told
  is_unwanted boolean not null default false, -- what comes in is given back
  reason text not null default '',
  action_url text not null default '',
  provider_ref text not null default '',
  hold_id uuid, -- store credit: the ledger's hold
  look_at timestamptz not null, -- when the sweeper asks the provider
  looks smallint not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (cell, id)
) with (fillfactor = 80);
create index payment_order on payments.payment (cell, order_id);
create index payment_open on payments.payment (cell, look_at)
  where state in ('processing', 'unknown', 'needs_action');
create index payment_ref on payments.payment (cell, provider, provider_ref) where provider_ref <> '';

create table payments.instruction (
  cell smallint not null default 0,
  id uuid not null, -- also the provider's idempotency key
  payment_id uuid not null,
  order_id uuid not null,
  kind text not null check (kind in ('capture', 'void', 'refund')),
  amount_minor bigint not null check (amount_minor >= 0),
  currency text not null,
  state text not null check (state in ('asked', 'done', 'failed')),
  reason text not null,
  error text not null default '',
  provider_ref text not null default '',
  is_foreign boolean not null default false, -- given at the provider, not here
  is_posted boolean not null default false, -- a refund: it is in the ledger
  created_at timestamptz not null,
  ended_at timestamptz,
  retries uuid, -- the failed refund that is asked for again
  primary key (cell, id),
  check ((state = 'asked') = (ended_at is null)),
  check (state = 'done' or not is_posted)
);
create index instruction_payment on payments.instruction (cell, payment_id);
create index instruction_open on payments.instruction (cell, created_at) where state = 'asked';
create index instruction_ended on payments.instruction (cell, ended_at);

create table payments.dispute (
  cell smallint not null default 0,
  id uuid not null, -- made from the payment and the provider's reference
  payment_id uuid not null,
  order_id uuid not null,
  provider_ref text not null,
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null,
  state text not null check (state in ('open', 'won', 'lost')),
  opened_at timestamptz not null,
  closed_at timestamptz,
  primary key (cell, id)
);
create index dispute_payment on payments.dispute (cell, payment_id);

-- Webhooks that were taken in: the second copy of one changes nothing.
create table payments.notice (
  cell smallint not null default 0,
  provider text not null,
  id text not null,
  kind text not null,
  payment_id uuid, -- null: it is about nothing that is known here
  received_at timestamptz not null,
  primary key (cell, provider, id)
);

-- Personal data: belongs to a person, goes with their account.
create table payments.method (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  provider text not null,
  token text not null,
  brand text not null,
  last4 text not null check (last4 ~ '^([0-9]{4})?$'),
  expires_on date,
  is_default boolean not null,
  created_at timestamptz not null,
  primary key (cell, id),
  unique (cell, person_id, provider, token)
);
create unique index method_default on payments.method (cell, person_id) where is_default;

create table payments.settlement_row (
  cell smallint not null default 0,
  provider text not null,
  ref text not null, -- the provider's id of the row
  settled_on date not null,
  kind text not null check (kind in ('capture', 'refund', 'dispute', 'dispute_won', 'fee', 'payout')),
  payment_id uuid,
  amount_minor bigint not null, -- always counted in the direction of its kind
  fee_minor bigint not null,
  currency text not null,
  at timestamptz not null,
  primary key (cell, provider, ref)
);
create index settlement_row_payment on payments.settlement_row (cell, payment_id) where payment_id is not null;
create index settlement_row_day on payments.settlement_row (cell, provider, settled_on);

create table payments.reconciliation (
  cell smallint not null default 0,
  provider text not null,
  settled_on date not null,
  id uuid not null, -- the document of its fees and payouts in the ledger
  matched int not null,
  ran_at timestamptz not null,
  primary key (cell, provider, settled_on)
);

create table payments.difference (
  cell smallint not null default 0,
  provider text not null,
  settled_on date not null,
  kind text not null check (kind in ('missing_here', 'missing_there', 'amount_differs', 'row_changed')),
  subject text not null, -- the payment's id, or the row's reference
  what text not null, -- capture, refund, dispute, dispute_won, row
  here_minor bigint not null,
  there_minor bigint not null,
  currency text not null,
  primary key (cell, provider, settled_on, subject, what)
);

-- The sandbox plays the outside world: a provider with a memory of its own.
create schema sandbox;

create table sandbox.setting (
  is_only boolean primary key default true check (is_only),
  secret text not null, -- signs its webhooks
  tells_all boolean not null default false, -- a webhook also for what the direct answer said
  is_down boolean not null default false, -- no connection
  loses_answers double precision not null default 0,
  drops double precision not null default 0,
  delays double precision not null default 0,
  delay_seconds double precision not null default 60,
  duplicates double precision not null default 0,
  reorders double precision not null default 0,
  tampers double precision not null default 0,
  seed bigint not null default 1
);
insert into sandbox.setting (secret)
values ('whsec_' || encode(sha256((gen_random_uuid()::text || gen_random_uuid()::text)::bytea), 'base64'));

create table sandbox.charge (
  key uuid primary key,
  token text not null,
  amount_minor bigint not null,
  currency text not null,
  captures_at_once boolean not null,
  return_url text not null,
  state text not null check (state in
    ('pending', 'needs_action', 'authorised', 'captured', 'declined', 'canceled')),
  authorised_minor bigint not null,
  captured_minor bigint not null,
  refunded_minor bigint not null default 0,
  reason text not null,
  due_at timestamptz, -- pending: when it is decided
  captured_at timestamptz, -- captured at once
  created_at timestamptz not null
);
create index charge_due on sandbox.charge (due_at) where due_at is not null;
create index charge_captured on sandbox.charge (captured_at);

create table sandbox.operation (
  key uuid primary key,
  charge_key uuid not null,
  kind text not null check (kind in ('capture', 'refund', 'dispute', 'dispute_won', 'dispute_lost')),
  amount_minor bigint not null,
  state text not null check (state in ('done', 'failed')),
  reason text not null,
  at timestamptz not null
);
create index operation_charge on sandbox.operation (charge_key);
create index operation_at on sandbox.operation (at);

create table sandbox.notice (
  id uuid primary key,
  charge_key uuid not null,
  kind text not null,
  authorised_minor bigint not null,
  captured_minor bigint not null,
  operation_key uuid,
  amount_minor bigint not null,
  currency text not null,
  reason text not null,
  due_at timestamptz not null,
  attempts smallint not null default 0,
  ended_at timestamptz -- delivered, dropped, or given up
);
create index notice_due on sandbox.notice (due_at) where ended_at is null;

-- Published: captures, voids and refunds, and how far they are.
create view payments.v_instruction as
  select cell, id as instruction_id, payment_id, order_id, kind, amount_minor, currency, state, created_at,
         ended_at
    from payments.instruction;
