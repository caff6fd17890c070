-- promise: a delivery tells of a fact that happened
select d.endpoint_id, d.event_id from open.delivery d
  left join open.v_event e on e.cell = d.cell and e.id = d.event_id
 where e.id is null;

-- promise: what counts as delivered was answered with a 2xx
select endpoint_id, event_id, status from open.delivery
 where state = 'delivered' and (status is null or status not between 200 and 299);

-- promise: the follower never passes a transaction that may still be open
select cell, xid from open.follower where xid > pg_snapshot_xmin(pg_current_snapshot());
