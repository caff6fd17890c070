-- Messages: what the shop says to somebody, who agreed to hear it, and who must not be written to.
create schema messages;

-- One row for each address that was ever written to. It is also the lock under which a hand-over and a suppression
-- meet: whichever comes second sees the first.
create table messages.address (
  cell smallint not null default 0,
  hash bytea not null,
  email text, -- sealed
  domain text not null,
  person_id uuid,
  language text,
  zone text, -- IANA name; null: the shop's
  subscribed_at timestamptz, -- confirmed by the link in the letter, and not withdrawn since
  handed_at timestamptz, -- the last marketing message
  soft_bounces smallint not null default 0,
  primary key (cell, hash)
);
create index address_person on messages.address (cell, person_id) where person_id is not null;
comment on column messages.address.hash is 'pii: keyed hash of the address, so that nobody who said no is written to again; as long as the suppression';
comment on column messages.address.email is 'pii: write to this address (sealed); until erasure';
comment on column messages.address.domain is 'pii: the pace of each mail system; until erasure';
comment on column messages.address.person_id is 'pii: whose address it is; until erasure';
comment on column messages.address.zone is 'pii: quiet hours where the reader lives; until erasure';

-- Who agreed to what, when, to which words, from where. Only added to.
create table messages.consent (
  cell smallint not null default 0,
  id uuid not null,
  address_hash bytea not null,
  person_id uuid,
  step text not null check (step in ('asked', 'confirmed', 'withdrawn')),
  at timestamptz not null,
  wording text not null,
  language text not null,
  source text not null, -- the page, the link in a letter, a console, a program
  actor text not null,
  position bigint generated always as identity,
  primary key (cell, id)
);
create index consent_address on messages.consent (cell, address_hash, position);
comment on column messages.consent.address_hash is 'pii: proof of consent and of its withdrawal; 5 years';
comment on column messages.consent.person_id is 'pii: proof of consent and of its withdrawal; 5 years';

create function messages.only_added_to() returns trigger language plpgsql as $$
begin
  raise exception 'messages.consent is only added to';
end $$;
create trigger consent_only_added_to before update or delete on messages.consent
  for each row execute function messages.only_added_to();

create table messages.suppression (
  cell smallint not null default 0,
  id uuid not null,
  address_hash bytea not null,
  reason text not null check (reason in ('unsubscribed', 'bounce', 'complaint', 'operator', 'erased')),
  source text not null,
  at timestamptz not null,
  lifted_at timestamptz,
  lifted_by text,
  primary key (cell, id),
  check (lifted_at >= at)
);
create unique index suppression_active on messages.suppression (cell, address_hash, reason) where lifted_at is null;
create index suppression_address on messages.suppression (cell, address_hash);
comment on column messages.suppression.address_hash is 'pii: keyed hash, so that nobody who said no is written to again; until they say yes';

create table messages.message (
  cell smallint not null default 0,
  id uuid not null,
  scope text not null,
  key text not null,
  address_hash bytea not null,
  person_id uuid,
  purpose text not null check (purpose in ('transactional', 'marketing')),
  channel text not null,
  template text not null,
  language text not null,
  content text, -- sealed: subject and words; forgotten after a while
  state text not null check (state in ('waiting', 'handing', 'sent', 'unsure', 'suppressed', 'expired', 'dead')),
  next_at timestamptz not null,
  deadline_at timestamptz not null,
  attempts int not null default 0,
  leased_until timestamptz,
  handed_at timestamptz, -- the last look at the suppressions, under the address's lock
  ended_at timestamptz,
  bounced_at timestamptz,
  complained_at timestamptz,
  unsubscribed_at timestamptz,
  opened_at timestamptz, -- weak: pictures are fetched by machines
  clicked_at timestamptz,
  note text not null default '',
  created_at timestamptz not null,
  primary key (cell, id),
  unique (cell, scope, key)
) with (fillfactor = 85);
create index message_due on messages.message (cell, next_at, id) where state = 'waiting';
create index message_handing on messages.message (cell, leased_until) where state = 'handing';
create index message_address on messages.message (cell, address_hash, id);
create index message_recent on messages.message (cell, address_hash, handed_at)
  where purpose = 'marketing' and handed_at is not null;
create index message_person on messages.message (cell, person_id) where person_id is not null;
create index message_kept on messages.message (cell, created_at) where content is not null;
comment on column messages.message.address_hash is 'pii: whom it went to; until erasure';
comment on column messages.message.person_id is 'pii: whom it went to; until erasure';
comment on column messages.message.content is 'pii: words of a letter (sealed); 30 days, sign-in codes 1 day';
comment on column messages.message.opened_at is 'pii: whether a campaign is read; until erasure';
comment on column messages.message.clicked_at is 'pii: whether a campaign is read; until erasure';

-- A letter that the staff wrote. Saving makes a new version; a campaign keeps the one it was made with.
create table messages.template (
  slug text not null,
  version int not null,
  name text not null,
  subject jsonb not null, -- by language
  body jsonb not null,
  saved_at timestamptz not null,
  saved_by text not null,
  primary key (slug, version)
);

-- How fast each mail system is written to: a bucket each.
create table messages.pace (
  cell smallint not null default 0,
  domain text not null,
  tokens double precision not null,
  at timestamptz not null,
  primary key (cell, domain)
);
comment on column messages.pace.domain is 'pii: the pace of each mail system; 30 days';

-- Published: what became of every message, without its words.
create view messages.v_message as
  select cell, id, scope, key, person_id, purpose, channel, template, language, state, handed_at, ended_at, bounced_at,
         complained_at, unsubscribed_at, opened_at, clicked_at, created_at
    from messages.message;
