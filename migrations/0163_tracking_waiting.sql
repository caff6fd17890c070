-- What waits in the inbox, event by event.
create view tracking.waiting as
  select i.cell, i.id as inbox_id, i.received_at, i.source, e.*
    from tracking.inbox i
   cross join lateral unnest(i.event_ids, i.names, i.versions, i.occurred_ats, i.visitor_ids, i.person_ids,
          i.session_ids, i.bot_reasons, i.purposes, i.properties, i.contexts) with ordinality
          as e(event_id, name, version, occurred_at, visitor_id, person_id, session_id, bot_reason, purpose,
               properties, context, n);
