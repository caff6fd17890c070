-- The ledger: everything scarce is an account, everything that happens to it is a transfer.
create schema ledger;

create table ledger.unit (
  id bigint primary key, -- made from the code, so that nobody looks it up
  code text not null unique,
  kind text not null check (kind in ('money', 'stock', 'points', 'use')),
  exponent smallint not null default 0 check (exponent between 0 and 9)
);

create table ledger.account (
  cell smallint not null default 0,
  id bigint not null, -- made from the code
  code text not null,
  unit bigint not null references ledger.unit (id),
  side smallint not null check (side in (1, -1)), -- 1: a debit adds to it; -1: a credit adds to it
  floor bigint, -- null: no floor, and no balance row that writers would queue for
  opened_at timestamptz not null,
  primary key (cell, id),
  unique (cell, code)
);
create index account_code_prefix on ledger.account (cell, code text_pattern_ops);

-- Accounts with a floor keep a balance, in their own side's sign: the row that is locked.
create table ledger.balance (
  cell smallint not null default 0,
  account_id bigint not null,
  floor bigint not null,
  posted bigint not null default 0,
  held bigint not null default 0 check (held >= 0),
  primary key (cell, account_id),
  constraint floor_is_kept check (posted - held >= floor)
) with (fillfactor = 40);

create table ledger.journal (
  cell smallint not null default 0,
  id uuid not null,
  document_kind text not null,
  document_id uuid not null,
  key text not null, -- once per document
  reason text not null,
  posted_at timestamptz not null,
  recorded_at timestamptz not null,
  actor text not null,
  reverses uuid,
  primary key (cell, id),
  unique (cell, document_id, key)
);

create table ledger.transfer (
  cell smallint not null default 0,
  journal_id uuid not null,
  line smallint not null,
  debit_id bigint not null,
  credit_id bigint not null,
  unit bigint not null,
  amount bigint not null check (amount > 0),
  posted_at timestamptz not null,
  primary key (cell, journal_id, line),
  check (debit_id <> credit_id)
);
create index transfer_debit on ledger.transfer (cell, debit_id, posted_at);
create index transfer_credit on ledger.transfer (cell, credit_id, posted_at);

create table ledger.hold (
  cell smallint not null default 0,
  id uuid not null,
  document_kind text not null,
  document_id uuid not null,
  key text not null,
  debit_id bigint not null,
  credit_id bigint not null,
  unit bigint not null,
  amount bigint not null check (amount > 0),
  remaining bigint not null check (remaining between 0 and amount),
  state text not null default 'open' check (state in ('open', 'committed', 'released', 'expired')),
  expires_at timestamptz,
  created_at timestamptz not null,
  closed_at timestamptz,
  primary key (cell, id),
  unique (cell, document_id, key),
  check ((state = 'open') = (closed_at is null)),
  check (state = 'open' or remaining = 0),
  check (debit_id <> credit_id)
);
create index hold_deadline on ledger.hold (expires_at) where state = 'open' and expires_at is not null;

create table ledger.period (
  cell smallint not null default 0,
  closed_until timestamptz not null,
  closed_at timestamptz not null,
  actor text not null,
  primary key (cell, closed_until)
);

-- Balances at the end of a closed period, in the account's own sign: nothing before it can change any more.
create table ledger.snapshot (
  cell smallint not null default 0,
  account_id bigint not null,
  at timestamptz not null,
  posted bigint not null,
  primary key (cell, account_id, at)
);

-- Enforced here too, once a statement and not once a row: both accounts exist in the transfer's unit,
-- its journal exists, and its period is open.
create function ledger.check_transfers() returns trigger language plpgsql as $$
begin
  if exists (
    select from fresh f
      left join ledger.account d on d.cell = f.cell and d.id = f.debit_id
      left join ledger.account c on c.cell = f.cell and c.id = f.credit_id
     where d.unit is distinct from f.unit or c.unit is distinct from f.unit
  ) then
    raise exception 'a transfer names an account that does not exist or is of another unit';
  end if;
  if exists (
    select from ledger.period p
     where p.cell = (select min(f.cell) from fresh f)
       and p.closed_until >= (select min(f.posted_at) from fresh f)
  ) then
    raise exception 'a transfer falls into a closed period';
  end if;
  return null;
end $$;
create trigger transfer_is_sound after insert on ledger.transfer
  referencing new table as fresh for each statement execute function ledger.check_transfers();

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is append-only: post a reversal instead';
end $$;
create trigger transfer_stays before update or delete or truncate on ledger.transfer
  for each statement execute function ledger.refuse_change();
create trigger journal_stays before update or delete or truncate on ledger.journal
  for each statement execute function ledger.refuse_change();
create trigger account_stays before delete or truncate on ledger.account
  for each statement execute function ledger.refuse_change();

-- Published: what an account with a floor holds now.
create view ledger.v_balance as
  select cell, account_id, floor, posted, held, posted - held as available from ledger.balance;

-- Published: the trail of every document.
create view ledger.v_posting as
  select j.cell, j.id as journal_id, j.document_kind, j.document_id, j.key, j.reason, j.posted_at,
         d.code as debit, c.code as credit, u.code as unit, t.amount
    from ledger.journal j
    join ledger.transfer t on t.cell = j.cell and t.journal_id = j.id
    join ledger.account d on d.cell = t.cell and d.id = t.debit_id
    join ledger.account c on c.cell = t.cell and c.id = t.credit_id
    join ledger.unit u on u.id = t.unit;

-- Published: what is reserved for a document.
create view ledger.v_hold as
  select cell, id as hold_id, document_kind, document_id, key, amount, remaining, state, expires_at, closed_at
    from ledger.hold;
