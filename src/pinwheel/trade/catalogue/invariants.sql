-- promise: no published product has a value its category does not know
select p.id, k.code from catalogue.product p, jsonb_object_keys(p.attributes) as k(code)
 where p.status = 'published' and not exists (
   select from catalogue.v_attribute a where a.category_id = p.category_id and a.code = k.code);

-- promise: a category's path ends with itself and continues its parent's
select c.id from catalogue.category c left join catalogue.category p on p.id = c.parent_id
 where c.path <> coalesce(p.path, '{}') || c.id;

-- promise: the latest line of a product's history is its version
select p.id from catalogue.product p
 where p.version <> (select max(l.version) from catalogue.change_line l where l.product_id = p.id);

-- promise: a former address leads to one product and is no product's present address
select f.slug from catalogue.former_slug f join catalogue.product p on p.slug = f.slug;

-- promise: what was merged is archived, and what it was merged into was not merged itself
select g.id from catalogue.product g join catalogue.product k on k.id = g.merged_into
 where g.status <> 'archived' or k.merged_into is not null;
