-- Profiles: what is known of a customer, from whom, until when; and accounts that are one customer.
create schema profiles;

create table profiles.kind (
  name text primary key,
  title jsonb not null,
  type text not null check (type in ('string', 'integer', 'boolean')),
  is_sensitive boolean not null default false, -- seen and written only with the right "people"
  ttl_days int not null check (ttl_days > 0)   -- known for so long at most
);

-- A trait is said of one account and stays there: a merge moves nothing.
create table profiles.trait (
  cell smallint not null default 0,
  id uuid not null,
  person_id uuid not null,
  name text not null references profiles.kind (name),
  value jsonb not null,
  source text not null check (source in ('said', 'staff', 'observed', 'inferred')),
  evidence text not null, -- where it is from: a form, a letter, a module
  observed_at timestamptz not null,
  expires_at timestamptz not null,
  replaced_at timestamptz, -- a newer one of the same source, or taken back
  recorded_by text not null,
  primary key (cell, id),
  check (expires_at > observed_at)
);
create unique index trait_standing on profiles.trait (cell, person_id, name, source) where replaced_at is null;
create index trait_person on profiles.trait (cell, person_id, id);
create index trait_end on profiles.trait (cell, expires_at);
comment on column profiles.trait.person_id is 'pii: know a customer, each trait for its own time; until erasure';
comment on column profiles.trait.value is 'pii: know a customer, each trait for its own time; until erasure';
comment on column profiles.trait.evidence is 'pii: say where a trait is from; until erasure';

-- Two accounts are one customer, until it is undone. Only a pointer: undoing it restores both as they are.
create table profiles.merge (
  cell smallint not null default 0,
  id uuid not null,
  kept_id uuid not null,
  joined_id uuid not null,
  reason text not null,
  merged_at timestamptz not null,
  merged_by text not null,
  undone_at timestamptz,
  undone_by text,
  primary key (cell, id),
  check (kept_id <> joined_id)
);
create unique index merge_joined on profiles.merge (cell, joined_id) where undone_at is null;
create index merge_kept on profiles.merge (cell, kept_id);
comment on column profiles.merge.kept_id is 'pii: accounts of one customer; until erasure';
comment on column profiles.merge.joined_id is 'pii: accounts of one customer; until erasure';
comment on column profiles.merge.reason is 'pii: why two accounts are one customer; until erasure';

-- Published: the account that stands for a customer, for each account that was merged into another.
create view profiles.v_merged as
  with recursive up as (
    select cell, joined_id as person_id, kept_id from profiles.merge where undone_at is null
    union all
    select up.cell, up.person_id, m.kept_id
      from up join profiles.merge m on m.cell = up.cell and m.joined_id = up.kept_id and m.undone_at is null
  )
  select up.cell, up.person_id, up.kept_id as customer_id from up
   where not exists (select from profiles.merge m
                      where m.cell = up.cell and m.joined_id = up.kept_id and m.undone_at is null);

insert into profiles.kind (name, title, type, is_sensitive, ttl_days) values
  ('preferred_name', '{"en": "Likes to be called", "zh-CN": "称呼"}', 'string', false, 1095),
  ('delivery_note', '{"en": "Note for deliveries", "zh-CN": "配送备注"}', 'string', false, 365),
  ('clothing_size', '{"en": "Clothing size", "zh-CN": "服装尺码"}', 'string', false, 730),
  ('household_size', '{"en": "People at home", "zh-CN": "家庭人数"}', 'integer', true, 365),
  ('birth_month', '{"en": "Month of birth", "zh-CN": "出生月份"}', 'integer', true, 1095),
  ('favourite_department', '{"en": "Favourite department", "zh-CN": "常逛品类"}', 'string', false, 180),
  ('buys_gifts', '{"en": "Buys gifts", "zh-CN": "常购礼品"}', 'boolean', false, 365),
  ('wants_no_calls', '{"en": "Does not want calls", "zh-CN": "不接受电话"}', 'boolean', false, 1095);
