-- What measurement reads of its neighbours, as views that they publish.

create view newcomers.v_pool as
  select cell, id as pool_id, name, budget_id, is_open, starts_at, ends_at from newcomers.pool;
create view newcomers.v_win as
  select cell, pool_id, order_id, person_id, state, currency, subsidy_minor, won_at from newcomers.win;
create view subsidy.v_programme as
  select id as programme_id, name, currency, platform_budget_id as budget_id, state, starts_at, ends_at
    from subsidy.programme;
create view social.v_team_plan as
  select cell, id as campaign_id, name, currency, budget_id, state, starts_at, ends_at from social.team_campaign;
create view social.v_bargain_plan as
  select cell, id as campaign_id, name, currency, budget_id, state, starts_at, ends_at from social.bargain_campaign;
create view social.v_invite_plan as
  select cell, id as campaign_id, name, currency, budget_id, state, starts_at, ends_at from social.invite_campaign;
create view social.v_invite_participant as
  select cell, campaign_id, person_id, joined_at from social.invite_member;
create view journeys.v_journey as
  select id as journey_id, name, state, changed_at from journeys.journey;
create view journeys.v_campaign as
  select id as campaign_id, name, state, budget_id, letter_minor, window_days, began_at, ended_at from journeys.campaign;
create view journeys.v_enrolment as
  select cell, journey_id, person_id, is_held, entered_at, goal_until from journeys.enrolment;
create view journeys.v_campaign_member as
  select cell, campaign_id, person_id, state = 'held' as is_held, at from journeys.member where state <> 'left';

-- Published: who came by whose link, of every kind of campaign. ``order_id`` when the edge is an order's.
create view measurement.v_edge as
  select cell, campaign_id, 'team'::text as via, invited_by as parent_id, person_id as child_id, claimed_at as at,
         order_id
    from social.v_team_member where invited_by is not null and person_id is not null and invited_by <> person_id
  union all
  select cell, campaign_id, 'invite', parent_person_id, child_person_id, at, order_id
    from social.v_share_edge
   where parent_person_id is not null and child_person_id is not null and decision <> 'deny'
  union all
  select h.cell, b.campaign_id, 'bargain', b.person_id, h.person_id, h.at, null
    from social.v_bargain_help h
    join social.v_bargain b on b.cell = h.cell and b.bargain_id = h.bargain_id
   where h.state = 'counted' and b.person_id is not null and h.person_id is not null and b.person_id <> h.person_id;

-- Published: who took part in a campaign, whether they brought anybody or not.
create view measurement.v_took_part as
  select cell, campaign_id, person_id, min(paid_at) as at from social.v_team_member
   where person_id is not null and paid_at is not null group by cell, campaign_id, person_id
  union all
  select cell, campaign_id, person_id, min(started_at) from social.v_bargain
   where person_id is not null group by cell, campaign_id, person_id
  union all
  select cell, campaign_id, person_id, joined_at from social.v_invite_participant;

-- Every posting on an account of marketing or of what a budget spent; below zero: it came back.
create view measurement.v_cost as
  select cell, journal_id, document_kind, document_id, posted_at, debit as account, unit as currency,
         amount as amount_minor
    from ledger.v_posting where debit like 'marketing:%'
  union all
  select cell, journal_id, document_kind, document_id, posted_at, credit, unit, -amount
    from ledger.v_posting where credit like 'marketing:%'
  union all
  select cell, journal_id, document_kind, document_id, posted_at, debit, unit, amount
    from ledger.v_posting where debit like 'budget:%:spent'
  union all
  select cell, journal_id, document_kind, document_id, posted_at, credit, unit, -amount
    from ledger.v_posting where credit like 'budget:%:spent';

-- What each of them was for. Only what surely went to somebody who had bought before is no cost of winning buyers.
create view measurement.v_cost_line as
  select c.cell, c.journal_id, c.document_kind, c.document_id, c.posted_at, c.account, c.currency, c.amount_minor,
         case when c.account like 'marketing:%' then 'marketing'
              when b.funder <> 'platform' then 'by_others'
              when b.purpose = 'loss' then 'loss'
              when y.person_id is not null then 'first_order'
              when p.order_id is not null then 'repeat'
              else 'programme' end as class,
         y.person_id,
         case when c.account like 'marketing:%' then split_part(c.account, ':', 2)
              when c.document_kind in ('journey', 'campaign') then 'email'
              when c.document_kind in ('team', 'team_campaign') then 'team'
              else '' end as channel
    from measurement.v_cost c
    left join budgets.v_budget b
      on b.cell = c.cell and c.account like 'budget:%' and b.budget_id::text = split_part(c.account, ':', 2)
    left join social.v_reward r on r.cell = c.cell and r.reward_id = c.document_id
    left join orders.v_purchase p on p.cell = c.cell and p.order_id = coalesce(r.order_id, c.document_id)
    left join measurement.buyer y on y.cell = c.cell and y.first_order_id = p.order_id;

