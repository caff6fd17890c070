-- Replay: real shops' histories, played through the same verbs as today's orders.
create schema replay;

-- How far a file has been played. `position` moves in the transaction of the effects.
create table replay.run (
  cell smallint not null default 0,
  id uuid not null, -- made from the source and the file's content
  source text not null,
  label text not null,
  currency text not null,
  minutes int not null, -- orders of one such stretch of the clock are played together
  most int not null, -- so many at once
  position int not null default 0, -- batches
  is_done boolean not null default false,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (cell, id)
);

-- What the file says was booked under each document: the audit compares it with the ledger.
create table replay.entry (
  cell smallint not null default 0,
  run_id uuid not null,
  document_id uuid not null,
  key text not null,
  kind text not null,
  reference text not null, -- the invoice or order in the file
  lines int not null,
  units bigint not null,
  revenue_minor bigint not null,
  primary key (cell, run_id, document_id, key)
);

-- Every line that could not be an order, with the reason.
create table replay.line (
  cell smallint not null default 0,
  run_id uuid not null,
  number int not null, -- in the file, from 1
  reference text not null,
  code text not null,
  description text not null,
  quantity bigint not null,
  amount numeric not null, -- exact, in the currency's major unit
  reason text not null,
  booked text not null, -- adjustment, return, count, or nothing
  primary key (cell, run_id, number, reason)
);

-- The delivery of an order that happened long ago: as the file says, without a charge of its own.
insert into orders.delivery_option (market, code, name, price_minor, min_days, max_days) values
  ('REPLAY-GB', 'invoiced', '{"en": "As invoiced", "zh-CN": "按原始单据"}', 0, 0, 0),
  ('REPLAY-BR', 'invoiced', '{"en": "As invoiced", "zh-CN": "按原始单据"}', 0, 0, 0);
