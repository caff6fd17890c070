-- promise: no marketing letter is handed over to an address after it was suppressed
select m.id, s.reason, s.at, m.handed_at from messages.message m
  join messages.suppression s on s.cell = m.cell and s.address_hash = m.address_hash
 where m.purpose = 'marketing' and m.state in ('handing', 'sent', 'unsure') and m.handed_at > s.at
   and (s.lifted_at is null or m.handed_at < s.lifted_at);

-- promise: every marketing letter went to an address that had confirmed before
select m.id, m.handed_at from messages.message m
 where m.purpose = 'marketing' and m.state in ('handing', 'sent', 'unsure')
   and not exists (select from messages.consent c where c.cell = m.cell and c.address_hash = m.address_hash
                      and c.step = 'confirmed' and c.at <= m.handed_at);

-- promise: no letter is stuck past its deadline
select id, state, deadline_at from messages.message
 where state in ('waiting', 'handing') and deadline_at < $now - interval '1 hour'
   and next_at < $now - interval '1 hour';

-- promise: what ended has an end, what waits has none
select id, state, ended_at from messages.message
 where (ended_at is null) <> (state in ('waiting', 'handing'));

-- promise: whoever is subscribed said so, and has not said no since
select a.hash from messages.address a
 where a.subscribed_at is not null
   and coalesce((select c.step from messages.consent c where c.cell = a.cell and c.address_hash = a.hash
                  and c.step <> 'asked' order by c.position desc limit 1), 'none') <> 'confirmed';
