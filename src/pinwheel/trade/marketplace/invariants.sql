-- promise: an offer that is on sale is for a variant that exists and was not merged away
select o.offer_id from marketplace.v_offer o
  left join catalogue.v_variant v on v.variant_id = o.variant_id
 where o.active and (v.variant_id is null or v.merged_into is not null);

-- promise: there is exactly one own shop
select count(*) from marketplace.seller where kind = 'own' having count(*) <> 1;
