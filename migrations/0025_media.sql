-- Media: pictures people sent in, each remade by us, kept once by what it contains.
create schema media;

create table media.picture (
  cell smallint not null default 0,
  id uuid not null,
  digest text not null, -- SHA-256 of the file that is kept: its name in the store
  owner_id uuid, -- who sent it; null: the shop, or somebody who was erased
  width int not null check (width > 0),
  height int not null check (height > 0),
  bytes int not null check (bytes > 0),
  created_at timestamptz not null,
  gone_at timestamptz, -- taken away: no longer served
  primary key (cell, id)
);
create index picture_digest on media.picture (cell, digest);
create index picture_owner on media.picture (cell, owner_id) where owner_id is not null;
comment on column media.picture.owner_id is 'pii: who sent the picture; until erasure';

-- Published: pictures that are there.
create view media.v_picture as
  select cell, id as picture_id, digest, owner_id, width, height, bytes from media.picture
   where gone_at is null;
