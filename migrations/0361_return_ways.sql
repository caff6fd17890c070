-- The way back: by the buyer's own post, by a label, handed in at a point by its code, or picked up.
create table returns.way_offer (
  market text not null,
  kind text not null check (kind in ('own', 'label', 'dropoff', 'pickup')),
  extra_minor bigint not null default 0 check (extra_minor >= 0), -- on top of the policy's part of the buyer
  is_open boolean not null default true,
  primary key (market, kind)
);

create table returns.point (
  code text primary key check (code ~ '^[A-Z0-9-]{2,20}$'),
  name jsonb not null,
  address text not null,
  country text not null,
  is_open boolean not null default true
);

create table returns.pickup_window (
  market text not null,
  from_hour smallint not null check (from_hour between 0 and 23),
  until_hour smallint not null check (until_hour between 1 and 24),
  most int not null check (most >= 0), -- parcels a day
  primary key (market, from_hour),
  check (until_hour > from_hour)
);

create table returns.way (
  cell smallint not null default 0,
  return_id uuid not null,
  kind text not null check (kind in ('own', 'label', 'dropoff', 'pickup')),
  freight_minor bigint not null check (freight_minor >= 0), -- as it was shown
  state text not null check (state in ('asked', 'ready', 'handed')),
  carrier text not null default '',
  tracking text not null default '',
  slot_on date,
  slot_from smallint,
  slot_until smallint,
  handed_at timestamptz,
  handed_where text not null default '',
  asked_at timestamptz not null,
  primary key (return_id, cell),
  check (state <> 'handed' or handed_at is not null),
  check ((kind = 'pickup') = (slot_on is not null))
);
create unique index way_tracking on returns.way (tracking, cell) where tracking <> '';