-- What each campaign paid, out of budgets, for orders that stand, for seats, rewards and letters; and spend on marketing.
create view measurement.v_campaign_cost as
  select cell, 'team'::text as kind, source_id as campaign_id, placed_at as at, currency, amount_minor
    from orders.v_discount
   where source = 'team' and budget_id is not null and state in ('placed', 'shipped', 'delivered')
  union all
  select t.cell, 'team', t.campaign_id, t.ended_at, p.currency, t.fill_minor
    from social.v_team t join social.v_team_plan p on p.cell = t.cell and p.campaign_id = t.campaign_id
   where t.state = 'formed' and t.fill_minor > 0
  union all
  select d.cell, 'bargain', coalesce(b.campaign_id, d.source_id), d.placed_at, d.currency, d.amount_minor
    from orders.v_discount d left join social.v_bargain b on b.cell = d.cell and b.bargain_id = d.source_id
   where d.source = 'bargain' and d.budget_id is not null and d.state in ('placed', 'shipped', 'delivered')
  union all
  select cell, 'invite', campaign_id, released_at, currency, amount_minor - reversed_minor from social.v_reward
   where released_at is not null and amount_minor > reversed_minor
  union all
  select w.cell, 'newcomers', w.pool_id, w.won_at, w.currency, w.subsidy_minor
    from newcomers.v_win w join newcomers.v_pool p on p.cell = w.cell and p.pool_id = w.pool_id
   where w.state = 'won' and p.budget_id is not null
  union all
  select cell, source, source_id, placed_at, currency, amount_minor from orders.v_discount
   where source in ('promotion', 'subsidy') and budget_id is not null and state in ('placed', 'shipped', 'delivered');

-- Who bought for the first time in or through which campaign.
create view measurement.v_campaign_buyer as
  select b.cell, 'team'::text as kind, m.campaign_id, b.person_id, b.first_at, b.second_at, b.currency
    from measurement.buyer b
    join social.v_team_member m on m.cell = b.cell and m.order_id = b.first_order_id and m.left_at is null
  union
  select b.cell, 'bargain', g.campaign_id, b.person_id, b.first_at, b.second_at, b.currency
    from measurement.buyer b join social.v_bargain g on g.cell = b.cell and g.order_id = b.first_order_id
  union
  select cell, via, campaign_id, person_id, first_at, second_at, currency
    from measurement.buyer where via is not null and campaign_id is not null
  union
  select b.cell, 'newcomers', w.pool_id, b.person_id, b.first_at, b.second_at, b.currency
    from measurement.buyer b
    join newcomers.v_win w on w.cell = b.cell and w.order_id = b.first_order_id and w.state = 'won'
  union
  select b.cell, 'promotion', u.promotion_id, b.person_id, b.first_at, b.second_at, b.currency
    from measurement.buyer b join promotions.v_use u on u.cell = b.cell and u.order_id = b.first_order_id
  union
  select b.cell, 'subsidy', d.source_id, b.person_id, b.first_at, b.second_at, b.currency
    from measurement.buyer b
    join orders.v_discount d on d.cell = b.cell and d.order_id = b.first_order_id and d.source = 'subsidy';

-- Every campaign that runs or ran, of every kind.
create view measurement.v_campaign as
  select cell, 'team'::text as kind, campaign_id, name, state, state = 'running' as is_running, budget_id, currency,
         starts_at, ends_at from social.v_team_plan where state <> 'draft'
  union all
  select cell, 'bargain', campaign_id, name, state, state = 'running', budget_id, currency, starts_at, ends_at
    from social.v_bargain_plan where state <> 'draft'
  union all
  select cell, 'invite', campaign_id, name, state, state = 'running', budget_id, currency, starts_at, ends_at
    from social.v_invite_plan where state <> 'draft'
  union all
  select cell, 'newcomers', pool_id, name, case when is_open then 'running' else 'stopped' end, is_open, budget_id,
         null, starts_at, ends_at from newcomers.v_pool
  union all
  select 0::smallint, 'promotion', promotion_id, name, state, state = 'active', null, null, starts_at, ends_at
    from promotions.v_promotion where state <> 'draft'
  union all
  select 0::smallint, 'subsidy', programme_id, name, state, state = 'active', budget_id, currency, starts_at, ends_at
    from subsidy.v_programme where state <> 'draft'
  union all
  select 0::smallint, 'journey', journey_id, jsonb_build_object('en', name), state, state = 'live', null, null,
         changed_at, null from journeys.v_journey where state <> 'draft'
  union all
  select 0::smallint, 'letters', campaign_id, jsonb_build_object('en', name), state, state in ('gathering', 'sending'),
         budget_id, null, began_at, ended_at from journeys.v_campaign where began_at is not null;

-- Published: spend as it was reported, for whoever makes reports.
create view measurement.v_spend as
  select cell, channel, campaign, day, currency, amount_minor from measurement.spend;

-- Published: who was won when, by whom, and how deep in a branch.
create view measurement.v_buyer as
  select cell, person_id, first_order_id, first_at, market, currency, second_at, orders, net_minor, parent_id,
         campaign_id, via, depth, root_id
    from measurement.buyer;

-- Published: every move of a person in the rocket, with its rule.
create view measurement.v_transition as
  select cell, person_id, number, version, at, was, now, rule, facts from measurement.transition;
