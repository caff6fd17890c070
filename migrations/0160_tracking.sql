-- Tracking: what happened in the shop, first-party, counted once, with the money as the ledger has it.
create schema tracking;

-- What an event is called and what it carries. A version is never changed; the next one only adds.
create table tracking.schema (
  name text not null,
  version smallint not null check (version > 0),
  title jsonb not null,
  purpose text not null check (purpose in ('necessary', 'analytics')), -- analytics takes consent
  origin text not null check (origin in ('any', 'server')), -- server: a client can't send it
  properties jsonb not null, -- [{name, type, required, pii, …}, …]
  created_at timestamptz not null,
  created_by text not null,
  primary key (name, version)
);

-- Events that were taken in and answered for, many a row: unpacked into tracking.event within seconds.
create table tracking.inbox (
  cell smallint not null default 0,
  id uuid not null,
  received_at timestamptz not null,
  source text not null check (source in ('server', 'api', 'web')),
  event_ids uuid[] not null,
  names text[] not null,
  versions smallint[] not null,
  occurred_ats timestamptz[] not null,
  visitor_ids text[] not null,
  person_ids uuid[] not null,
  session_ids text[] not null,
  bot_reasons text[] not null, -- "": a person
  purposes text[] not null,
  properties jsonb[] not null,
  contexts jsonb[] not null,
  primary key (cell, id)
);
-- Read once and deleted: packing it would cost more than it saves.
alter table tracking.inbox alter event_ids set storage external, alter names set storage external,
  alter versions set storage external, alter occurred_ats set storage external,
  alter visitor_ids set storage external, alter person_ids set storage external,
  alter session_ids set storage external, alter bot_reasons set storage external,
  alter purposes set storage external, alter properties set storage external,
  alter contexts set storage external;
comment on column tracking.inbox.visitor_ids is 'pii: count visits, with consent; seconds';
comment on column tracking.inbox.person_ids is 'pii: count visits, with consent; seconds';
comment on column tracking.inbox.session_ids is 'pii: count visits, with consent; seconds';

-- One partition a week of received_at, so that a week is whole when it is over.
create table tracking.event (
  cell smallint not null default 0,
  position bigint not null, -- in the order of transactions that are over: a reader misses none
  event_id uuid not null,
  received_at timestamptz not null,
  occurred_at timestamptz not null, -- by a clock that was put right
  name text not null,
  version smallint not null,
  visitor_id text not null,
  person_id uuid,
  session_id text not null,
  source text not null,
  is_bot boolean not null,
  bot_reason text not null,
  properties jsonb not null,
  context jsonb not null,
  primary key (cell, position, received_at)
) partition by range (received_at);
create index event_visitor on tracking.event (cell, visitor_id, occurred_at) where visitor_id <> '';
create index event_person on tracking.event (cell, person_id, occurred_at) where person_id is not null;
comment on column tracking.event.visitor_id is 'pii: count visits, with consent; until erasure, else 400 days';
comment on column tracking.event.person_id is 'pii: count visits, with consent; until erasure, else 400 days';
comment on column tracking.event.session_id is 'pii: count visits, with consent; until erasure, else 400 days';
comment on column tracking.event.properties is 'pii: only what a schema marks; until erasure, else 400 days';
comment on column tracking.event.context is 'pii: device, language and page, with consent; until erasure, else 400 days';

-- The partition of the week that ``at`` lies in; nothing when it is there.
create function tracking.open_week(at timestamptz) returns void language plpgsql as $$
declare
  monday timestamptz := date_trunc('week', at at time zone 'UTC') at time zone 'UTC';
  name text := 'event_' || to_char(monday at time zone 'UTC', 'YYYYMMDD');
begin
  if to_regclass('tracking.' || name) is not null then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtext('tracking.open_week'));
  if to_regclass('tracking.' || name) is not null then
    return;
  end if;
  execute format('create table tracking.%I (like tracking.event including defaults)', name);
  execute format('alter table tracking.event attach partition tracking.%I for values from (%L) to (%L)',
                 name, monday, monday + interval '7 days');
  -- Once per event, kept by the database too; across weeks the writer looks.
  execute format('create unique index %I on tracking.%I (cell, event_id)', name || '_once', name);
end $$;

-- Take a finished week away after it was exported.
create function tracking.drop_week(monday date) returns void language plpgsql as $$
begin
  execute format('drop table if exists tracking.%I', 'event_' || to_char(monday, 'YYYYMMDD'));
end $$;

-- The last position given out: whoever unpacks holds this row, so positions are committed in order.
create table tracking.feed (
  cell smallint primary key,
  position bigint not null
);

create table tracking.visitor (
  cell smallint not null default 0,
  visitor_id text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  events bigint not null,
  minute_at timestamptz not null,
  minute_events int not null,
  is_bot boolean not null default false,
  bot_reason text not null default '',
  primary key (cell, visitor_id)
) with (fillfactor = 80);
create index visitor_age on tracking.visitor (cell, last_seen_at);
comment on column tracking.visitor.visitor_id is 'pii: count visits, with consent; until erasure, else 400 days';

