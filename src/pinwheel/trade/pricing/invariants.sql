-- promise: a price ends after it starts
select offer_id, currency, starts_at from pricing.price where ends_at <= starts_at;

-- promise: every market's home country has a standard tax rate
select m.code from pricing.market m, unnest(m.countries) as c(country)
 where m.active and not exists (
   select from pricing.tax_rate r
    where r.country = c.country and r.region = '' and r.tax_class = 'standard');
