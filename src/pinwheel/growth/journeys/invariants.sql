-- promise: nobody of a holdout is acted on
select s.enrolment_id, s.step from journeys.step s
  join journeys.enrolment e on e.cell = s.cell and e.id = s.enrolment_id
 where e.is_held and s.kind = 'act';

-- promise: an act that writes a letter has exactly one message, and a message of a journey its act
select s.enrolment_id, s.step from journeys.step s
  join journeys.enrolment e on e.cell = s.cell and e.id = s.enrolment_id
  join journeys.version v on v.journey_id = e.journey_id and v.version = e.version
  left join messages.v_message m on m.cell = s.cell and m.scope = 'journey:' || e.journey_id
       and m.key = e.id || ':' || s.step
 where s.kind = 'act' and s.outcome = 'acted' and v.plan -> 'steps' -> s.step ->> 'action' = 'message' and m.id is null
union all
select split_part(m.key, ':', 1)::uuid, split_part(m.key, ':', 2)::int from messages.v_message m
  left join journeys.step s on s.cell = m.cell and s.enrolment_id = split_part(m.key, ':', 1)::uuid
       and s.step = split_part(m.key, ':', 2)::int and s.kind = 'act' and s.outcome = 'acted'
 where m.scope like 'journey:%' and s.enrolment_id is null;

-- promise: an enrolment stands behind every step it has taken
select e.id, e.step, s.step as taken from journeys.enrolment e
  join journeys.step s on s.cell = e.cell and s.enrolment_id = e.id
 where s.step >= e.step and s.outcome <> 'failed';

-- promise: nobody on their way is forgotten: a timer stands, or a day it was due is not long over
select e.id, e.due_at, e.state from journeys.enrolment e join journeys.journey j on j.id = e.journey_id
 where e.state = 'active' and not e.is_held and j.state = 'live'
   and (e.due_at is null or e.due_at < $now - interval '6 hours');

-- promise: of a campaign nobody of the holdout is written to, and each member once
select m.campaign_id, m.person_id, m.state from journeys.member m
  join messages.v_message v on v.cell = m.cell and v.scope = 'campaign:' || m.campaign_id
       and v.key = m.person_id::text
 where m.state <> 'written'
union all
select m.campaign_id, m.person_id, m.state from journeys.member m
  left join messages.v_message v on v.cell = m.cell and v.scope = 'campaign:' || m.campaign_id
       and v.key = m.person_id::text
 where m.state = 'written' and v.id is null;

-- promise: a campaign writes no more letters than it may
select c.id, c.most_letters, count(*) from journeys.campaign c
  join journeys.member m on m.campaign_id = c.id and m.state = 'written'
 group by c.id, c.most_letters having count(*) > c.most_letters;
