-- Who somebody is. Personal data that need not be searched is sealed by the application; an e-mail address
-- is found by a keyed hash. Every column with personal data says what for and for how long: 'pii: <purpose>; <retention>'.
create schema identity;

create table identity.person (
  cell smallint not null default 0,
  id uuid not null,
  kind text not null check (kind in ('guest', 'buyer', 'operator', 'clerk')),
  email_hash bytea,
  email text,
  name text,
  language text,
  password_hash text,
  scopes text[] not null default '{}',
  email_proven_at timestamptz,
  is_kept boolean not null default false, -- has orders or the like: never forgotten by the clock
  merged_into uuid,
  created_at timestamptz not null,
  erased_at timestamptz,
  primary key (cell, id)
);
create unique index person_email on identity.person (cell, email_hash) where email_hash is not null;
create index person_guest on identity.person (cell, created_at) where kind = 'guest' and not is_kept;
comment on column identity.person.email_hash is 'pii: sign in; until erasure';
comment on column identity.person.email is 'pii: letters about orders and the account (sealed); until erasure';
comment on column identity.person.name is 'pii: to be addressed by name (sealed); until erasure';

create table identity.session (
  cell smallint not null default 0,
  token_hash bytea not null,
  id uuid not null,
  person_id uuid not null,
  agent text,
  created_at timestamptz not null,
  seen_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (cell, token_hash)
);
create unique index session_id on identity.session (cell, id);
create index session_person on identity.session (cell, person_id);
create index session_end on identity.session (cell, expires_at);
comment on column identity.session.agent is 'pii: recognise one''s own sessions; as long as the session';

create table identity.code (
  cell smallint not null default 0,
  email_hash bytea not null,
  code_hash bytea not null,
  tries int not null default 0,
  expires_at timestamptz not null,
  primary key (cell, email_hash)
);
comment on column identity.code.email_hash is 'pii: sign in by code; 10 minutes';

create table identity.outbox (
  cell smallint not null default 0,
  id uuid not null,
  email text not null,
  body text not null,
  language text not null,
  created_at timestamptz not null,
  primary key (cell, id)
);
create index outbox_age on identity.outbox (cell, created_at);
comment on column identity.outbox.email is 'pii: send a sign-in code (sealed); 1 day';

create table identity.address (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  country text not null,
  region text not null,
  city text not null,
  postal_code text not null,
  lines text not null,
  recipient_name text not null,
  phone text not null,
  is_default boolean not null,
  created_at timestamptz not null,
  primary key (cell, id)
);
create index address_person on identity.address (cell, person_id);
create unique index address_default on identity.address (cell, person_id) where is_default;
comment on column identity.address.country is 'pii: delivery, tax; until erasure';
comment on column identity.address.region is 'pii: delivery, tax; until erasure';
comment on column identity.address.city is 'pii: delivery, tax; until erasure';
comment on column identity.address.postal_code is 'pii: delivery, tax; until erasure';
comment on column identity.address.lines is 'pii: delivery (sealed); until erasure';
comment on column identity.address.recipient_name is 'pii: delivery (sealed); until erasure';
comment on column identity.address.phone is 'pii: delivery (sealed); until erasure';

create table identity.api_key (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  key_hash bytea not null,
  prefix text not null,
  label text not null,
  scopes text[] not null,
  created_at timestamptz not null,
  used_at timestamptz,
  revoked_at timestamptz,
  primary key (cell, id)
);
create unique index api_key_hash on identity.api_key (cell, key_hash);
create index api_key_person on identity.api_key (cell, person_id);

-- Never updated: the newest row of a purpose and channel counts.
create table identity.consent (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  purpose text not null,
  channel text not null,
  is_granted boolean not null,
  at timestamptz not null,
  proof jsonb not null, -- where it was said and to which words
  position bigint generated always as identity,
  primary key (cell, id)
);
create index consent_person on identity.consent (cell, person_id, purpose, channel, position);

create table identity.access (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null, -- whose data
  actor text not null,     -- who looked or changed
  what text not null,
  reason text not null,
  request_id text not null,
  at timestamptz not null,
  primary key (cell, id)
);
create index access_person on identity.access (cell, person_id, id);

create table identity.breach (
  cell smallint not null default 0,
  id uuid not null,
  found_at timestamptz not null,
  what text not null,
  persons_affected int not null check (persons_affected >= 0),
  measures text not null,
  authority_told_at timestamptz,
  persons_told_at timestamptz,
  recorded_by text not null,
  recorded_at timestamptz not null,
  primary key (cell, id)
);
