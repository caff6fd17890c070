-- Item search: what buyers ask, words that mean the same, what sells. The index itself is a directory of files.
create schema search;

-- Counts per day and text, never who asked: enough to see demand that finds nothing.
create table search.query_day (
  cell smallint not null default 0,
  on_day date not null,
  language text not null,
  channel text not null,
  region text not null,
  text text not null, -- folded: lower case, single spaces, at most 200 characters
  asked bigint not null,
  found_nothing bigint not null, -- of those, how often no product matched as typed
  last_found bigint not null, -- products that matched the last time
  last_meant text not null default '', -- the correction that was offered
  last_at timestamptz not null,
  primary key (cell, on_day, language, channel, region, text)
);
create index query_day_nothing on search.query_day (cell, on_day) where found_nothing > 0;

create table search.synonym (
  id uuid primary key,
  phrases text[] not null check (cardinality(phrases) between 2 and 20),
  changed_at timestamptz not null,
  changed_by text not null
);

-- Units ordered, kept here so that ranking needn't read all orders.
create table search.popularity (
  product_id uuid primary key,
  sold_units bigint not null check (sold_units >= 0),
  changed_at timestamptz not null,
  announced boolean not null default false -- has the index been told?
);
create index popularity_unannounced on search.popularity (product_id) where not announced;

-- Facts in the order in which their transactions are over: nobody reads past a row that may still appear.
create view search.v_feed as
  select cell, xid, id, kind, subject_id, at, actor, data from kernel.event
   where xid < pg_snapshot_xmin(pg_current_snapshot());
