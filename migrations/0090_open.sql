-- The open platform: facts told to programs outside, signed, at least once.
create schema open;

create table open.endpoint (
  id uuid primary key,
  url text not null,
  label text not null default '',
  kinds text[] not null default '{}', -- empty: every public kind
  enabled boolean not null default true,
  secret text not null, -- sealed
  previous_secret text, -- sealed; signs beside the new one until then
  previous_until timestamptz,
  since_xid xid8 not null, -- facts from here on are its business
  failing_since timestamptz, -- no success since
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz not null,
  check (enabled = (disabled_at is null)),
  check ((previous_secret is null) = (previous_until is null))
);

-- How far the facts have been handed out, in their order.
create table open.follower (
  cell smallint primary key,
  xid xid8 not null,
  id uuid not null
);

create table open.delivery (
  cell smallint not null default 0,
  endpoint_id uuid not null references open.endpoint (id) on delete cascade,
  event_id uuid not null, -- the webhook-id: the same however often it is sent
  kind text not null,
  state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
  attempts int not null default 0,
  next_at timestamptz not null,
  leased_until timestamptz,
  status int, -- of the last answer
  note text, -- the beginning of the last answer, or why there was none
  took_ms int,
  created_at timestamptz not null,
  ended_at timestamptz,
  primary key (cell, endpoint_id, event_id),
  check ((state = 'waiting') = (ended_at is null))
) with (fillfactor = 80);
create index delivery_due on open.delivery (cell, endpoint_id, next_at) where state = 'waiting';
create index delivery_age on open.delivery (cell, ended_at) where ended_at is not null;

-- Published: facts of transactions that are over; in the order of (xid, id) a reader misses none.
create view open.v_event as
  select cell, xid, id, kind, subject_id, at, data from kernel.event
   where xid < pg_snapshot_xmin(pg_current_snapshot());
