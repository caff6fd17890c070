-- The kernel: facts, what follows from them, and the keys that make a repeat harmless.
create schema if not exists kernel;

create table kernel.event (
  cell smallint not null default 0,
  id uuid not null,
  -- Read in the order of transactions that are over: (xid, id) never shows a later reader an earlier row.
  xid xid8 not null default pg_current_xact_id(),
  kind text not null,
  subject_id uuid,
  at timestamptz not null,
  actor text not null,
  request_id text not null,
  data jsonb not null,
  primary key (cell, id)
);
create index event_feed on kernel.event (cell, xid, id);
create index event_subject on kernel.event (cell, subject_id, id) where subject_id is not null;

create table kernel.job (
  cell smallint not null default 0,
  id uuid not null,
  name text not null,
  key text,
  payload jsonb not null,
  run_at timestamptz not null,
  attempts int not null default 0,
  leased_until timestamptz,
  leased_by text,
  parked_at timestamptz, -- gave up: waits for a person
  error text,
  created_at timestamptz not null,
  primary key (cell, id)
);
create index job_due on kernel.job (cell, run_at, id) where parked_at is null;
create unique index job_key on kernel.job (cell, name, key) where key is not null;

create table kernel.tick (
  name text primary key,
  next_at timestamptz not null,
  last_error text,
  last_run_at timestamptz
);

create table kernel.idempotency (
  cell smallint not null default 0,
  scope text not null, -- who sent it: keys of two callers never meet
  key text not null,
  input_hash bytea not null,
  answer jsonb,
  created_at timestamptz not null,
  primary key (cell, scope, key)
);
create index idempotency_age on kernel.idempotency (created_at);

create table kernel.setting (
  name text primary key,
  value jsonb not null,
  changed_at timestamptz not null,
  changed_by text not null
);

create table kernel.rate (
  cell smallint not null default 0,
  key text not null,
  tokens double precision not null,
  at timestamptz not null,
  primary key (cell, key)
);
