-- Imports: how far a file has been taken in, what came of each record, and what was refused.
create schema imports;

create table imports.job (
  id uuid primary key,
  source text not null,
  label text not null,
  digest text not null, -- of the content and of how it is read: the same again resumes here
  status text not null default 'running' check (status in ('running', 'done')),
  position bigint not null default 0, -- records whose effect is committed
  counts jsonb not null default '{}',
  notes jsonb not null default '[]', -- what was taken for what, in both languages
  actor text not null,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz,
  check ((status = 'done') = (finished_at is not null))
);
create unique index job_running on imports.job (source, digest) where status = 'running';

-- What a record of a source became. A record with the same hash has nothing to do.
create table imports.item (
  source text not null,
  key text not null,
  hash bytea not null,
  product_id uuid not null,
  published boolean not null, -- the file wanted it on sale
  job_id uuid not null references imports.job (id),
  primary key (source, key)
);

create table imports.error (
  job_id uuid not null references imports.job (id),
  number int not null,
  file text not null,
  row_number bigint not null,
  column_name text not null,
  value text not null,
  en text not null,
  zh text not null,
  primary key (job_id, number)
);
