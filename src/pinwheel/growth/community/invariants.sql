-- promise: a rating counts exactly the reviews that are published
with published as (
  select cell, product_id, array[count(*) filter (where rating = 1), count(*) filter (where rating = 2),
         count(*) filter (where rating = 3), count(*) filter (where rating = 4),
         count(*) filter (where rating = 5)]::int[] as stars
    from community.review where state = 'published' group by cell, product_id)
select coalesce(r.product_id, p.product_id) as product_id, r.stars, p.stars as published
  from community.rating r full join published p on p.cell = r.cell and p.product_id = r.product_id
 where coalesce(r.stars, '{0,0,0,0,0}') <> coalesce(p.stars, '{0,0,0,0,0}');

-- promise: a review counts exactly the people it helped
select r.id, r.helpful, count(v.person_id) as votes
  from community.review r left join community.vote v on v.cell = r.cell and v.review_id = r.id
 group by r.cell, r.id, r.helpful having r.helpful <> count(v.person_id);

-- promise: nobody votes for their own review
select r.id from community.review r
  join community.vote v on v.cell = r.cell and v.review_id = r.id and v.person_id = r.person_id;

-- promise: every review comes from a line that was sent
select r.id from community.review r
  left join orders.v_line l on l.cell = r.cell and l.order_id = r.order_id and l.line = r.line
 where l.shipped is null or l.shipped = 0;

-- promise: nothing that a person wrote outlives their erasure
select id from community.review
 where erased_at is not null
   and (person_id is not null or author is not null or title <> '' or body <> '' or pictures <> '{}');
