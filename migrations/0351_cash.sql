-- Cash at a counter: what waits for it, the tills, their receipts and counts. How much is in a till stands in the ledger alone.

create table payments.till (
  cell smallint not null default 0,
  id uuid not null,
  name text not null,
  currency text not null,
  hours int not null check (hours between 1 and 720), -- how long an order waits for cash
  is_open boolean not null,
  last_receipt bigint not null default 0,
  opened_at timestamptz not null,
  primary key (id, cell)
);
create unique index till_name on payments.till (name, cell);

create table payments.cash_due (
  cell smallint not null default 0,
  payment_id uuid not null,
  order_id uuid not null,
  code text not null check (code ~ '^[0-9]{12}$'), -- names the order at the counter; worth nothing by itself
  due_at timestamptz not null,
  ended_at timestamptz, -- paid, past its deadline, or called off
  primary key (payment_id, cell)
);
create unique index cash_due_code on payments.cash_due (code, cell);
create index cash_due_order on payments.cash_due (order_id, cell);
create index cash_due_waiting on payments.cash_due (due_at, cell) where ended_at is null;

create table payments.till_receipt (
  cell smallint not null default 0,
  till_id uuid not null,
  number bigint not null check (number > 0),
  key uuid not null, -- of the form that was sent: twice is once
  kind text not null check (kind in ('taken', 'paid_out')),
  payment_id uuid not null,
  order_id uuid not null,
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null,
  made_at timestamptz not null,
  made_by text not null,
  primary key (till_id, number, cell)
);
create unique index till_receipt_key on payments.till_receipt (key, cell);
create unique index till_receipt_taken on payments.till_receipt (payment_id, cell) where kind = 'taken';
create index till_receipt_payment on payments.till_receipt (payment_id, cell);

create table payments.till_count (
  cell smallint not null default 0,
  id uuid not null,
  till_id uuid not null,
  expected_minor bigint not null,
  counted_minor bigint not null check (counted_minor >= 0),
  banked_minor bigint not null check (banked_minor between 0 and counted_minor),
  reason text not null, -- why the count differs
  made_at timestamptz not null,
  made_by text not null,
  primary key (id, cell),
  check (counted_minor = expected_minor or reason <> '')
);
create index till_count_till on payments.till_count (till_id, made_at, id, cell);

-- Published: orders that wait for cash, and until when.
create view payments.v_cash_due as
  select cell, order_id, payment_id, due_at, ended_at from payments.cash_due;
