-- promise: an import's counts add up to the records it has gone through
select id from imports.job
 where position <> coalesce((counts ->> 'records')::bigint, 0)
    or position <> coalesce((counts ->> 'created')::bigint + (counts ->> 'updated')::bigint
                            + (counts ->> 'unchanged')::bigint + (counts ->> 'refused')::bigint, 0);

-- promise: every fault that was counted is there to be read
select j.id from imports.job j
 where coalesce((j.counts ->> 'faults')::bigint, 0)
    <> (select count(*) from imports.error e where e.job_id = j.id);

-- promise: what a record became is there
select i.source, i.key from imports.item i
  left join catalogue.v_product p on p.product_id = i.product_id where p.product_id is null;
