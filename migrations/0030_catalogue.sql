-- The catalogue: what there is to sell, described by each category's own attributes.
create schema catalogue;

create table catalogue.category (
  id uuid primary key,
  parent_id uuid references catalogue.category (id),
  slug text not null unique,
  name jsonb not null, -- {"en": …, "zh-CN": …}
  path uuid[] not null, -- from the root down to this one
  position int not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check (path[array_length(path, 1)] = id)
);
create index category_parent on catalogue.category (parent_id);
create index category_path on catalogue.category using gin (path);

-- An attribute holds for its category and everything below; the nearest definition of a code counts.
create table catalogue.attribute (
  category_id uuid not null references catalogue.category (id),
  code text not null check (code ~ '^[a-z][a-z0-9_]{0,62}$'),
  label jsonb not null,
  kind text not null check (kind in ('text', 'number', 'boolean', 'choice', 'date')),
  unit text not null default '', -- number: the unit its values are stored in
  choices jsonb not null default '[]', -- choice: [{"code": …, "label": {…}}]
  minimum double precision,
  maximum double precision,
  many boolean not null default false, -- choice: several at once
  required boolean not null default false, -- before it can be published
  facet boolean not null default false,
  searchable boolean not null default false,
  position int not null default 0,
  primary key (category_id, code)
);

create table catalogue.product (
  id uuid primary key,
  slug text not null unique,
  category_id uuid references catalogue.category (id),
  title jsonb not null,
  description jsonb not null default '{}',
  attributes jsonb not null default '{}', -- by attribute code; the category's schema is kept by every verb
  brand text not null default '',
  media jsonb not null default '[]', -- [{"url": …, "alt": {…}}]
  channels text[] not null default '{web}',
  status text not null default 'draft' check (status in ('draft', 'published', 'archived')),
  publish_at timestamptz, -- a draft that becomes published then
  merged_into uuid references catalogue.product (id),
  version int not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index product_category on catalogue.product (category_id, id);
create index product_due on catalogue.product (publish_at) where status = 'draft' and publish_at is not null;

create table catalogue.variant (
  id uuid primary key,
  product_id uuid not null references catalogue.product (id),
  sku text not null unique,
  gtin text, -- 13 digits, or 14 where the first is not 0; its check digit was proven
  options jsonb not null default '{}', -- {"Size": "M"}
  weight_grams int check (weight_grams >= 0),
  tax_class text not null default 'standard',
  position int not null default 0,
  status text not null default 'published' check (status in ('draft', 'published', 'archived')),
  merged_into uuid references catalogue.variant (id),
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index variant_product on catalogue.variant (product_id);
create index variant_gtin on catalogue.variant (gtin) where gtin is not null;

-- Slugs that products had before: their pages lead on to the present one.
create table catalogue.former_slug (
  slug text primary key,
  product_id uuid not null references catalogue.product (id),
  until timestamptz not null
);
create index former_slug_product on catalogue.former_slug (product_id);

-- A change set: everything one act did, field by field, so that it can be taken back as one.
create table catalogue.change (
  id uuid primary key,
  kind text not null check (kind in ('save', 'edit', 'publish', 'archive', 'merge', 'revert')),
  reason text not null,
  actor text not null,
  at timestamptz not null,
  reverts uuid references catalogue.change (id)
);
create unique index change_reverted_once on catalogue.change (reverts) where reverts is not null;

create table catalogue.change_line (
  change_id uuid not null references catalogue.change (id),
  product_id uuid not null references catalogue.product (id),
  version int not null, -- the product's version after it
  before jsonb not null, -- only the fields that changed; a field that was not there is absent
  after jsonb not null,
  primary key (change_id, product_id)
);
create unique index change_line_product on catalogue.change_line (product_id, version);

create view catalogue.v_category as
  select id as category_id, parent_id, slug, name, path, position from catalogue.category;

-- Every category with all attributes that hold for it, its own and inherited.
create view catalogue.v_attribute as
  select distinct on (c.id, a.code) c.id as category_id, a.code, a.label, a.kind, a.unit, a.choices,
         a.minimum, a.maximum, a.many, a.required, a.facet, a.searchable, a.position,
         a.category_id as defined_by
    from catalogue.category c
    join catalogue.attribute a on a.category_id = any (c.path)
   order by c.id, a.code, array_position(c.path, a.category_id) desc;

create view catalogue.v_product as
  select p.id as product_id, p.slug, p.status, p.status = 'published' as published, p.title,
         p.description, p.category_id, coalesce(c.path, '{}') as category_path, p.brand,
         p.attributes, p.media, p.channels, p.publish_at, p.version, p.created_at, p.updated_at
    from catalogue.product p left join catalogue.category c on c.id = p.category_id;

create view catalogue.v_variant as
  select v.id as variant_id, v.product_id, v.sku, v.gtin, p.slug, p.title, v.options, p.category_id,
         p.brand, v.weight_grams, v.tax_class,
         p.status = 'published' and v.status = 'published' as buyable, p.version, v.position,
         p.channels, p.media, v.merged_into
    from catalogue.variant v join catalogue.product p on p.id = v.product_id;