-- Who an anonymous visitor turned out to be, and for which time of theirs.
create table tracking.link (
  cell smallint not null default 0,
  visitor_id text not null,
  person_id uuid not null,
  linked_at timestamptz not null,
  from_at timestamptz not null,
  until_at timestamptz not null,
  undone_at timestamptz,
  undone_by text,
  primary key (cell, visitor_id, linked_at),
  check (from_at <= until_at)
);
create index link_person on tracking.link (cell, person_id);
comment on column tracking.link.visitor_id is 'pii: whose visits these were, with consent; until erasure';
comment on column tracking.link.person_id is 'pii: whose visits these were, with consent; until erasure';

-- What somebody said last about being counted: subject is visitor:… or person:….
create table tracking.consent (
  cell smallint not null default 0,
  subject text not null,
  withdrawn_at timestamptz, -- null: granted
  changed_at timestamptz not null,
  primary key (cell, subject)
);
comment on column tracking.consent.subject is 'pii: keep to what was said about counting; until erasure';

-- Sessions that touched what no person sees.
create table tracking.suspect (
  cell smallint not null default 0,
  session_id text not null,
  reason text not null,
  until_at timestamptz not null,
  primary key (cell, session_id)
);
comment on column tracking.suspect.session_id is 'pii: tell programs from people; 1 day';

create table tracking.quarantine (
  cell smallint not null default 0,
  id uuid not null,
  received_at timestamptz not null,
  source text not null,
  name text not null,
  reason text not null,
  detail text not null,
  raw text, -- null: it was too large, or could not be read
  visitor_id text not null default '',
  person_id uuid,
  bot_reason text not null default '',
  tried_at timestamptz, -- replayed and still refused
  primary key (cell, id)
);
create index quarantine_reason on tracking.quarantine (cell, reason, id);
create index quarantine_visitor on tracking.quarantine (cell, visitor_id) where visitor_id <> '';
create index quarantine_person on tracking.quarantine (cell, person_id) where person_id is not null;
comment on column tracking.quarantine.raw is 'pii: mend and replay, identifiers only with consent; 30 days';
comment on column tracking.quarantine.visitor_id is 'pii: erase what is here; 30 days';
comment on column tracking.quarantine.person_id is 'pii: erase what is here; 30 days';

create table tracking.volume (
  cell smallint not null default 0,
  minute_at timestamptz not null,
  name text not null,
  events bigint not null default 0,
  bots bigint not null default 0,
  withheld bigint not null default 0, -- no consent
  duplicates bigint not null default 0,
  quarantined bigint not null default 0,
  primary key (cell, minute_at, name)
);

-- What the ledger took as income and tax, movement by movement: the money in analytics.
create table tracking.revenue (
  cell smallint not null default 0,
  journal_id uuid not null,
  account text not null,
  kind text not null check (kind in ('sales', 'sellers', 'delivery', 'freight', 'withheld', 'tax')),
  document_id uuid not null,
  person_id uuid,
  event_id uuid not null,
  amount_minor bigint not null, -- negative: given back
  currency text not null,
  posted_at timestamptz not null,
  primary key (cell, journal_id, account)
);
create index revenue_time on tracking.revenue (cell, posted_at);
create index revenue_document on tracking.revenue (cell, document_id);
create index revenue_person on tracking.revenue (cell, person_id) where person_id is not null;
comment on column tracking.revenue.person_id is 'pii: what a customer is worth; until erasure';

create table tracking.export (
  cell smallint not null default 0,
  week date not null, -- its Monday
  file text not null,
  events bigint not null,
  sha256 text not null,
  exported_at timestamptz not null,
  primary key (cell, week)
);

-- Published: every event once, with the person an anonymous visitor turned out to be. Filter by
-- received_at too where you can: it names the weeks that are read.
create view tracking.v_event as
  select e.cell, e.position, e.occurred_at, e.received_at, e.event_id, e.name, e.version, e.visitor_id,
         coalesce(e.person_id, l.person_id) as person_id, e.session_id, e.source, e.properties, e.context,
         e.is_bot, e.bot_reason
    from tracking.event e
    left join tracking.link l
      on l.cell = e.cell and l.visitor_id = e.visitor_id and l.undone_at is null
     and e.occurred_at >= l.from_at and e.occurred_at < l.until_at;

-- Published: visitors, and who each was last.
create view tracking.v_visitor as
  select v.cell, v.visitor_id, v.first_seen_at, v.last_seen_at, v.events, v.is_bot, v.bot_reason,
         (select l.person_id from tracking.link l
           where l.cell = v.cell and l.visitor_id = v.visitor_id and l.undone_at is null
           order by l.linked_at desc limit 1) as person_id
    from tracking.visitor v;

-- Published: which visitor was which person, and when.
create view tracking.v_link as
  select cell, visitor_id, person_id, linked_at, from_at, until_at from tracking.link where undone_at is null;

-- Published: income and tax as the ledger has them. Revenue of the shop: kinds sales, delivery, freight, withheld.
create view tracking.v_revenue as
  select cell, journal_id, account, kind, document_id as order_id, person_id, event_id, amount_minor, currency,
         posted_at
    from tracking.revenue;

-- Published: how many events of a name a minute.
create view tracking.v_volume as
  select cell, minute_at, name, events, bots, withheld, duplicates, quarantined from tracking.volume;

-- Published: what events there are and what they carry.
create view tracking.v_schema as
  select name, version, title, purpose, origin, properties, created_at from tracking.schema;
