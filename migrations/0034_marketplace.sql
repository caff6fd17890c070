-- The marketplace: who sells, and what each offers.
create schema marketplace;

create table marketplace.seller (
  id uuid primary key,
  slug text not null unique,
  name text not null,
  kind text not null check (kind in ('own', 'third_party')),
  status text not null default 'active' check (status in ('active', 'paused')),
  country text not null default '' check (country ~ '^([A-Z]{2})?$'),
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create unique index seller_own on marketplace.seller (kind) where kind = 'own';

insert into marketplace.seller (id, slug, name, kind, created_at, updated_at) values
  ('00000000-0000-7000-8000-000000000001', 'own', 'Pinwheel', 'own', '2026-01-01+00', '2026-01-01+00');

create table marketplace.offer (
  id uuid primary key,
  seller_id uuid not null references marketplace.seller (id),
  variant_id uuid not null,
  condition text not null default 'new' check (condition in ('new', 'refurbished', 'used')),
  status text not null default 'active' check (status in ('active', 'paused')),
  max_per_order int check (max_per_order > 0), -- null: no limit
  merged_from uuid, -- the duplicate variant it was made for, when that was merged into this one
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (seller_id, variant_id, condition)
);
create index offer_variant on marketplace.offer (variant_id);
create index offer_merged on marketplace.offer (merged_from) where merged_from is not null;

create view marketplace.v_seller as
  select id as seller_id, slug, name, kind, status = 'active' as active, country from marketplace.seller;

create view marketplace.v_offer as
  select o.id as offer_id, o.seller_id, o.variant_id, o.condition,
         o.status = 'active' and s.status = 'active' as active, o.max_per_order,
         s.kind as seller_kind, s.name as seller_name, s.slug as seller_slug
    from marketplace.offer o join marketplace.seller s on s.id = o.seller_id;
