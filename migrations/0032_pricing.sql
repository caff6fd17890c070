-- Prices with their history, and the tax that is in them or comes on top.
create schema pricing;

create table pricing.price (
  offer_id uuid not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  starts_at timestamptz not null,
  ends_at timestamptz,
  price_minor bigint not null check (price_minor >= 0),
  list_price_minor bigint check (list_price_minor >= 0),
  reason text not null default '',
  set_by text not null,
  recorded_at timestamptz not null,
  primary key (offer_id, currency, starts_at),
  check (ends_at > starts_at)
);

create table pricing.market (
  code text primary key,
  name jsonb not null,
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  countries text[] not null,
  price_includes_tax boolean not null,
  language text not null,
  active boolean not null default true
);

-- The rate is the latest that has started; '' is the whole country, a region's own rate goes first.
create table pricing.tax_rate (
  country text not null check (country ~ '^[A-Z]{2}$'),
  region text not null default '',
  tax_class text not null,
  rate_basis_points int not null check (rate_basis_points between 0 and 10000),
  starts_at timestamptz not null,
  primary key (country, region, tax_class, starts_at)
);

create view pricing.v_price as
  select offer_id, currency, starts_at, ends_at, price_minor, list_price_minor from pricing.price;
create view pricing.v_tax_rate as
  select country, region, tax_class, rate_basis_points, starts_at from pricing.tax_rate;
create view pricing.v_market as
  select code, name, currency, countries, price_includes_tax, language, active from pricing.market;

insert into pricing.market (code, name, currency, countries, price_includes_tax, language) values
  ('CN', '{"en": "China", "zh-CN": "中国"}', 'CNY', '{CN}', true, 'zh-CN'),
  ('GB', '{"en": "United Kingdom", "zh-CN": "英国"}', 'GBP', '{GB}', true, 'en'),
  ('US', '{"en": "United States", "zh-CN": "美国"}', 'USD', '{US}', false, 'en'),
  ('EU-DE', '{"en": "Germany", "zh-CN": "德国"}', 'EUR', '{DE}', true, 'en'),
  ('BR', '{"en": "Brazil", "zh-CN": "巴西"}', 'BRL', '{BR}', true, 'en');

-- A start to be checked by whoever sells there. Brazil's taxes depend on state and goods: one flat
-- rate stands for them here. US rates are the states' own, without county and city.
insert into pricing.tax_rate (country, region, tax_class, rate_basis_points, starts_at) values
  ('CN', '', 'standard', 1300, '2019-04-01+00'), ('CN', '', 'books', 900, '2019-04-01+00'),
  ('CN', '', 'zero', 0, '2000-01-01+00'),
  ('GB', '', 'standard', 2000, '2011-01-04+00'), ('GB', '', 'books', 0, '2000-01-01+00'),
  ('GB', '', 'zero', 0, '2000-01-01+00'),
  ('DE', '', 'standard', 1900, '2021-01-01+00'), ('DE', '', 'books', 700, '2021-01-01+00'),
  ('DE', '', 'zero', 0, '2000-01-01+00'),
  ('BR', '', 'standard', 1800, '2000-01-01+00'), ('BR', '', 'books', 0, '2000-01-01+00'),
  ('BR', '', 'zero', 0, '2000-01-01+00'),
  ('US', '', 'standard', 0, '2000-01-01+00'), ('US', '', 'books', 0, '2000-01-01+00'),
  ('US', '', 'zero', 0, '2000-01-01+00'),
  ('US', 'CA', 'standard', 725, '2017-01-01+00'), ('US', 'CA', 'books', 725, '2017-01-01+00'),
  ('US', 'NY', 'standard', 400, '2005-06-01+00'), ('US', 'NY', 'books', 400, '2005-06-01+00'),
  ('US', 'TX', 'standard', 625, '2000-01-01+00'), ('US', 'TX', 'books', 625, '2000-01-01+00'),
  ('US', 'WA', 'standard', 650, '2000-01-01+00'), ('US', 'WA', 'books', 650, '2000-01-01+00'),
  ('US', 'FL', 'standard', 600, '2000-01-01+00'), ('US', 'FL', 'books', 600, '2000-01-01+00');
