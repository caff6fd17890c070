-- A city may have a tier of its own, which wins over its region's.
alter table orders."order" add column city text not null default '';
comment on column orders."order".city is 'pii: segments by size of city; emptied with the person';

create or replace view orders.v_purchase as
  select cell, id as order_id, person_id, state, market, currency, country, region, channel, placed_at,
         total_minor, secured_minor, refunded_minor, delivery_minor, city
    from orders."order";

alter table audience.purchase add column city text not null default '';
comment on column audience.purchase.city is 'pii: segments by size of city; until erasure';
alter table audience.person add column city text not null default '';
comment on column audience.person.city is 'pii: segments by size of city; until erasure';

-- The nearest place wins: a city of a region, a city wherever it is (region ''), the region, the country.
alter table audience.region_tier add column city text not null default ''; -- lower case, without spaces around
alter table audience.region_tier drop constraint region_tier_pkey;
alter table audience.region_tier add primary key (country, region, city);
create or replace view audience.v_tier as select country, region, tier from audience.region_tier where city = '';
